"""What tests of checkpoints share."""

from pathlib import Path

import pytest

from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import tiny_config, write_random_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny random checkpoint."""
    return write_random_checkpoint(tmp_path / "checkpoint")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One with a bias at its router, to be quantized."""
    return write_random_checkpoint(tmp_path / "source", tiny_config(moe_router_enable_expert_bias=True))


@pytest.fixture
def quantized(tmp_path: Path, source: Path) -> Path:
    """It, in mxfp4."""
    quantize_checkpoint(source, tmp_path / "quantized", "mxfp4", numerics=Numerics())
    return tmp_path / "quantized"
