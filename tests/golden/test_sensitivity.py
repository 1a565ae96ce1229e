"""What one kind of matrix or one site costs: the divergence of the model with it alone rounded, written out."""

import pytest
import torch

from hardloom.golden.calibration.sensitivity import costs
from hardloom.golden.models.float_model import Arithmetic, FloatModel
from hardloom.golden.quantization.formats import fake_quantize
from hardloom.golden.training.fake_quant import quantize_vector
from hardloom.golden.units.activations import ActivationBits
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import tiny_model

NUMERICS = Numerics(activations=ActivationBits(norm=6, swiglu=5))


class Swiglu(Arithmetic):
    def vector(self, x: torch.Tensor, site: str) -> torch.Tensor:
        return quantize_vector(x, 5) if site == "swiglu" else x


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FloatModel(tiny_model()).eval()


@torch.inference_mode()
def divergence(model: FloatModel, exact: torch.Tensor, tokens: torch.Tensor) -> float:
    exact, found = (logits[tokens == model.shape.mask_token_id].log_softmax(-1) for logits in (exact, model(tokens)))
    return float((exact.exp() * (exact - found)).sum(-1).mean())


def test_costs_are_divergences_at_masked_positions_with_one_part_rounded(model):
    tokens = torch.randint(0, 22, (6, 16), generator=torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = {cost.kind: cost for cost in costs(model, tokens, "int4", NUMERICS, lambda done, total: None)}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [*found][:3] == ["embedding", "q", "k"] and [*found][-2:] == ["mix", "swiglu"]
    assert found["down"].rounding == "int4" and found["swiglu"].rounding == "5 bits"
    with torch.inference_mode():
        exact = model(tokens)
    model.arithmetic = Swiglu()
    assert found["swiglu"].divergence == pytest.approx(divergence(model, exact, tokens), rel=1e-3)
    model.arithmetic = Arithmetic()
    for layer in model.model.layers:
        for expert in layer.mlp.experts:
            expert.down_proj.weight.data = fake_quantize(expert.down_proj.weight.data, "int4")
    assert found["down"].divergence == pytest.approx(divergence(model, exact, tokens), rel=1e-3)


@pytest.mark.parametrize("bits", [6, 8, 10])
def test_a_vector_is_rounded_as_the_chip_rounds_it(bits):
    from hardloom.golden.units.fixed import FixedPoint
    from hardloom.golden.units.quantize import Quantize

    x = torch.randn(40, 33, generator=torch.Generator().manual_seed(bits)) * torch.logspace(-4, 3, 40)[:, None]
    word = FixedPoint(32, 12)
    q, scale = Quantize(word, bits).compute((x * 2**12).round().to(torch.int64))
    assert torch.equal(quantize_vector(x, bits, 12), q * 2.0**scale / 2**12)
