"""`hardloom bench llm`: a real language model through the integer model, a row a recipe of its weights."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tokenizers import Tokenizer
from torch import Tensor

from hardloom.flows.bench.fine_weights import FineWeights
from hardloom.flows.bench.llm_quality import Quality, Reference
from hardloom.flows.bench.llm_recipes import FLOAT, RECIPES, Recipe, bits_of
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, notice, table
from hardloom.flows.models.saturations import broken_promise
from hardloom.flows.models.smollm2 import package_file, question
from hardloom.golden.calibration.careful import Careful
from hardloom.golden.calibration.contract import contract_for
from hardloom.golden.calibration.measured import Calibration, Source
from hardloom.golden.calibration.ranges import observe
from hardloom.golden.calibration.sequences import sequences_of, text_tokens
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.fingerprint import fingerprint
from hardloom.golden.checkpoints.gguf_files import import_gguf
from hardloom.golden.checkpoints.tokenizer import load_tokenizer
from hardloom.golden.errors import UserError
from hardloom.golden.models.dequantized import dequantized_model
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.pieces import NEAREST
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.training.prose import TEXTS
from hardloom.golden.units.numerics import GENERAL, Numerics

__all__ = ["QUESTION_TEXT", "Figures", "Row", "llm", "llm_parts"]

CALIBRATION, EVALUATION = ("us-constitution", "moby-dick"), ("persuasion", "northanger-abbey")
CALIBRATED = 8192
"""Tokens of each calibration text, at most."""
MARGIN = 2.0
QUESTION_TEXT = "Why is the sky blue?"
QUESTION = question(QUESTION_TEXT)
ANSWER = 40
"""Tokens of the continuation, at most."""


@dataclass(frozen=True)
class Row:
    """Figures of a recipe.

    Attributes
    ----------
    tokens: that were predicted, each behind all before it in its sequence.
    bits_layers, bits_per_weight: stored bits a weight of the layers, and of all; None for float weights.
    ppl_float, ppl_weights, ppl_integer: perplexity of the float model, of the float model with the recipe's weights,
        of the integer model; kl_weights, kl_integer: mean divergence from the float model, in nats a token.
    saturated: elements that did not fit their word in the integer model.
    """

    recipe: str
    tokens: int
    bits_layers: float | None
    bits_per_weight: float | None
    ppl_float: float
    ppl_weights: float
    ppl_integer: float
    kl_weights: float
    kl_integer: float
    saturated: int


@dataclass(frozen=True)
class Figures:
    """rows: a recipe each; answer: what the integer model of the last recipe says to `QUESTION`, if it was asked;
    broken: the promise of a calibration that a recipe did not keep."""

    rows: list[Row]
    answer: str | None
    broken: str | None = None


class Measurement:
    """A checkpoint of a causal model, its calibration, and what its float model predicts.

    Parameters
    ----------
    path: folder of the checkpoint. tokens: of each evaluation text, at most.
    """

    def __init__(self, path: Path, tokens: int) -> None:
        self.checkpoint = Checkpoint(path)
        if self.checkpoint.model.mask_token_id is not None:
            raise UserError(f"{path}: is a model that denoises; bench llm predicts next tokens, give a causal one")
        self.calibration = read_texts(self.checkpoint, CALIBRATION, CALIBRATED)
        self.reference = Reference(FloatModel.from_checkpoint(path), read_texts(self.checkpoint, EVALUATION, tokens))

    @cached_property
    def contract(self) -> tuple[Numerics, Calibration]:
        """The contract by calibration, and what it was measured by."""
        with torch.inference_mode():
            ranges = tuple(observe(self.checkpoint, self.calibration, GENERAL.gains).found())
        calibration = Calibration(fingerprint(self.checkpoint), self.source, MARGIN, ranges)
        return contract_for(ranges, GENERAL, MARGIN), calibration

    @property
    def source(self) -> Source:
        """What is recorded of the calibration texts, one behind the other."""
        files = [TEXTS / f"{name}.txt" for name in CALIBRATION]
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        return Source(" ".join(file.name for file in files), digest, self.calibration.numel(), 0)

    def quantized(self, recipe: Recipe, folder: Path) -> QuantizedCheckpoint:
        """The checkpoint by a recipe, in `folder`."""
        numerics, calibration = self.contract if recipe.calibrated else (None, None)
        method = Careful(self.calibration, self.source, folder / "layers").method if recipe.careful else NEAREST
        measured = None if calibration is None else calibration.to_json()
        quantize_checkpoint(
            self.checkpoint.path, folder, recipe.format, numerics, recipe.formats, calibration=measured, method=method
        )
        return QuantizedCheckpoint(folder)

    def row(self, recipe: Recipe, folder: Path) -> tuple[Row, IntegerModel, str | None]:
        """The figures of a recipe, its integer model, and the promise that it broke; folder: where to work."""
        reference, bits = self.reference, None
        weights = Quality(reference.perplexity, 0.0)
        if recipe == FLOAT:
            quantized: QuantizedCheckpoint = FineWeights(self.checkpoint.path, *self.contract)
        else:
            quantized = self.quantized(recipe, folder)
            bits = bits_of(quantized.model, quantized.formats)
            weights = reference.compare(dequantized_model(quantized))
        model = IntegerModel(quantized, watched=True)
        found = reference.compare(model.logits)
        row = Row(
            recipe=recipe.name,
            tokens=reference.tokens,
            bits_layers=bits and round(bits[0], 3),
            bits_per_weight=bits and round(bits[1], 3),
            ppl_float=reference.perplexity,
            ppl_weights=weights.perplexity,
            ppl_integer=found.perplexity,
            kl_weights=weights.divergence,
            kl_integer=found.divergence,
            saturated=sum(model.saturations.values()),
        )
        return row, model, broken_promise(quantized, model.saturations)


def llm(path: Path | None, names: Sequence[str], tokens: int, ask: bool) -> Figures:
    """Measure recipes, all by default, on the checkpoint `path`, by default SmolLM2 of its package.

    tokens: of each of the two evaluation texts, at most; ask: show what the last recipe's integer model says.
    Raises `UserError` for an unknown recipe, a missing package and a checkpoint of another kind.
    """
    recipes = [recipe for recipe in RECIPES if recipe.name in (names or [known.name for known in RECIPES])]
    if strange := set(names) - {recipe.name for recipe in recipes}:
        known = ", ".join(recipe.name for recipe in RECIPES)
        raise UserError(f"recipe {min(strange)!r:.40} is not known; choose from {known}")
    rows, answer, broken = [], None, None
    with TemporaryDirectory() as folder, progress_bar("recipes", None) as progress:
        if path is None:
            path = Path(folder) / "checkpoint"
            import_gguf(package_file(), path)
        measurement = Measurement(path, tokens)
        for number, recipe in enumerate(recipes):
            progress(number, len(recipes))
            row, model, fault = measurement.row(recipe, Path(folder) / recipe.name)
            broken = fault or broken
            notice(
                f"{recipe.name}: perplexity {row.ppl_integer:.2f} in integers, {row.ppl_float:.2f} in floating point"
            )
            rows.append(row)
        if ask and (tokenizer := load_tokenizer(path)):
            answer = answer_of(model, tokenizer)
    return Figures(rows, answer, broken)


def read_texts(checkpoint: Checkpoint, names: Sequence[str], most: int) -> Tensor:
    """Sequences of texts, int64 [sequences, positions], at most `most` tokens of each."""
    files = [TEXTS / f"{name}.txt" for name in names]
    model = checkpoint.model
    return torch.cat([sequences_of(text_tokens(file, checkpoint.path, model), model, file, most) for file in files])


@torch.inference_mode()
def answer_of(model: IntegerModel, tokenizer: Tokenizer) -> str:
    """What the integer model says to `QUESTION`, the most probable token each time."""
    tokens = tokenizer.encode(QUESTION).ids
    prompt = len(tokens)
    while len(tokens) < prompt + ANSWER and tokens[-1] not in model.shape.eos_token_ids:
        tokens.append(int(model.forward(torch.tensor([tokens]))[0, -1].argmax()))
    return tokenizer.decode(tokens[prompt:]).strip()


def llm_parts(found: Figures) -> Iterator[Part]:
    """A row a recipe."""
    columns = (
        "recipe",
        "bits, layers / all",
        "perplexity",
        "weights",
        "integers",
        "KL weights",
        "integers",
        "saturated",
    )
    rows = [
        (
            row.recipe,
            "" if row.bits_layers is None else f"{row.bits_layers:.2f} / {row.bits_per_weight:.2f}",
            f"{row.ppl_float:.2f}",
            f"{row.ppl_weights:.2f}",
            f"{row.ppl_integer:.2f} (x {row.ppl_integer / row.ppl_float:.3f})",
            f"{row.kl_weights:.4f}",
            f"{row.kl_integer:.4f}",
            f"{row.saturated}",
        )
        for row in found.rows
    ]
    yield table(columns, rows, f"{found.rows[0].tokens:,} predictions" if rows else None, no_wrap=True)
    if found.answer is not None:
        yield f"{QUESTION_TEXT} {found.answer}"
