"""Constant ROMs beside the arrays: row scales, gains, biases, the embedding."""

from collections.abc import Sequence

import numpy as np
import torch

from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.text.constant_module import emit_constants
from hardloom.golden.files import Contents
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.gain import Gain
from hardloom.golden.units.rescale import Rescale
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.router import Router

__all__ = [
    "SCALE_BITS",
    "embedding_width",
    "emit_embedding",
    "emit_layer_constants",
    "emit_norm_gains",
    "emit_scales",
    "scale_words",
]

SCALE_BITS = Rescale.mant_width + Rescale.shift_width


def scale_words(matrix: IntegerMatrix) -> np.ndarray:
    """Row scales as words of 17 bits, int64 [rows]: mant below, shift = -exp (two's complement) above."""
    shift = -matrix.exp.to(torch.int64) & ((1 << Rescale.shift_width) - 1)
    return (matrix.mant.to(torch.int64) | shift << Rescale.mant_width).numpy()


def _beats(words: np.ndarray, lanes: int) -> np.ndarray:
    """[rows] to [beats, lanes], padded with zeros."""
    padded = np.zeros(-(-len(words) // lanes) * lanes, dtype=np.int64)
    padded[: len(words)] = words
    return padded.reshape(-1, lanes)


def emit_scales(name: str, groups: Sequence[Sequence[np.ndarray]], lanes: int) -> Contents:
    """Row-scale ROM of arrays whose results go through one rescale unit.

    groups: for each array in turn the `scale_words` of its banks; a word of the ROM holds the lanes of bank 0, then
    those of bank 1, ...
    """
    words = [np.concatenate([_beats(bank, lanes) for bank in banks], axis=1) for banks in groups]
    return emit_constants(name, np.concatenate(words), SCALE_BITS, signed=False)


def emit_layer_constants(sizes: LayerSizes, checkpoint: QuantizedCheckpoint, layer: int) -> dict[str, Contents]:
    """Gains of a layer, and biases of projections and experts where the model has them: module name to text."""
    units, texts = sizes.units, emit_norm_gains(sizes, checkpoint)
    for n in "qk" if sizes.shape.attention.head_norms else "":
        gains = units.gains(checkpoint, layer, n).numpy()
        name = sizes.module(f"{n}_gain")
        texts[name] = emit_constants(name, _beats(gains, sizes.lanes), Rope.gain_width)
    for kind, names in sizes.shape.attention.projections.items() if sizes.shape.attention.bias else ():
        banks = [units.projection_biases(checkpoint, layer, n).numpy() for n in names]
        words = np.concatenate([_beats(bank, sizes.lanes) for bank in banks], axis=1)
        name = sizes.module(f"{kind}_bias")
        texts[name] = emit_constants(name, words, units.word.width)
    biases = units.biases(checkpoint, layer)
    if biases is not None:
        for router in sizes.hardware.router_names:
            name = sizes.module(f"{router}expert_bias")
            texts[name] = emit_constants(name, biases.numpy()[:, None], Router.bias_width)
    return texts


def emit_norm_gains(sizes: LayerSizes, checkpoint: QuantizedCheckpoint) -> dict[str, Contents]:
    """Gains that stand behind norms: module name to text."""
    texts = dict[str, Contents]()
    for norm, kind in sizes.norms.items():
        gains, name = sizes.units.norm_gains(checkpoint, sizes.layer, kind).numpy(), sizes.module(f"{norm}_gain")
        texts[name] = emit_constants(name, _beats(gains, sizes.lanes), Gain.width)
    return texts


def embedding_width(matrix: IntegerMatrix) -> int:
    """Bits of an embedding weight: 8 where they suffice, so that checkpoints of one geometry share their units."""
    least, most = (int(extreme) for extreme in matrix.weights.aminmax())
    bits = max(-least, most).bit_length() + 1
    return next(width for width in (8, 12, 16, 24, 32) if bits <= width)


def emit_embedding(sizes: LayerSizes, matrix: IntegerMatrix) -> dict[str, Contents]:
    """Embedding rows and their scales: module name to text."""
    weights = matrix.weights.numpy()
    padding = -weights.shape[1] % sizes.lanes
    padded = np.pad(weights, ((0, 0), (0, padding))) if padding else weights  # large enough not to be copied in vain
    rows, scales = sizes.module("embedding"), sizes.module("embedding_scales")
    return {
        rows: emit_constants(rows, padded.reshape(-1, sizes.lanes), embedding_width(matrix)),
        scales: emit_constants(scales, scale_words(matrix)[:, None], SCALE_BITS, signed=False),
    }
