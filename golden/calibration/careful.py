"""A checkpoint rounded with care: each layer by the Hessians of its inputs behind the rounded layers before it.

Memory holds one layer, in float32, some Hessians (`AT_ONCE`) and the residual stream of the calibration sequences.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from hardloom.golden.calibration.hessians import FEWEST, LONGEST, Hessians
from hardloom.golden.calibration.journal import Journal
from hardloom.golden.calibration.measured import Source
from hardloom.golden.calibration.streamed import final_norm, load_layer, run_layer, weights_of
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.models.float_model import Arithmetic, Layer
from hardloom.golden.parallel import ordered_map, row_ranges
from hardloom.golden.quantization.formats import format_rules, unpack_codes
from hardloom.golden.quantization.gptq import BLOCK, DAMPING, Factor, factor, gptq
from hardloom.golden.quantization.pieces import SLICE, Method, Piece, Rounded, nearest, rounded, source_rows
from hardloom.golden.shape import TensorShape
from hardloom.golden.units.numerics import Numerics

__all__ = ["Careful", "Rounding"]

AT_ONCE = 1 << 30
"""Bytes of a layer's Hessians that are held together, and as many of their factors; a layer with more of them, of many
experts, is run once for each part."""


@dataclass(frozen=True)
class Careful:
    """Rounding by GPTQ (`golden.quantization.gptq`), the embedding alone to nearest.

    Attributes
    ----------
    sequences: calibration tokens, int64 [sequences, positions]. source: what they were taken from.
    folder: where finished layers are kept until the checkpoint is whole, so that a killed run goes on there.
    """

    sequences: Tensor
    source: Source
    folder: Path

    @property
    def method(self) -> Method:
        """For `quantize_checkpoint`, with what is recorded of it: the text and the constants of the rounding."""
        constants = {"block": BLOCK, "damping": DAMPING, "longest": LONGEST, "fewest": FEWEST}
        return Method(self.pieces, {"method": "gptq", "text": asdict(self.source), **constants})

    @torch.inference_mode()
    def pieces(self, source: Checkpoint, formats: Mapping[str, str], numerics: Numerics) -> Iterator[Rounded]:
        rounding, journal = Rounding(source, formats, numerics), self.journal(source, formats, numerics)
        yield from nearest(source, formats, numerics, [source.model.tensor("embedding")])
        x = rounding.embedded(self.sequences)
        for number in range(len(source.model.layers)):
            layer = load_layer(source, number)
            pieces = journal.read(number)
            if pieces is None:
                pieces = [*rounding.layer(number, layer, x)]
                journal.write(number, pieces)
            yield from pieces
            rounding.replace(number, layer, pieces)
            x = run_layer(source, number, layer, x, Arithmetic())
        yield from rounding.head(x)

    def journal(self, source: Checkpoint, formats: Mapping[str, str], numerics: Numerics) -> Journal:
        """Of this very run: the same files, formats, contract and tokens."""
        files = [(file.name, status.st_size, status.st_mtime_ns) for file, status in source.files()]
        tokens = hashlib.sha256(self.sequences.numpy().tobytes()).hexdigest()
        facts = (version("hardloom"), source.config, files, dict(formats), numerics, tokens, self.sequences.shape)
        return Journal(self.folder, source.model, hashlib.sha256(repr(facts).encode()).hexdigest())


@dataclass(frozen=True)
class Rounding:
    """Layers of a checkpoint rounded under a contract to the formats of their kinds of matrix."""

    source: Checkpoint
    formats: Mapping[str, str]
    numerics: Numerics

    def embedded(self, tokens: Tensor) -> Tensor:
        """Rows of the rounded embedding, float32 [sequences, positions, hidden]."""
        embedding = self.source.model.tensor("embedding")
        used, places = tokens.unique(return_inverse=True)
        rules = format_rules(self.formats[embedding.short_kind])
        rows = self.source.tensor(embedding.name)[used].float()
        return rules.dequantize(*rules.quantize(rows))[places]

    def layer(self, number: int, layer: Layer, x: Tensor) -> Iterator[Rounded]:
        """The pieces of the layer's matrices, whose inputs are those of residual stream `x` before it."""
        matrices = {tensor.name: tensor for tensor in self.source.model.matrices() if tensor.layer == number}
        named = {known: matrices[name] for known, name in weights_of(layer, number).items() if name in matrices}
        for group in together(matrices.values()):
            hessians = Hessians(self.numerics.gains, named, {matrix.name for matrix in group})
            run_layer(self.source, number, layer, x, hessians)
            yield from self.pieces(hessians, group)

    def head(self, x: Tensor) -> Iterator[Rounded]:
        """The pieces of the head behind the residual stream `x`."""
        head, norm = self.source.model.tensor("head"), final_norm(self.source)
        hessians = Hessians(self.numerics.gains, {}, {head.name})
        packet, _ = hessians.norm(norm, x)
        hessians.add(head, packet)
        yield from self.pieces(hessians, [head])

    def pieces(self, hessians: Hessians, matrices: Iterable[TensorShape]) -> Iterator[Rounded]:
        """Matrices with their Hessians, on all cores: first the factors, then rows."""
        known = {name: found for name, found in hessians.found.items() if found.is_enough}
        factors = dict(zip(known, ordered_map(lambda found: factor(found.total), known.values()), strict=True))
        work = [(matrix, *rows) for matrix in matrices for rows in row_ranges(matrix.shape, SLICE)]
        yield from ordered_map(lambda piece: self.piece(piece, factors.get(hessians.first(piece[0]))), work)

    def piece(self, piece: Piece, inputs: Factor | None) -> Rounded:
        """Some rows of a matrix; inputs: the factor of its Hessian, None where that says too little."""
        matrix = piece[0]
        rules, w = format_rules(self.formats[matrix.short_kind]), source_rows(self.source, self.numerics, piece)
        codes, scales = rules.quantize(w) if inputs is None else gptq(w, inputs, rules)
        return rounded(matrix, w, codes, scales, rules)

    def replace(self, number: int, layer: Layer, pieces: list[Rounded]) -> None:
        """Give `layer` the rounded matrices, and gains of 1 where these have them."""
        weights = dict(layer.named_parameters())
        for matrix in dict.fromkeys(piece[0] for piece in pieces):
            rules = format_rules(self.formats[matrix.short_kind])
            packed = torch.cat([codes for of, codes, _, _ in pieces if of == matrix])
            scales = torch.cat([scales for of, _, scales, _ in pieces if of == matrix])
            values = rules.dequantize(unpack_codes(packed, matrix.shape[1], rules.bits), scales)
            weights[matrix.name.removeprefix(f"model.layers.{number}.")].copy_(values)
        if self.numerics.gains == "folded":
            layer.input_layernorm.weight.fill_(1)
            layer.post_attention_layernorm.weight.fill_(1)


def together(matrices: Iterable[TensorShape]) -> Iterator[list[TensorShape]]:
    """A layer's matrices in runs whose Hessians fit into `AT_ONCE`; those that share their inputs stay together."""
    group: list[TensorShape] = []
    held = 0
    for matrix in matrices:
        own = 4 * matrix.shape[1] ** 2 if Hessians.first(matrix) == matrix.name else 0
        if group and held + own > AT_ONCE and own:
            yield group
            group, held = [], 0
        group.append(matrix)
        held += own
    yield group
