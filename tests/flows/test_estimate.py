"""The whole-chip estimate: its arithmetic, its sources, and the published chip that it must reproduce."""

import json
import subprocess
import sys
from dataclasses import replace
from math import inf, isclose, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.design.cost.model import CostModel
from flows.design.cost.shapes import ArrayShape
from flows.design.estimate.assumptions import KINDS, NODES, Assumptions, parse, read_data
from flows.design.estimate.at_once import AtOnce
from flows.design.estimate.cost import dies_per_wafer, murphy_yield
from flows.design.estimate.figures import Estimate, Request, error_bar, estimate, moved, read_model, value_of
from flows.design.estimate.systems import comparison, reproduction
from flows.design.estimate.tornado import bars, plot_tornado
from golden.checkpoints.families import shape_of
from golden.checkpoints.presets import PRESETS, read_preset
from golden.errors import UserError
from golden.shape import ModelShape
from tests import DEMO, ROOT
from tests.command_line import hardloom

KEYS = {
    "model", "node", "area_mm2", "area_um2_per_parameter", "dies", "tokens_per_s", "tokens_per_joule", "power_w",
    "nre_usd_low", "nre_usd_high", "mask_cost_reduction", "assumptions", "emitted", "projected",
}  # fmt: skip


def run(model: str, **request) -> Estimate:
    return estimate(*read_model(model, None), Request(**request))


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("llada-moe-7b", 7_356_880_896),
        ("gpt-oss-120b", 116_829_156_672),  # the model card says 116.83 B
        ("llada2.0-mini", 16_255_643_392),  # "16B"
        ("llada2.0-flash", 102_889_705_216),  # "100B"
    ],
)
def test_parameters_of_the_published_models(name, parameters):
    assert shape_of(read_preset(name)).parameters == parameters


def test_the_arrays_of_the_shape_are_the_matrices_of_the_checkpoint():
    shape = shape_of(read_preset("llada-moe-7b"))
    assert shape.hardwired == sum(matrix.elements for matrix in shape.matrices() if matrix.kind != "embedding")


def test_hnlpu_is_reproduced_from_its_own_parameters():
    errors = {row["figure"]: row["error"] for row in reproduction()}
    assert {"tokens_per_s", "tokens_per_joule", "area_mm2", "mask_cost_reduction", "nre_usd_low"} <= errors.keys()
    assert max(abs(error) for error in errors.values()) < 0.03


def test_the_reproduction_is_computed_not_typed_in():
    base = run("gpt-oss-120b")
    assert moved(base, "link_gbyte_per_s", 64).chip.tokens_per_s < 0.51 * base.chip.tokens_per_s
    assert moved(base, "chips", 8).chip.power == base.chip.power / 2
    assert moved(base, "per_chip_mask_share", 0.0).costs.mask_cost_reduction > 2 * base.costs.mask_cost_reduction
    assert moved(base, "sram_bitcell_um2", 0.025).chip.area > base.chip.area


@pytest.mark.parametrize("model", PRESETS)
@pytest.mark.parametrize("node", NODES)
def test_every_model_at_every_node(model, node):
    figures = run(model, node=node, design="hardloom").to_json_dict()
    assert figures.keys() >= KEYS
    assert isclose(sum(figures["area_by_part_mm2"].values()), figures["area_mm2"])
    assert isclose(figures["tokens_per_s"] / figures["power_w"], figures["tokens_per_joule"])
    assert isclose(figures["area_mm2"] * 1e6 / figures["parameters"], figures["area_um2_per_parameter"])
    assert figures["area_mm2"] <= figures["dies"] * 858
    assert 0 < figures["nre_usd_low"] < figures["nre_usd_high"]
    assert sum(choice["weights"] for choice in figures["array_choices"]) == figures["hardwired_weights"]
    json.dumps(figures, allow_nan=False)


