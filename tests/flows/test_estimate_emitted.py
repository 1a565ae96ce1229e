"""The estimate of chips that `hardloom generate` writes: which there are, what they do at once, what a step costs."""

from dataclasses import replace

import pytest

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.bench.cycle_chips import CHIPS
from hardloom.flows.design.cost.model import CostModel
from hardloom.flows.design.cost.shapes import ArrayShape
from hardloom.flows.design.cycles.geometry import ArrayPace
from hardloom.flows.design.estimate.adapters import adapter_price
from hardloom.flows.design.estimate.area import attention_bits, emitted_bits
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.choices import LANES
from hardloom.flows.design.estimate.emitted import emitted_steps, pass_kinds
from hardloom.flows.design.estimate.figures import Estimate, estimate, read_model
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.workload import Workload, workload_tables
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.queues import Queues
from hardloom.gen.engine.inventory import chip_parts
from hardloom.gen.stream.ram import Ram
from hardloom.gen.units.adapter_matrix import AdapterMatrix
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import PRESETS
from hardloom.golden.samplers.denoise import Pass
from hardloom.golden.samplers.interpreter import Machine
from hardloom.golden.samplers.manner import Manner
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.samplers.spans import span
from hardloom.golden.units.numerics import GENERAL
from tests import ROOT
from tests.command_line import hardloom
from tests.golden.samplers.engines import Tokens


def run(model: str, **request) -> Estimate:
    return estimate(*read_model(model, None), Request(**request))


@pytest.mark.parametrize(
    "model, request_",
    [("gpt-oss-120b", {}), ("llada-moe-7b", {"sampler": "block"}), ("llada2.0-mini", {"sampler": "cached"})],
)
def test_what_is_not_emitted_says_why(model, request_):
    found = run(model, **request_)
    assert found.emitted is None and "`hardloom generate`" in str(found.not_emitted)
    assert found.to_json_dict()["emitted"] is None and found.to_json_dict()["projected"]["tokens_per_s"] > 1000


def test_an_estimate_of_a_published_model_plans_no_array(monkeypatch):
    """What takes seconds is stored, of the projected chip and of the emitted one."""
    monkeypatch.setattr(
        "hardloom.flows.design.cost.quantities.count_shape", lambda shape: pytest.fail(f"{shape} is not stored")
    )
    for model in PRESETS:
        run(model, design="hardloom")
    run("llada2.0-mini", sampler="whole")


