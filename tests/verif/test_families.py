"""A whole chip of each family, of small sizes: every step and every probe point is the integer model's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardloom.flows.bench.cycles import modelled
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.errors import UserError
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.units.numerics import GENERAL
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.proof.static import recover
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.checkpoints import CHIP_FORMATS
from tests.chips import built_chip
from tests.published_models import FAMILIES, write_family
from tests.samplers import by_quota, by_threshold

RUNS = [
    Run([1, 2, 3], by_quota(8, 4, 4)),
    Run([5, 4, 3, 2, 1], by_threshold(4, 4, 0.5)),
    Run([7], Sampling.of("left_to_right", gen_length=3)),
]

DRAWN = [
    Run([1, 2, 3], Sampling.of("threshold", gen_length=8, block_length=4, threshold=0.5, temperature=1.5, seed=7)),
    Run([5, 4], Sampling.of("llada", gen_length=4, block_length=4, steps=4, temperature=15.9, seed=3, suppress_eos=1)),
    Run([7], Sampling.of("left_to_right", gen_length=3, temperature=0.25, seed=0xFFFFFFFF)),
]
"""For chips that have a temperature."""

NEAR = [
    Run([1, 2, 3], Sampling.of("llada", gen_length=8, block_length=4, steps=8, vicinity=1)),
    Run([5, 4, 3, 2, 1], Sampling.of("threshold", gen_length=9, block_length=3, threshold=0.5, vicinity=0)),
    Run([7, 2], Sampling.of("llada", gen_length=12, block_length=6, steps=8, vicinity=3)),
    Run([9, 8, 7], Sampling.of("left_to_right", gen_length=3, vicinity=2)),
]
"""For chips that keep keys and values of models in which all positions see each other."""

SMALLER = {"hidden_size": 16, "head_dim": 8, "rotary_dim": 4, "num_experts": 4, "n_group": 2, "topk_group": 1}
SMALLER |= {"moe_intermediate_size": 8, "intermediate_size": 16, "num_shared_experts": 1, "vocab_size": 20}
SMALLER |= {"mask_token_id": 18, "eos_token_id": 19}
"""Fields of LLaDA2 for the one chip that is not among the slow tests."""

slow = pytest.mark.slow


def quantized(family: str, folder: Path) -> QuantizedCheckpoint:
    """A random checkpoint of the family, under the contract of a model of which nothing is known."""
    source = write_family(folder / "checkpoint", family)
    quantize_checkpoint(source, folder / "quantized", "mxfp4", formats=CHIP_FORMATS, numerics=GENERAL)
    return QuantizedCheckpoint(folder / "quantized")


@pytest.mark.parametrize(
    "family, fields, hardware",
    [
        ("LLaDA2.0", SMALLER, {"head_lanes": 2, "query_lanes": 2, "expert_groups": 2, "routers": 2}),
        (
            "LLaDA2.0",
            SMALLER,
            {"cache": True, "query_lanes": 2, "sequences": 3, "head_tiles": 2, "temperature": True, "view": "table"}
            | {"queues": {"packets": 1, "results": 2}},
        ),
        pytest.param("LLaDA2.0", {}, {}, marks=slow),
        pytest.param("LLaDA2.0", {}, {"cache": True, "head_lanes": 2, "sequences": 3}, marks=slow),
        pytest.param(
            "LLaDA2.0", {}, {"head_lanes": 4, "query_lanes": 4, "expert_groups": 4, "slices": {"kv": 2}}, marks=slow
        ),
        pytest.param("LLaDA2.2", {}, {"cache": True}, marks=slow),
        pytest.param("LLaDA2.2", {}, {"query_lanes": 2, "expert_groups": 2}, marks=slow),
        pytest.param("Dream", {}, {"head_lanes": 2, "temperature": True}, marks=slow),
        pytest.param("LLaDA, biased", {}, {"temperature": True}, marks=slow),
        pytest.param("Llama", {}, {}, marks=slow),
        pytest.param("Llama", {"vocab_size": 32}, {"cache": True, "sequences": 2, "head_tiles": 2}, marks=slow),
        pytest.param("LLaDA-MoE", {}, {"head_lanes": 4, "temperature": True}, marks=slow),
        pytest.param("LLaDA-MoE", {"qk_layernorm": False}, {"query_lanes": 3}, marks=slow),
        ("LLaDA-MoE", {}, {"cache": True, "sequences": 3, "query_lanes": 3, "head_lanes": 2, "view": "table"}),
        pytest.param("LLaDA-MoE", {}, {"cache": True, "temperature": True}, marks=slow),
        pytest.param("LLaDA", {}, {"cache": True, "sequences": 2, "head_tiles": 2}, marks=slow),
        pytest.param("Dream", {}, {"cache": True, "head_lanes": 2}, marks=slow),
        pytest.param("Dream", {}, {"cache": True, "sequences": 2, "query_lanes": 2}, marks=slow),
    ],
)
def test_a_chip_of_a_family_is_the_integer_model(
    family: str, fields: dict[str, Any], hardware: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, family, (FAMILIES[family][0] | fields, FAMILIES[family][1]))
    checkpoint = quantized(family, tmp_path)
    default = HardwareConfig.default(checkpoint.model).to_json_dict()
    hardware = dict(hardware)
    view = hardware.pop("view", "wiring")
    kinds = {"slices": default["slices"] | hardware.get("slices", {}), "max_positions": 16}
    built = built_chip(checkpoint, tmp_path / "chip", HardwareConfig.from_json_dict(default | hardware | kinds))
    recovery = recover(built)
    assert recovery.complete, recovery.first
    model, at_once = IntegerModel(checkpoint), built.hardware.sequences
    asked = RUNS + DRAWN * built.hardware.temperature
    if built.hardware.cache and checkpoint.model.bidirectional:
        asked = asked[:1] + NEAR + asked[1:]
    chip = SimulatedChip(built, QUICK_BUILD, view=view)
    compared = 0
    for first in range(0, len(asked), at_once):
        runs = asked[first : first + at_once]
        result = compare_runs(chip, model, runs, tmp_path / "taps", at_once=at_once)
        assert result.scoreboard.first is None, str(result.scoreboard.first)
        assert result.scoreboard.mismatches == 0
        assert result.tokens == result.expected
        counted = sum(modelled(built, result.runs))
        assert counted == pytest.approx(sum(run.cycles for run in result.runs), rel=0.03)
        compared += result.scoreboard.compared
    assert compared > 20_000


@pytest.mark.parametrize(
    "hardware, sentence",
    [
        ({"head_lanes": 3}, "head_lanes: 3 does not divide num_heads = 4"),
        ({"expert_groups": 3}, "expert_groups: 3 does not divide num_experts = 8"),
        ({"routers": 0}, "routers: 0 must be"),
        ({"query_lanes": 8}, "query_lanes: 8 does not divide block_length = 4"),
        ({"lanes": 8}, "lanes: 8 does not divide rotary_dim / 2"),
        ({"cache": 1}, "cache: 1 is neither true nor false"),
        ({"temperature": "yes"}, "temperature: 'yes' is neither true nor false"),
        ({"adapter_rank": 17}, "adapter_rank: 17 is none of 0 to 16"),
        ({"adapter_rank": True}, "adapter_rank: True is none of 0 to 16"),
        ({"style": {"shared": "metal"}}, "give qkv, o, router, gate_up, down, head"),
    ],
)
def test_hardware_that_a_family_does_not_fit_is_refused(
    hardware: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    model = quantized("LLaDA2.0", tmp_path).model
    with pytest.raises(UserError, match=sentence):
        HardwareConfig.from_json_dict(HardwareConfig.default(model).to_json_dict() | hardware).check(model)


@pytest.mark.parametrize(
    "family, fields, why",
    [
        ("LLaDA2.0", {"block_size": 6}, "block_length = 6 is no power of two"),
    ],
)
def test_a_cache_is_refused_where_nothing_can_be_kept(
    family: str, fields: dict[str, Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, family, (FAMILIES[family][0] | fields, FAMILIES[family][1]))
    model = quantized(family, tmp_path).model
    with pytest.raises(UserError, match=f"^hardware config, cache: {why}, so nothing can be kept; leave it out"):
        replace(HardwareConfig.default(model), cache=True).check(model)


def test_what_chips_do_not_have_is_named(tmp_path: Path) -> None:
    model = replace(quantized("Dream", tmp_path).model, shift=2)
    with pytest.raises(UserError, match="the chip does not have a head that predicts 2 positions ahead yet"):
        HardwareConfig.default(model)
