"""What tests share: one tiny chip for every one that needs a whole chip (generating and compiling it takes long), and
one thread for PyTorch (on tensors as small as those of the tests, more of them only wait for each other)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from hardloom.gen.build.folder import Build
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.chip.simulation import SimulatedChip
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.checkpoints import CHIP_FORMATS, chip_config, write_chip_checkpoint
from tests.chips import built_chip

torch.set_num_threads(1)

settings.register_profile("fixed", derandomize=True)
settings.register_profile("fresh", print_blob=True)
settings.load_profile("fixed")
"""The same examples in every run; `make test-all` asks for fresh ones and prints how to repeat those that fail."""

MAX_POSITIONS = 32


@pytest.fixture(scope="session", autouse=True)
def cache_of_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Simulations of the tests go to a folder of their own; its name holds what make and shells would trip on."""
    folder = tmp_path_factory.mktemp("cache") / 'it\'s a "ca$he"; #ü (1)'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDLOOM_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_fields() -> dict[str, Any]:
    """A `config.json`: `chip_config`."""
    return chip_config()


@pytest.fixture(scope="session")
def tiny_model(tiny_fields: dict[str, Any]) -> ModelShape:
    """The model of `tiny_fields`."""
    return shape_of(tiny_fields)


@pytest.fixture(scope="session")
def tiny_quantized(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two random quantized checkpoints of one geometry, and of several formats."""
    folder = tmp_path_factory.mktemp("tiny")
    for seed in (0, 1):
        write_chip_checkpoint(folder / f"ckpt{seed}", seed)
        quantize_checkpoint(
            folder / f"ckpt{seed}", folder / str(seed), "mxfp4", formats=CHIP_FORMATS, numerics=Numerics()
        )
    return [folder / "0", folder / "1"]


@pytest.fixture(scope="session")
def tiny_hardware(tiny_model: ModelShape) -> HardwareConfig:
    fields = HardwareConfig.default(tiny_model).to_json_dict()
    return HardwareConfig.from_json_dict(fields | {"max_positions": MAX_POSITIONS, "sequences": 3})


@pytest.fixture(scope="session")
def tiny_build(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path_factory: pytest.TempPathFactory
) -> Build:
    """The chip of the first checkpoint."""
    return built_chip(QuantizedCheckpoint(tiny_quantized[0]), tmp_path_factory.mktemp("chip") / "chip", tiny_hardware)


@pytest.fixture(scope="session")
def tiny_chip(tiny_build: Build) -> SimulatedChip:
    """It, under Verilator."""
    return SimulatedChip(tiny_build, QUICK_BUILD)


@pytest.fixture(scope="session")
def tiny_integer_model(tiny_quantized: list[Path]) -> IntegerModel:
    return IntegerModel(QuantizedCheckpoint(tiny_quantized[0]))
