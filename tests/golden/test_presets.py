"""The architectures that come with the package are the published ones."""

import math

import pytest

from golden.checkpoints.checkpoint import expected_tensors
from golden.checkpoints.config import ModelConfig
from golden.checkpoints.presets import PRESETS, preset_path, read_preset
from golden.errors import UserError


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_read(name):
    assert read_preset(name)["hidden_size"] > 0


def test_llada_moe_has_as_many_parameters_as_the_published_checkpoint():
    config = ModelConfig.from_json(preset_path("llada-moe-7b"))
    assert sum(math.prod(shape) for shape in expected_tensors(config).values()) == 7_356_880_896


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"gpt-5.*llada-moe-7b, llada2.0-mini, llada2.0-flash, gpt-oss-120b"):
        preset_path("gpt-5")
