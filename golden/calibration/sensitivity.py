"""What rounding one kind of matrix, or the activations of one site, costs: all else in floating point."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.models.float_model import Arithmetic, FloatModel
from hardloom.golden.quantization.formats import fake_quantize
from hardloom.golden.training.fake_quant import quantize_vector
from hardloom.golden.units.numerics import Numerics

__all__ = ["Cost", "costs", "divergence"]


@dataclass(frozen=True)
class Cost:
    """kind: of matrix (`TensorShape.short_kind`), or site (a field of `ActivationBits`); rounding: the format, or the
    bits of the activation; divergence: mean KL from the float model, nats a token."""

    kind: str
    rounding: str
    divergence: float


class OneSite(Arithmetic):
    """The float model's arithmetic with the activations of one site rounded under a contract."""

    def __init__(self, numerics: Numerics, site: str | None = None) -> None:
        self.gains, self.fraction, self.site = numerics.gains, numerics.word.frac, site
        self.bits = 0 if site is None else getattr(numerics.activations, site)

    def vector(self, x: Tensor, site: str) -> Tensor:
        return quantize_vector(x, self.bits, self.fraction) if site == self.site else x


@contextmanager
def rounded_kind(model: FloatModel, kind: str, format: str, numerics: Numerics) -> Iterator[None]:
    """The matrices of a kind in `format`, gains in them where the contract folds them in; as they were, afterwards."""
    parameters, before = dict(model.named_parameters()), {}
    for matrix in model.shape.matrices():
        if matrix.short_kind == kind:
            weight = before[matrix.name] = parameters[matrix.name].data
            gain = parameters[matrix.gain].data if matrix.gain and numerics.gains == "folded" else torch.ones(1)
            parameters[matrix.name].data = torch.where(gain == 0, 0, fake_quantize(weight * gain, format) / gain)
    yield
    for name, weight in before.items():
        parameters[name].data = weight


@torch.inference_mode()
def costs(
    model: FloatModel, sequences: Tensor, format: str, numerics: Numerics, progress: Callable[[int, int], None]
) -> list[Cost]:
    """The cost of each kind of matrix in `format`, then of each site with its bits of `numerics`.

    Divergence is taken at the masked positions of a model that denoises, else at all. sequences: int64 [sequences,
    positions]. progress: called with runs of the model done and all.
    """
    kinds = list(dict.fromkeys(matrix.short_kind for matrix in model.shape.matrices()))
    sites = dataclasses.asdict(numerics.activations)
    mask = model.shape.mask_token_id
    counted = torch.ones_like(sequences, dtype=torch.bool) if mask is None else sequences == mask
    found: list[Cost] = []

    def run(arithmetic: Arithmetic) -> list[Tensor]:
        model.arithmetic = arithmetic
        return [model(tokens[None])[0][here].log_softmax(-1) for tokens, here in zip(sequences, counted, strict=True)]

    exact = run(OneSite(numerics))

    def note(kind: str, rounding: str, arithmetic: Arithmetic) -> None:
        total = sum(divergence(*pair) for pair in zip(exact, run(arithmetic), strict=True))
        found.append(Cost(kind, rounding, total / int(counted.sum())))
        progress(len(found), len(kinds) + len(sites))

    for kind in kinds:
        with rounded_kind(model, kind, format, numerics):
            note(kind, format, OneSite(numerics))
    for site, bits in sites.items():
        note(site, f"{bits} bits", OneSite(numerics, site))
    model.arithmetic = Arithmetic()
    return found


def divergence(exact: Tensor, other: Tensor) -> float:
    """Sum over positions of the KL divergence of two sets of log-probabilities, [positions, vocabulary]."""
    return float((exact.exp() * (exact - other)).sum(dtype=torch.float64))
