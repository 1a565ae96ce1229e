"""The architectures that come with the package are the published ones."""

import pytest

from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import PRESETS, preset_path, read_preset
from hardloom.golden.checkpoints.synthetic import reduced
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ExpertsShape


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


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_of_fewer_layers_is_the_published_model_cut_short(name: str, layers: int):
    published, fields = shape_of(read_preset(name)), reduced(read_preset(name), layers, None, None)
    shape = shape_of(fields)
    assert fields.keys() == read_preset(name).keys()
    assert shape.layers == published.layers[:layers]
    assert (shape.vocab_size, shape.hidden_size) == (published.vocab_size, published.hidden_size)


@pytest.mark.parametrize("experts", [1, 3, 4, 12, 64, 1000])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_takes_any_number_of_experts_and_tokens(name: str, experts: int):
    shape = shape_of(reduced(read_preset(name), 2, experts, 7))
    (found,) = {layer.mlp for layer in shape.layers if isinstance(layer.mlp, ExpertsShape)}
    assert (found.num_experts, shape.vocab_size) == (experts, 7)
    assert found.top_k == min(experts, 4 if name == "gpt-oss-120b" else 8)