@pytest.mark.parametrize("model", PRESETS)
def test_finer_nodes_are_smaller_and_save_energy(model):
    found = [run(model, node=node, design="hardloom", tokens_per_s=1000) for node in NODES]
    areas = [e.area_um2_per_parameter for e in found]
    assert areas == sorted(areas)
    energy = [e.chip.power / e.chip.tokens_per_s for e in found[:-1]]
    assert energy == sorted(energy)


@settings(max_examples=30, deadline=None)
@given(st.floats(10, 4e5), st.floats(1.0, 3.0))
def test_more_throughput_never_takes_less_area(tokens_per_s, factor):
    slow, fast = (run("llada-moe-7b", tokens_per_s=t) for t in (tokens_per_s, tokens_per_s * factor))
    assert fast.chip.tokens_per_s >= slow.chip.tokens_per_s * (1 - 1e-9)
    arrays = [sum(v for k, v in e.chip.area_mm2.items() if "arrays" in k) for e in (slow, fast)]
    assert arrays[1] >= arrays[0] * (1 - 1e-9)
    assert slow.chip.tokens_per_s >= tokens_per_s * (1 - 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.floats(1.0, 10.0))
def test_positions_of_a_token(prompt, gen, tokens_per_forward):
    tokens_per_forward = min(tokens_per_forward, gen)
    whole = run("llada-moe-7b", prompt_length=prompt, gen_length=gen, tokens_per_forward=tokens_per_forward)
    assert isclose(whole.workload.positions_per_token, (prompt + gen) / tokens_per_forward)
    block = run("llada2.0-mini", prompt_length=prompt, gen_length=gen, tokens_per_forward=tokens_per_forward)
    assert isclose(block.workload.positions_per_token, 32 / tokens_per_forward + 1)
    assert isclose(whole.chip.tokens_per_s * whole.workload.positions_per_token, whole.chip.positions_per_s)


@pytest.mark.parametrize(
    "name, direction",
    [("tokens_per_forward", 1), ("clock_ghz", 1), ("busy_share", 1), ("expert_imbalance", -1), ("gen_length", -1)],
)
def test_throughput_follows_its_assumptions(name, direction):
    base = run("llada-moe-7b")
    low, high = (moved(base, name, base.assumptions[name] * f).chip.tokens_per_s for f in (0.5, 2.0))
    assert (high - low) * direction > 0


def test_the_headline_that_the_documentation_states():
    found = run("llada-moe-7b")
    assert found.chip.dies == 1 and found.chip.tokens_per_s >= 249_960
    hnlpu = 13232e6 / 116_829_156_672
    assert 0.5 * hnlpu < found.area_um2_per_parameter < 0.6 * hnlpu
    narrow = run("llada-moe-7b", formats=dict.fromkeys(found.shape.formats, "mxfp4"))
    assert narrow.area_um2_per_parameter < 0.5 * hnlpu
    emitted = found.emitted
    assert emitted is not None and 230 < emitted.tokens_per_s < 260 and emitted.area < found.chip.area
    text = (ROOT / "docs" / "estimate.md").read_text()
    assert f"| emitted | 1 | {emitted.area:,.0f} | {emitted.tokens_per_s:,.0f} |" in text
    assert f"1 of {found.chip.area:,.0f} mm2" in text and f"{found.tokens_per_joule:.0f} |" in text


@pytest.mark.parametrize(
    "model, request_", [("gpt-oss-120b", {}), ("llada2.0-mini", {}), ("llada-moe-7b", {"sampler": "cached"})]
)
def test_what_is_not_emitted_says_why(model, request_):
    found = run(model, **request_)
    assert found.emitted is None and "`hardloom generate`" in str(found.not_emitted)
    assert found.to_json_dict()["emitted"] is None and found.to_json_dict()["projected"]["tokens_per_s"] > 1000


def test_an_estimate_of_a_published_model_plans_no_array(monkeypatch):
    """What takes seconds is stored, of the projected chip and of the emitted one."""
    monkeypatch.setattr("flows.design.cost.quantities.count_shape", lambda shape: pytest.fail(f"{shape} is not stored"))
    for model in PRESETS:
        run(model, design="hardloom")
    run("llada2.0-mini", sampler="whole")


