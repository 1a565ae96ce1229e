"""One checkpoint in chips that do more or less at once: the same integers at every probe point, the same commits, and
the cycles that the model says."""

from pathlib import Path

import pytest

from hardloom.flows.bench.cycles import modelled
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.proof.static import recover
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.chips import built_chip
from tests.samplers import by_quota

CONFIG = tiny_config(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=4, num_experts=4,
    num_experts_per_tok=3, expert_intermediate_size=8,
)  # fmt: skip
LENGTHS = [(1, by_quota(1, 1, 1)), (3, by_quota(6, 3, 4)), (13, by_quota(4, 2, 2))]
"""Of prompts: 2, 9 and 17 positions in all."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> QuantizedCheckpoint:
    folder = tmp_path_factory.mktemp("parallel")
    write_random_checkpoint(folder / "ckpt", CONFIG)
    quantize_checkpoint(folder / "ckpt", folder / "q", "mxfp4", numerics=Numerics())
    return QuantizedCheckpoint(folder / "q")


@pytest.mark.parametrize(
    "at_once",
    [
        (2, 2, 2, 2, 3, 2, 1),
        *(
            pytest.param(at_once, marks=pytest.mark.slow)
            for at_once in [
                (1, 1, 1, 1, 1, 0, 0),
                (4, 1, 1, 3, 2, 0, 1),
                (1, 3, 4, 1, 1, 3, 0),
                (4, 3, 2, 1, 5, 0, 0),
                (2, 5, 1, 2, 1, 1, 4),
            ]
        ),
    ],
)
def test_what_is_done_at_once_changes_no_integer(
    checkpoint: QuantizedCheckpoint, tmp_path: Path, at_once: tuple[int, ...]
) -> None:
    names = ("head_lanes", "query_lanes", "expert_groups", "routers", "head_tiles")
    named = dict(zip(names, at_once[:5], strict=True))
    queues = dict(zip(("packets", "results"), at_once[5:], strict=True))
    fields = HardwareConfig.default(shape_of(CONFIG)).to_json_dict() | {"max_positions": 20}
    hardware = HardwareConfig.from_json_dict(fields | named | {"queues": queues})
    chip = SimulatedChip(built_chip(checkpoint, tmp_path / "chip", hardware), QUICK_BUILD)
    assert recover(chip.build).complete
    runs = [Run([3 + k % 7 for k in range(length)], params) for length, params in LENGTHS]
    result = compare_runs(chip, IntegerModel(checkpoint), runs, tmp_path / "taps")
    assert result.scoreboard.first is None and result.tokens == result.expected
    assert result.scoreboard.compared > 10_000
    for run in runs:
        assert modelled(chip.build, [run]) == [pytest.approx(run.cycles, rel=0.01)]
