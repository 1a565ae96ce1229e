"""Classifier-free guidance of both models: two passes, one without the prompt, and what becomes of their logits."""

from pathlib import Path

import pytest
import torch

from hardloom.golden.models.float_model import FloatEngine, FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.manner import Manner
from hardloom.golden.units.argmax import Argmax
from tests.checkpoints import tiny_config, write_random_checkpoint

MANNERS = [Manner(guidance=6 << 11, prompt_length=2), Manner(), Manner(guidance=1, prompt_length=3, suppressed=(1,))]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guidance")
    write_random_checkpoint(folder, tiny_config(), seed=2, dtype=torch.float32)
    return folder


def sequences(mask: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three, and the same with masks in place of the prompts that MANNERS say."""
    tokens = torch.tensor([[3, 1, mask, mask], [2, 4, mask, 5], [1, 2, 3, mask]])
    return tokens, torch.tensor([[mask, mask, mask, mask], [2, 4, mask, 5], [mask, mask, mask, mask]])


def test_integers_are_combined_rounded_and_saturated(checkpoint: Path):
    model = IntegerModel.from_checkpoint(checkpoint)
    tokens, without = sequences(model.shape.mask_token)
    logits, others = model.forward(tokens), model.forward(without)
    scale = torch.tensor([6 << 11, 0, 1])[:, None, None]
    word = model.numerics.word
    both = ((4096 + scale) * logits - scale * others + 2048 >> 12).clamp(word.min, word.max)
    off = torch.zeros(both.shape, dtype=torch.bool)
    off[2, :, 1] = True
    token, spread = Argmax(model.units.argmax.numerator).compute(both, off)
    found = model.predict(tokens, manners=MANNERS)
    assert torch.equal(found.tokens, token) and torch.equal(found.spread, spread)
    assert not torch.equal(model.predict(tokens).spread, found.spread)


def test_the_float_model_combines_them_too(checkpoint: Path):
    model = FloatModel.from_checkpoint(checkpoint)
    tokens, without = sequences(model.shape.mask_token)
    with torch.inference_mode():
        logits, others = model(tokens).double(), model(without).double()
    scale = torch.tensor([3.0, 0.0, 1 / 4096])[:, None, None]
    both = (1 + scale) * logits - scale * others
    both[2, :, 1] = -torch.inf
    found = FloatEngine(model).predict(tokens, manners=MANNERS)
    assert torch.equal(found.tokens, both.argmax(-1))
    right = (both - both.amax(-1, keepdim=True)).exp().sum(-1) * 65536
    assert (found.spread - right).abs().max() < 2
