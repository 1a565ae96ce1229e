"""The integer model: composed like the chip, bit for bit, with named probe points."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from hardloom.golden.checkpoints.lora import LowRank
from hardloom.golden.models.credit import Credit
from hardloom.golden.models.integer_layers import AttentionEngine, DenseEngine, ExpertsEngine
from hardloom.golden.models.integer_parts import Parts
from hardloom.golden.models.layer_units import Units
from hardloom.golden.models.manners import Manners
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import Prediction, asked
from hardloom.golden.samplers.kept import Kept, Shared, alike
from hardloom.golden.samplers.manner import AMOUNT_FRAC, Manner
from hardloom.golden.shape import DenseShape
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.gumbel import GUMBEL_FRAC
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.saturations import Watch

__all__ = ["IntegerModel"]

Recorder = Callable[[str, Tensor], None]
"""Called with a probe point's name and its integers, int64 [batch, positions, elements]; behind the layers `predict`
has [1, positions, elements]: of all rows those that the head meets."""


def probing(record: Recorder | None) -> Callable[[str, Callable[[], Tensor]], None]:
    """Records what a function makes, or does not make it."""

    def probe(name: str, make: Callable[[], Tensor]) -> None:
        if record:
            record(name, make().long())

    return probe


class Embedding:
    """Rows of the embedding matrix as fixed-point vectors."""

    def __init__(self, matrix: IntegerMatrix, word: FixedPoint, device: torch.device) -> None:
        self.word, self.weights = word, matrix.weights.to(device)
        self.mant = matrix.mant.to(device, torch.float64)[:, None]
        self.shift = -matrix.exp.to(device, torch.int64)[:, None]

    def __call__(self, tokens: Tensor) -> Tensor:
        """Token ids [batch, positions] to [batch, positions, hidden]; a mask behind the vocabulary is as token 0."""
        tokens = tokens.where(tokens < len(self.weights), 0)
        shift, weights = self.shift[tokens] - self.word.frac, self.weights[tokens].double()
        return self.word.round(weights, shift, factor=self.mant[tokens])


class IntegerModel:
    """The chip in integers: an `Engine` for `golden.samplers.denoise`.

    Parameters
    ----------
    checkpoint: quantized checkpoint.
    device: any torch device; integers are identical on all of them.
    watched: whether `saturations` are counted, which takes a tenth longer.
    lora: adapters, by the names of their matrices (`golden.checkpoints.lora`). Raises `UserError` for one that the
        checkpoint's integers cannot have.

    Attributes
    ----------
    saturations: elements that did not fit their word, by site, of all forward passes; see docs/numeric.md.
    """

    def __init__(
        self,
        checkpoint: QuantizedCheckpoint,
        device: str | torch.device = "cpu",
        watched: bool = False,
        lora: Mapping[str, LowRank] | None = None,
    ) -> None:
        self.saturations: dict[str, int] = {}
        counts = self.saturations if watched else None
        self.shape, self.numerics, self.device = checkpoint.model, checkpoint.numerics, torch.device(device)
        self.layers: list[tuple[AttentionEngine, DenseEngine | ExpertsEngine]] = []
        for number, layer in enumerate(self.shape.layers):
            prefix = f"layer.{number}."
            units = Units.of(self.shape, self.numerics, layer, Watch(prefix, counts))
            parts = Parts(checkpoint, units, number, self.device, lora)
            mlp = layer.mlp
            engine = DenseEngine(parts, prefix) if isinstance(mlp, DenseShape) else ExpertsEngine(parts, mlp, prefix)
            self.layers.append((AttentionEngine(parts, layer.attention, prefix), engine))
        self.units = Units.of(self.shape, self.numerics, self.shape.layers[0], Watch("", counts))
        around = Parts(checkpoint, self.units, None, self.device)
        embedding = checkpoint.integers(self.shape.tensor("embedding").name)
        self.embedding = Embedding(embedding, self.units.word_at("embedding"), self.device)
        self.norm, self.head = around.norm("norm"), around.matrix("head", "norm")
        self.credit = Credit(self.numerics.word)
        self._length = 0
        self._turns: dict[Rope, tuple[Tensor, Tensor]] = {}

    @classmethod
    def from_checkpoint(
        cls,
        path: Path | str,
        format: str | None = None,
        numerics: Numerics | None = None,
        device: str = "cpu",
        watched: bool = False,
        lora: Mapping[str, LowRank] | None = None,
    ) -> "IntegerModel":
        """From a quantized folder, or from a Hugging Face folder that is quantized on the way (to a temporary one);
        format, numerics: as of `quantize_checkpoint`, by default what `hardloom quantize` takes without options."""
        if QuantizedCheckpoint.is_quantized(path):
            return cls(QuantizedCheckpoint(path), device, watched, lora)
        with tempfile.TemporaryDirectory() as folder:
            quantize_checkpoint(Path(path), Path(folder), format, numerics)
            return cls(QuantizedCheckpoint(folder), device, watched, lora)

    def forward(self, tokens: Tensor, record: Recorder | None = None) -> Tensor:
        """Token ids int64 [batch, positions] to fixed-point logits int64 [batch, positions, vocabulary]."""
        return self._logits(self._hidden(tokens, record), record).long()

    def logits(self, tokens: Tensor) -> Tensor:
        """As `forward`, in float32."""
        return self._logits(self._hidden(tokens, None), None).float() * 2.0**-self.numerics.word.frac

    def predict(
        self,
        tokens: Tensor,
        wanted: Tensor | None = None,
        manners: Sequence[Manner] | None = None,
        kept: Sequence[Kept] | None = None,
        record: Recorder | None = None,
    ) -> Prediction:
        """Token and spread of the positions that are `wanted`, or of all; see `golden.units.argmax`. Probe points of
        rows that compute other positions are recorded apart."""
        shift = self.shape.shift
        meets = asked(torch.ones(tokens.shape, dtype=torch.bool) if wanted is None else wanted, shift)
        probe, prediction, pairs = probing(record), torch.zeros((2, *tokens.shape), dtype=torch.int64), None
        hidden, asked_for = self._hidden_where(tokens, kept, record), Manners.of(manners, len(tokens))
        probe("wanted", lambda: meets[..., None])
        logits = self._logits(hidden[meets.to(self.device)][None], record)
        if asked_for.guided:
            logits = self._guided(logits, tokens, meets, asked_for, kept)
        off, noise = self._changes(meets, asked_for, logits.shape[-1])
        if asked_for.credited:
            logits, found = self._credited(logits, off, meets, asked_for)
            pairs = torch.zeros((*tokens.shape, *found.shape[1:]), dtype=torch.int64)
            pairs[meets] = found.cpu()
        token, spread = self.units.argmax.compute(logits, off, noise)
        probe("argmax.token", lambda: token[..., None])
        probe("argmax.spread", lambda: spread[..., None])
        prediction[:, meets] = torch.cat([token, spread]).cpu()
        return Prediction(prediction[0], prediction[1], pairs).shifted(shift)

    def _hidden_where(
        self, tokens: Tensor, kept: Sequence[Kept] | None, record: Recorder | None, name: str = ""
    ) -> Tensor:
        """`_hidden` of the positions that each row computes, 0 of the others."""
        groups = list(alike(kept, len(tokens), tokens.shape[1], self.shape.shift, name))
        if len(groups) == 1 and len(groups[0][1]) == tokens.shape[1]:
            return self._hidden(tokens, record, groups[0][2])
        hidden = torch.zeros(*tokens.shape, self.shape.hidden_size, dtype=torch.float64, device=self.device)
        for rows, span, shared in groups:
            hidden[rows, span.start : span.stop] = self._hidden(tokens[rows], record, shared)
        return hidden

    def _hidden(self, tokens: Tensor, record: Recorder | None, kept: Shared | None = None) -> Tensor:
        """Token ids to the residual stream behind the last layer, of the positions that are computed."""
        self.shape.check_positions(tokens.shape[1])
        probe, positions = probing(record), tokens.shape[1]
        span = slice(0, positions) if kept is None else slice(kept.span.start, kept.span.stop)
        angles, tokens = self._angles(positions), tokens[:, span].to(self.device)
        x = self.embedding(tokens)
        probe("embedding", lambda: x)
        for attention, mlp in self.layers:
            cosine, sine = angles[attention.units.rope]
            x = mlp(attention(x, (cosine[span], sine[span]), probe, kept), probe)
        return x

    def _logits(self, hidden: Tensor, record: Recorder | None) -> Tensor:
        """The residual stream [..., hidden] to logits [..., vocabulary]."""
        probe, packet = probing(record), self.norm(hidden)
        probe("final_norm", lambda: packet.q)
        logits = self.head(packet.value)
        probe("logits", lambda: logits)
        return logits

    def _guided(
        self, logits: Tensor, tokens: Tensor, meets: Tensor, manners: Manners, kept: Sequence[Kept] | None
    ) -> Tensor:
        """(s + 1) l - s u, rounded half up and saturated; u: the logits of the sequences without their prompts."""
        unprompted = manners.without_prompts(tokens, self.shape.mask_token)
        hidden = self._hidden_where(unprompted, kept, None, "without the prompt")
        without = self._logits(hidden[meets.to(self.device)][None], None)
        scale = manners.field("guidance")[meets.nonzero()[:, 0]][:, None].to(self.device)
        both = (scale + (1 << AMOUNT_FRAC)) * logits.long() - scale * without.long()
        return self.numerics.word.saturate(round_shift(both, AMOUNT_FRAC))

    def _credited(self, logits: Tensor, off: Tensor | None, meets: Tensor, manners: Manners) -> tuple[Tensor, Tensor]:
        """Of the positions that the head meets: logits that credit has raised, saturated; pairs that are left."""
        row, position = meets.nonzero().unbind(1)
        before = manners.pairs(row, position + self.shape.shift).to(self.device)
        names = "credit", "credit_decay", "credit_power"
        amount, decay, power = (manners.field(name)[row].to(self.device) for name in names)
        (best,), (spread,) = self.units.argmax.compute(logits, off)
        pairs = self.credit.after(before, best, self.credit.gain(spread, power), decay)
        boost = self.credit.boost(pairs[..., 1], amount[:, None])
        raised = logits.long().scatter_add(-1, pairs[None, ..., 0], boost[None])
        return self.numerics.word.saturate(raised), pairs

    def _changes(self, meets: Tensor, manners: Manners, vocab_size: int) -> tuple[Tensor | None, Tensor | None]:
        """What the argmax leaves out, and the noise in the unit of logits, of the positions that the head meets."""
        row, position = meets.nonzero().unbind(1)
        off, noise = manners.suppressed(row, vocab_size), manners.noise(row, position, vocab_size)
        if noise is not None:
            noise = round_shift(noise, AMOUNT_FRAC + GUMBEL_FRAC - self.numerics.word.frac).to(self.device)
        return None if off is None else off.to(self.device), noise

    def _angles(self, positions: int) -> dict[Rope, tuple[Tensor, Tensor]]:
        """Cosines and sines of every kind of rotary embedding, made once for a length."""
        if self._length != positions:
            self._length, kinds = positions, {attention.units.rope for attention, _ in self.layers}
            for rope in kinds:
                cosine, sine = (part.to(self.device, torch.float64) for part in rope.angles(positions))
                self._turns[rope] = cosine, sine
        return self._turns
