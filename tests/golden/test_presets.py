"""The architectures that come with the package are the published ones."""

import pytest

from golden.checkpoints.families import shape_of
from golden.checkpoints.presets import PRESETS, preset_path, read_preset
from golden.errors import UserError


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_read(name):
    assert read_preset(name)["hidden_size"] > 0


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("llada-moe-7b", 7_356_880_896), ("llada2.0-mini", 16_255_643_392), ("llada2.0-flash", 102_889_705_216)],
)
def test_models_have_as_many_parameters_as_the_published_checkpoints(name: str, parameters: int):
    shape = shape_of(read_preset(name))
    assert sum(tensor.elements for tensor in shape.tensors()) == shape.parameters == parameters


def test_gpt_oss_is_causal():
    assert {layer.attention.block_length for layer in shape_of(read_preset("gpt-oss-120b")).layers} == {1}


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"gpt-5.*llada-moe-7b, llada2.0-mini, llada2.0-flash, gpt-oss-120b"):
        preset_path("gpt-5")
