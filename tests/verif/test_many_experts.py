# amaranth: UnusedElaboratable=no
"""A layer of so many experts that all their results side by side are more than a vector of Verilog has to hold."""

import re
from pathlib import Path
from typing import Any

import pytest

from hardloom.flows.bench.cycles import modelled
from hardloom.gen.design.hardware import ARRAY_KINDS, HardwareConfig
from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.layer import LayerEngine
from hardloom.gen.text.verilog import modules_in, to_verilog
from hardloom.gen.text.waivers import WAIVED
from hardloom.gen.units.flow import MOST_VECTOR
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import GENERAL, Numerics
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.proof.static import recover
from hardloom.verif.simulators.verilator import QUICK_BUILD, lint
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.chips import built_chip
from tests.samplers import by_quota

MANY: dict[str, Any] = {"num_experts": 256, "num_experts_per_tok": 8, "num_hidden_layers": 1, "hidden_size": 16}
MANY |= {"num_attention_heads": 1, "num_key_value_heads": 1, "expert_intermediate_size": 16, "vocab_size": 19}
MANY |= {"mask_token_id": 17, "eos_token_id": 18}

RUNS = [Run([1, 2, 3], by_quota(4, 4, 2)), Run([16, 4, 9, 9, 11], by_quota(3, 3, 3))]


def input_bits(module: str) -> int:
    """Of a module, given as text."""
    return sum(int(top or 0) + 1 for top in re.findall(r"^  input  wire (?:signed )?(?:\[(\d+):0\] )?", module, re.M))


def vectors(text: str) -> list[int]:
    """Bits of each vector in a text, of two bits or more."""
    return [int(top) + 1 for top in re.findall(r"\[(\d+):0\]", text)]


@pytest.mark.slow
def test_a_layer_of_256_experts_is_the_integer_model(tmp_path: Path) -> None:
    source = write_random_checkpoint(tmp_path / "checkpoint", tiny_config(**MANY))
    quantize_checkpoint(source, tmp_path / "quantized", "mxfp4", numerics=Numerics())
    checkpoint = QuantizedCheckpoint(tmp_path / "quantized")
    hardware = HardwareConfig.default(checkpoint.model).to_json_dict() | {"max_positions": 8}
    build = built_chip(checkpoint, tmp_path / "chip", HardwareConfig.from_json_dict(hardware))
    assert build.hardware.lanes == 8 and input_bits(build.read("rtl/units/layer.v").decode()) > MOST_VECTOR
    texts = (build.read(name).decode() for name in build.files if name.startswith("rtl/"))
    assert MOST_VECTOR / 2 < max(vectors("".join(texts))) <= MOST_VECTOR
    engine = re.compile(r"rtl/(prefab/hardloom_|constants/table_|units/layer(?!_0))")
    units = [name for name in build.files if engine.match(name)]
    assert lint("layer", units, build.path, [*WAIVED, "MULTITOP"]) == ""
    recovery = recover(build)
    assert recovery.complete, recovery.first
    chip = SimulatedChip(build, QUICK_BUILD, view="table")
    result = compare_runs(chip, IntegerModel(checkpoint), RUNS, tmp_path / "taps")
    assert result.scoreboard.first is None, str(result.scoreboard.first)
    assert result.tokens == result.expected and result.scoreboard.compared > 10_000
    counted = sum(sum(modelled(build, [run])) for run in result.runs)
    assert counted == pytest.approx(sum(run.cycles for run in result.runs), rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llada2.0-mini", "llada2.0-flash"])
def test_units_of_layers_of_published_models_of_256_experts_are_written(name: str) -> None:
    model = shape_of(read_preset(name))
    hardware, layer = HardwareConfig.default(model), len(model.layers) - 1
    engine = LayerEngine(LayerSizes(model, GENERAL, hardware, layer, dict.fromkeys(ARRAY_KINDS, 28)))
    units = modules_in(to_verilog(engine, "layer"))
    assert hardware.lanes == 8 and engine.sizes.num_experts == 256
    assert input_bits(units["layer"]) > 2 * MOST_VECTOR
    assert MOST_VECTOR / 2 < max(vectors("".join(units.values()))) <= MOST_VECTOR