def test_chips_of_other_families_are_emitted_and_their_cycles_counted():
    """At one key a cycle attention is the slowest: keys a query sees, half of them and half a block where it goes by
    blocks, times heads and layers."""
    queued = AtOnce(queues=Queues(packets=1, results=1))
    found = run("llada2.0-mini", sampler="whole", at_once=queued)
    seen = (found.workload.length + 32) / 2
    assert found.emitted is not None and found.not_emitted is None
    assert found.emitted.cycles_per_position == pytest.approx(20 * 16 * seen, rel=0.15)
    llada = {"model_type": "llada", "vocab_size": 1000, "d_model": 256, "n_layers": 3, "n_heads": 4, "n_kv_heads": 4}
    llada |= {"mlp_hidden_size": 512, "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "max_sequence_length": 512}
    dense = estimate("dense", llada | {"mask_token_id": 998, "eos_token_id": 999}, {}, Request(styles=("metal",)))
    assert dense.emitted is not None and dense.emitted.cycles_per_position == pytest.approx(3 * 4 * 256, rel=0.15)


def test_more_bits_of_activations_take_more_planes(tiny_quantized):
    """Of bit-serial arrays in cycles, of all in gates; those of the other sites stay as they are."""
    name, raw, held = read_model(None, tiny_quantized[0])
    numerics = held["numerics"]
    wide = held | {"numerics": numerics | {"activations": numerics["activations"] | {"swiglu": 10}, "gains": "behind"}}
    found, wider = (estimate(name, raw, each, Request(styles=("packed",))) for each in (held, wide))
    assert found.emitted is not None and wider.emitted is not None
    slow = {choice.kind.kind: choice for choice in found.emitted.choices}
    for choice in wider.emitted.choices:
        before = slow[choice.kind.kind]
        more = choice.cost.packet_cycles - before.cost.packet_cycles, choice.cost.gates > before.cost.gates
        assert more == ((2 * choice.option.slices, True) if choice.kind.kind == "down" else (0, False))
    assert wider.emitted.cycles_per_position > found.emitted.cycles_per_position


def test_several_sequences_fill_the_emitted_chip():
    """Until its slowest part has no pause; memories of a second pass, and slots, are paid for."""
    by = {n: run("llada-moe-7b", at_once=AtOnce(head_lanes=16, sequences=n)).emitted for n in (1, 2, 18, 40)}
    speeds = {n: chip.tokens_per_s for n, chip in by.items() if chip is not None}
    assert speeds[2] == pytest.approx(2 * speeds[1], rel=0.001)
    assert speeds[18] > 15 * speeds[1] and speeds[40] == speeds[18]
    assert by[2].area > by[1].area and by[40].area > by[18].area > by[2].area
    alone = run("llada-moe-7b").emitted
    assert by[1].area_mm2["attention"] == pytest.approx(16 * alone.area_mm2["attention"])


def test_tiles_of_the_head_drain_side_by_side():
    """Where the head is the slowest part, two tiles take half of its time."""
    queues = Queues(residual=64, routing=8, packets=3, results=3)
    lanes = AtOnce(head_lanes=16, query_lanes=4, expert_groups=8, sequences=24, queues=queues)
    whole, tiled = (run("llada-moe-7b", at_once=replace(lanes, head_tiles=n)).emitted for n in (1, 2))
    assert tiled.tokens_per_s == pytest.approx(2 * whole.tokens_per_s, rel=0.03)


def test_noise_on_logits_is_paid_for():
    """In gates by lane and tile of the head, and in cycles of a step; the projected chip stays as it is."""
    lanes = AtOnce(head_lanes=16)
    plain, drawn, tiled = (
        run("llada-moe-7b", at_once=replace(lanes, **given))
        for given in ({}, {"temperature": True}, {"temperature": True, "head_tiles": 4})
    )
    untiled = run("llada-moe-7b", at_once=replace(lanes, head_tiles=4))
    more = drawn.emitted.area_mm2["other units"] - plain.emitted.area_mm2["other units"]
    assert 0 < more < 0.1 and drawn.chip == plain.chip
    assert tiled.emitted.area_mm2["other units"] - untiled.emitted.area_mm2["other units"] > 2 * more
    steps = [one.emitted.cycles_per_position * plain.workload.length for one in (plain, drawn)]
    assert steps[1] - steps[0] == pytest.approx(12)


def test_queues_around_arrays_of_experts_are_paid_for():
    """In bits and in what is written and read; the emitted chip alone has them."""
    shape, lanes = run("llada-moe-7b").shape, AtOnce(expert_groups=8)
    none, packets, both = (
        run("llada-moe-7b", at_once=replace(lanes, queues=Queues(packets=p, results=r)))
        for p, r in ((0, 0), (2, 0), (2, 3))
    )
    experts, a = 16 * 64, none.assumptions
    bits = [emitted_bits(shape, none.workload, found.request.at_once, a) for found in (none, packets, both)]
    assert bits[1] - bits[0] == experts * 2 * (2048 + 1024) * 8
    assert bits[2] - bits[1] == experts * 3 * (2 * 1024 + 2048) * 25
    moved = 2 * 16 * 8 * ((2048 + 1024) * 8 + (2 * 1024 + 2048) * 25) / 8
    watts = both.emitted.power_w["buffers"] / both.emitted.positions_per_s
    more = watts - none.emitted.power_w["buffers"] / none.emitted.positions_per_s
    assert more == pytest.approx(moved * a["sram_fj_per_byte"] * 1e-15) and both.chip == none.chip


def test_adapters_are_a_part_of_their_own():
    """On both chips: as many bits as A and B have, and, as emitted, two multipliers an element of the rank and lane."""
    plain, four, whole = (run("llada-moe-7b", at_once=AtOnce(adapter_rank=rank)) for rank in (0, 4, 16))
    assert plain.chip.adapters is None and "adapters" not in plain.chip.area_mm2 | plain.emitted.power_w
    found = whole.emitted.adapters
    assert found.products == whole.chip.adapters.products == 16 * 4 * 16 * (2048 + 2048)
    assert found.bits == 8 * found.products == 4 * four.chip.adapters.bits
    assert found.multipliers == 2 * 16 * 16 * 4 * LANES
    for chip, without in ((whole.chip, plain.chip), (whole.emitted, plain.emitted)):
        assert chip.area_mm2["adapters"] == chip.adapters.mm2 > 0 < chip.power_w["adapters"]
        same = without.area_mm2.keys() - {"overhead", "interconnect"}
        assert {name: chip.area_mm2[name] for name in same} == {name: without.area_mm2[name] for name in same}
    assert whole.emitted.cycles_per_position > plain.emitted.cycles_per_position
    assert whole.to_json_dict()["adapters"]["rank"] == 16 and plain.to_json_dict()["adapters"] is None


def test_bits_and_multipliers_of_adapters_are_those_of_the_chip_written():
    shape = shape_of(CHIPS[0].fields)
    hardware = replace(HardwareConfig.default(shape), adapter_rank=4)
    found = [part for part in chip_parts(shape, GENERAL, hardware, "chip") if isinstance(part.thing, AdapterMatrix)]
    price = adapter_price(shape, 4, None, hardware.lanes, Assumptions.of("5nm", ()))
    assert sum(len(p.layers) * p.thing.depth * p.thing.parts * 32 for p in found) == price.bits
    assert sum(len(p.layers) * p.thing.sums * p.thing.count for p in found) == price.multipliers


def test_rows_say_whether_they_are_emitted_and_what_their_clock_rests_on():
    rows = run("llada-moe-7b", at_once=AtOnce(sequences=3, expert_groups=4)).to_json_dict()
    assert rows["emitted"]["emitted"] is True and rows["projected"]["emitted"] is False
    assert (rows["emitted"]["sequences"], rows["emitted"]["expert_groups"]) == (3, 4)
    for row in (rows["emitted"], rows["projected"]):
        assert row["clock_ghz"] == 0.67
        assert row["clock_evidence"].startswith("measured: the clock that the whole demonstration chip meets")


@pytest.mark.parametrize(
    "option, sentence",
    [
        (["--head-lanes", "3"], "--head-lanes: 3 does not divide num_heads = 16"),
        (["--expert-groups", "3"], "--expert-groups: 3 does not divide num_experts = 64"),
    ],
)
def test_what_a_model_cannot_do_at_once_is_refused(option, sentence):
    ran = hardloom("estimate", "--like", "llada-moe-7b", *option)
    assert ran.code == 1 and ran.err.strip() == f"error: {sentence}"


def test_memories_of_attention_are_those_of_the_hardware():
    """All that are as deep as the sequence is long, with keys and values of every slot."""
    at_once = AtOnce(sequences=3, query_lanes=2, cache=True)
    model, length = shape_of(next(chip.fields for chip in CHIPS if chip.family == "LLaDA2.0")), 4096
    same = {name: getattr(at_once, name) for name in ("sequences", "query_lanes", "cache")}
    hardware = replace(HardwareConfig.default(model), max_positions=length, **same)
    found = (part for part in chip_parts(model, GENERAL, hardware, "chip") if part.path[:1] == ("attention",))
    memories = [part.thing.geometry for part in found if part.layers == (0,) and isinstance(part.thing, Ram)]
    bits = sum(memory.depth * memory.width for memory in memories)
    assert length * attention_bits(model, at_once, Assumptions.of("5nm")) == pytest.approx(bits, rel=0.02)


@pytest.mark.parametrize("prompt", [8, 11])
def test_passes_are_as_long_as_the_samplers_rule_says(prompt: int):
    """The first pass of a run, of a block, and the others, in the middle of halves of a run, as often as they come."""
    kinds = pass_kinds(Workload(prompt + 32, 32, 4, 2), 4, 4, cache=True)
    assert sum(kind.share for kind in kinds) == pytest.approx(1)
    assert kinds[0].share == pytest.approx(1 / 16)

    def positions(start: int, since: int) -> range:
        return span(4, Pass(start, start + 4, since, (), Manner()), prompt + 32)

    assert kinds[0].positions == positions(prompt, 0)
    for number, block in ((1, 2), (3, 6)):
        start = prompt + 4 * block
        assert kinds[number].positions == positions(start, start - 2)
        assert kinds[number + 1].positions == positions(start, start)
        assert kinds[number].share * 2 == pytest.approx(7 / 16)


def test_passes_with_a_vicinity_are_as_long_as_the_samplers_rule_says():
    """The first pass of a block, and the others of the second and the last block of four."""
    sampling = Sampling.of("llada", gen_length=32, block_length=8, steps=16, vicinity=3)
    machine = Machine(sampling.program(Tokens()), list(range(10)), 32, Tokens.mask_token, Tokens.vocab_size)
    passes = []
    while machine.run():
        machine.answer([0] * len(machine.wanted), [1] * len(machine.wanted))
        passes.append(span(None, Pass(0, 0, 0, (), Manner(), machine.span), 42))
    anew, *near = kinds = pass_kinds(Workload(42, 32, 14, 2, vicinity=3), 8, None, cache=True)
    assert [kind.share for kind in kinds] == pytest.approx([1 / 4, 3 / 8, 3 / 8])
    assert anew.positions == passes[0] == passes[4] and anew.kept == 0
    assert [kind.positions for kind in near] == [passes[5], passes[13]]
    assert [kind.positions.stop + kind.kept for kind in near] == [42, 42]


def test_a_vicinity_is_emitted_with_kept_keys_and_values():
    """Fewer cycles a token than whole sequences take, for keys and values of every slot."""
    near, whole = (
        run("llada-moe-7b", sampler=sampler, at_once=AtOnce(head_lanes=16, sequences=18)).emitted
        for sampler in ("cached", "whole")
    )
    assert near is not None and whole is not None
    assert near.tokens_per_s > 1.8 * whole.tokens_per_s
    assert near.area_mm2["buffers"] > 2 * whole.area_mm2["buffers"]


def test_block_diffusion_is_emitted_with_kept_keys_and_values():
    """A block and what has changed is computed in a step; keys and values of every slot are paid for."""
    speeds, areas = [], []
    for sequences in (1, 8, 16):
        found = run("llada2.0-mini", at_once=AtOnce(head_lanes=16, sequences=sequences))
        assert found.emitted is not None and found.to_json_dict()["emitted"]["cache"] is True
        speeds.append(found.emitted.tokens_per_s)
        areas.append(found.emitted.area_mm2["buffers"])
    assert speeds[1] == pytest.approx(8 * speeds[0], rel=0.05)
    assert areas[2] - areas[1] == pytest.approx(8 * 1024 * 20 * 8260 * 0.021 / 0.5e6, rel=0.03)
    whole = run("llada2.0-mini", sampler="whole", at_once=AtOnce(head_lanes=16)).emitted
    assert whole is not None and speeds[0] > 1.5 * whole.tokens_per_s


@pytest.mark.parametrize("name, simulated", [("", 4_650), (", cache", 709)])
def test_several_sequences_take_the_cycles_that_were_simulated(name: str, simulated: int):
    """Six at once, of 64 positions in blocks of 8, a token a step: docs/benchmarks.md, Cache."""
    assert "| 6, 2 | 64, of 8 | 4,650 | 709 |" in (ROOT / "docs" / "benchmarks.md").read_text()
    chip = next(chip for chip in CHIPS if chip.name == f"64 positions, blocks of 8{name}")
    shape, model = shape_of(chip.fields), CostModel.read()
    hardware = HardwareConfig.from_json_dict(HardwareConfig.default(shape).to_json_dict() | chip.hardware)
    paces = {}
    for kind in shape.kinds():
        style, slices = hardware.style_of(kind.kind), hardware.slices_of(kind.kind)
        array = ArrayShape(style, kind.rows, kind.inputs, slices, hardware.lanes, kind.banks)
        paces[kind.kind] = ArrayPace(round(model.cost(array).packet_cycles))
    at_once = AtOnce(sequences=6, head_lanes=2, cache=hardware.cache)
    a = Assumptions.of("5nm", workload_tables("block", 16))
    a = a.given(prompt_length=8, gen_length=56, block_length=8, tokens_per_forward=1)
    work = Workload.of("block" if hardware.cache else "whole", a)
    steps = emitted_steps(shape, hardware.lanes, paces, work, a, at_once)
    assert steps.cycles == pytest.approx(simulated, rel=0.03)