def test_chips_of_other_families_are_emitted_and_their_cycles_counted():
    """At one key a cycle attention is the slowest: keys a query sees, half of them and half a block where it goes by
    blocks, times heads and layers."""
    found = run("llada2.0-mini", sampler="whole")
    seen = (found.workload.length + 32) / 2
    assert found.emitted is not None and found.not_emitted is None
    assert found.emitted.cycles_per_position == pytest.approx(20 * 16 * seen, rel=0.15)
    llada = {"model_type": "llada", "vocab_size": 1000, "d_model": 256, "n_layers": 3, "n_heads": 4, "n_kv_heads": 4}
    llada |= {"mlp_hidden_size": 512, "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "max_sequence_length": 512}
    dense = estimate("dense", llada | {"mask_token_id": 998, "eos_token_id": 999}, {}, Request(styles=("metal",)))
    assert dense.emitted is not None and dense.emitted.cycles_per_position == pytest.approx(3 * 4 * 256, rel=0.15)


def test_an_estimate_imports_nothing_that_takes_seconds():
    """It answers in a second because it loads neither PyTorch nor the generator."""
    program = """
import sys
sys.argv = ["hardloom", "estimate", "--like", "llada-moe-7b", "--json"]
from flows.cli.app import run
code = run()
sys.exit(code or sorted({"torch", "numba", "amaranth", "matplotlib", "scipy"} & sys.modules.keys()) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["emitted"]["tokens_per_s"] > 200


def test_the_tensors_of_a_model_are_counted_once(monkeypatch):
    """Hundreds of moved assumptions share one shape; walking its 3,000 tensors for each took seconds."""
    walked, tensors = [], ModelShape.tensors
    monkeypatch.setattr(ModelShape, "tensors", lambda shape: walked.append(shape) or tensors(shape))
    base = run("llada-moe-7b")
    error_bar(base, "area_um2_per_parameter")
    assert len(walked) == 2  # kinds of matrix, then vectors


def test_the_yield_and_the_wafer_of_the_paper():
    assert round(dies_per_wafer(827.08)) == 62
    assert round(murphy_yield(827.08, 0.11), 2) == 0.43


def test_gates_are_those_of_the_cost_model():
    found = run("llada-moe-7b").to_json_dict()
    kinds = run("llada-moe-7b").shape.kinds()
    for choice, kind in zip(found["array_choices"], kinds, strict=True):
        of = choice["style"], min(kind.rows, 1024), kind.inputs, choice["slices"], 64, kind.banks
        tile = ArrayShape(*of, kind.formats[0][0], kind.bits)
        cost = CostModel.read().cost(tile)
        gates = cost.neurons_ge * kind.rows / tile.rows + cost.shared_ge
        assert isclose(choice["gates_per_weight"], gates / kind.weights_each)


def test_the_energy_of_arrays_is_toggles_and_clocks():
    base = run("llada-moe-7b")
    toggles = moved(base, "gate_toggle_fj", 2 * base.assumptions["gate_toggle_fj"])
    both = moved(toggles, "flip_flop_fj", 2 * base.assumptions["flip_flop_fj"])
    watts = [found.chip.power_w["arrays"] for found in (base, toggles, both)]
    assert watts[0] < watts[1] < watts[2] and isclose(watts[2], 2 * watts[0])
    idle = moved(base, "gate_activity", 0.0).chip.power_w["arrays"]
    assert 0 < idle < watts[0]


def test_every_number_has_a_range_a_unit_and_a_source():
    tables = [read_data("common"), read_data("hnlpu"), *read_data("nodes").values(), *read_data("workloads").values()]
    for table in tables:
        for entry in parse(table).values():
            assert entry.kind in KINDS and entry.unit and len(entry.source) > 10, entry.name
    nodes = read_data("nodes")
    assert tuple(nodes) == NODES and all(nodes[node].keys() == nodes["5nm"].keys() for node in NODES)


def test_the_list_of_assumptions_is_what_was_used():
    listed = {entry["name"] for entry in run("llada-moe-7b").to_json_dict()["assumptions"]}
    assert {"gate_um2", "busy_share", "expert_imbalance", "pue", "rom_gates_scale"} <= listed
    assert "communication_share" not in listed


def test_only_metal_arrays_share_masks_between_dies():
    shared, own = (run("llada2.0-flash", styles=styles) for styles in (("metal",), ("rom", "packed")))
    assert shared.costs.per_chip_masks_usd < 0.1 * shared.costs.shared_masks_usd
    assert own.costs.shared_masks_usd == 0 and own.costs.mask_cost_reduction < shared.costs.mask_cost_reduction


def test_what_the_user_gives_is_marked_so():
    listed = {e["name"]: e for e in run("llada-moe-7b", gen_length=64).to_json_dict()["assumptions"]}
    assert (listed["gen_length"]["kind"], listed["gen_length"]["value"]) == ("given", 64)


def test_an_error_bar_holds_the_value():
    base = run("llada-moe-7b")
    low, high = error_bar(base, "area_um2_per_parameter")
    assert low < base.area_um2_per_parameter < high


def test_the_tornado_is_sorted_and_repeatable(tmp_path):
    base = run("llada-moe-7b")
    swings = [bar.swing for bar in bars(base, "tokens_per_joule")]
    assert len(swings) == 10 and swings == sorted(swings, reverse=True)
    assert value_of(base, "tokens_per_joule") == base.tokens_per_joule
    first = [path.read_bytes() for path in plot_tornado(base, tmp_path / "a.png")]
    assert [path.read_bytes() for path in plot_tornado(base, tmp_path / "b.svg")] == first


def test_the_table_marks_every_cell():
    rows = comparison()
    assert {row.name for row in rows} >= {
        "HNLPU",
        "Taalas HC1",
        "ROMA",
        "TOM",
        "hardloom, emitted",
        "hardloom, projected",
        "8 x H800, dInfer",
    }
    for row in rows:
        assert row.figures.keys() == row.marks.keys()
        assert set(row.marks.values()) <= {"published", "derived", "reproduced", "ours"}


@pytest.mark.parametrize(
    "request_, sentence",
    [
        ({"node": "3nm"}, "--node 3nm"),
        ({"design": "gpu"}, "--design gpu"),
        ({"sampler": "greedy"}, "--sampler greedy"),
        ({"design": "hnlpu"}, "--design hnlpu: .* gpt-oss-120b"),
        ({"arrays": "hnlpu"}, "--arrays hnlpu"),
        ({"tokens_per_s": -1.0}, "--tokens-per-s -1.0"),
        ({"gen_length": 0}, "--gen-length 0"),
        ({"gen_length": 10**6}, "--gen-length: 1000000 positions, and llada-moe-7b has 8192"),
        ({"tokens_per_s": inf}, "--tokens-per-s inf"),
        ({"tokens_per_forward": nan}, "--tokens-per-forward nan"),
        ({"tokens_per_forward": 1e9}, "--tokens-per-forward 1e.09: a pass commits at most the 64"),
        ({"gen_length": 4}, "--tokens-per-forward 4.29: a pass commits at most the 4"),
        ({"sampler": "autoregressive", "tokens_per_forward": 2.0}, "autoregressive model commits one"),
        ({"expert_imbalance": 0.5}, "--expert-imbalance 0.5: the busiest expert has the mean at least"),
        ({"expert_imbalance": 9.0}, "--expert-imbalance 9: no expert serves more than all, 8"),
        ({"styles": ("memory",)}, "--styles memory"),
    ],
)
def test_mistakes_are_one_sentence(request_, sentence):
    with pytest.raises(UserError, match=sentence):
        run("llada-moe-7b", **request_)


def test_a_config_that_is_not_known_names_the_field():
    raw = read_preset("llada-moe-7b")
    with pytest.raises(UserError, match="field architecture_of_nobody"):
        shape_of(raw | {"architecture_of_nobody": 1})


def test_assumptions_know_their_ranges():
    with pytest.raises(ValueError, match="wrong"):
        parse({"wrong": {"value": 2, "low": 3, "high": 4, "unit": "", "kind": "assumed", "source": ""}})
    assert Assumptions.of("5nm").range("pue") == (1.1, 1.58)


def test_the_command_line():
    ran = hardloom("estimate", "--like", "gpt-oss-120b", "--json")
    assert ran.code == 0
    figures = json.loads(ran.out)
    assert figures["model"] == "gpt-oss-120b" and len(figures["error_bars"]) == 4
    assert hardloom("estimate", "--compare").code == 0
    assert hardloom("estimate", DEMO).code == 0


def gates_of(found: Estimate) -> dict[str, float]:
    """Gates a weight, by kind of array."""
    return {choice.kind.kind: choice.gates_per_weight for choice in found.chip.choices}


def test_a_quantized_folder_is_priced_in_its_formats(tiny_quantized):
    name, raw, held = read_model(None, tiny_quantized[0])
    formats = held["formats"]
    assert (formats["head"], formats["v"], formats["o"]) == ("int8", "mxfp6_e2m3", "mxfp4")
    request = Request(styles=("packed",))
    found = gates_of(estimate(name, raw, held, request))
    narrow, wide = (
        gates_of(estimate(name, raw, held, replace(request, formats=dict.fromkeys(formats, format))))
        for format in ("mxfp4", "mxfp6")
    )
    assert found["o"] == narrow["o"] and found["head"] > narrow["head"] and found["down"] > narrow["down"]
    assert narrow["qkv"] < found["qkv"] < wide["qkv"]


def test_without_a_folder_what_quantize_takes_without_options_is_priced():
    bits = {
        choice.kind.kind: (choice.kind.bits, choice.kind.formats[0][0]) for choice in run("llada2.0-mini").chip.choices
    }
    assert bits["q"] == bits["kv"] == (10, "mxfp6_e2m3") and bits["o"] == (8, "mxfp6_e2m3")
    assert bits["router"] == bits["head"] == (10, "int8")
    assert {bits[f"{of}{kind}"] for of in ("", "dense_", "shared_") for kind in ("gate_up", "down")} == {(10, "mxfp4")}


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


def test_styles_are_priced_in_the_formats_of_their_tiles_alone():
    request = Request(styles=("shared",), formats={"router": "mxfp4"})
    with pytest.raises(UserError, match="no such array has been measured in int8, the weight format of head; choose"):
        estimate(*read_model("llada-moe-7b", None), request)
    with pytest.raises(UserError, match="formats: 'heads' is no kind of matrix of this model"):
        estimate(*read_model("llada-moe-7b", None), Request(formats={"heads": "int8"}))


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
    lanes = AtOnce(head_lanes=16, query_lanes=4, expert_groups=8, sequences=24)
    whole, tiled = (run("llada-moe-7b", at_once=replace(lanes, head_tiles=n)).emitted for n in (1, 2))
    assert tiled.tokens_per_s == pytest.approx(2 * whole.tokens_per_s, rel=0.03)


def test_rows_say_whether_they_are_emitted_and_what_their_clock_rests_on():
    rows = run("llada-moe-7b", at_once=AtOnce(sequences=3, expert_groups=4)).to_json_dict()
    assert rows["emitted"]["emitted"] is True and rows["projected"]["emitted"] is False
    assert (rows["emitted"]["sequences"], rows["emitted"]["expert_groups"]) == (3, 4)
    for row in (rows["emitted"], rows["projected"]):
        assert row["clock_ghz"] == 1.0 and row["clock_evidence"].startswith("published: HNLPU")


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
