"""The whole-chip estimate: its arithmetic, its sources, and the published chip that it must reproduce."""

import json
import subprocess
import sys
from dataclasses import replace
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.flows.assumptions.assumptions import KINDS, NODES, Assumptions, parse, read_data
from hardloom.flows.design.cost.model import CostModel
from hardloom.flows.design.cost.shapes import ArrayShape
from hardloom.flows.design.estimate.cost import dies_per_wafer, murphy_yield
from hardloom.flows.design.estimate.figures import Estimate, error_bars, estimate, moved, read_model, value_of
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.systems import comparison, reproduction
from hardloom.flows.design.estimate.tornado import bars, plot_tornado
from hardloom.flows.design.estimate.workload import Workload, workload_tables
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import PRESETS, read_preset
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape
from tests import DEMO, ROOT
from tests.command_line import hardloom

SAMPLERS = ("whole", "block")
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


@pytest.mark.parametrize(
    ("ends", "source", "missing"),
    [
        ((1.0, 1.0), "somebody's paper", "no range"),
        ((0.5, 1.0), "somebody's paper. High: twice that", "low"),
        ((1.0, 2.0), "somebody's paper. Low: half that", "high"),
    ],
)
def test_an_assumption_without_evidence_for_its_range_is_refused(ends, source, missing):
    entry = {"value": 1.0, "low": ends[0], "high": ends[1], "unit": "gates", "kind": "measured", "source": source}
    with pytest.raises(ValueError, match=f"new_number: its source does not say `{missing}`"):
        parse({"new_number": entry})
    said = {"no range": "No range: by definition", "low": "Low: half of it", "high": "High: twice that"}[missing]
    assert parse({"new_number": entry | {"source": f"{source}. {said}"}})["new_number"].value == 1.0


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
@given(st.floats(10, 2.9e5), st.floats(1.0, 3.0))
def test_more_throughput_never_takes_less_area(tokens_per_s, factor):
    slow, fast = (run("llada-moe-7b", tokens_per_s=t) for t in (tokens_per_s, tokens_per_s * factor))
    assert fast.chip.tokens_per_s >= slow.chip.tokens_per_s * (1 - 1e-9)
    arrays = [sum(v for k, v in e.chip.area_mm2.items() if "arrays" in k) for e in (slow, fast)]
    assert arrays[1] >= arrays[0] * (1 - 1e-9)
    assert slow.chip.tokens_per_s >= tokens_per_s * (1 - 1e-9)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(1.0, 10.0))
def test_positions_of_a_token(prompt, gen, tokens_per_forward):
    """All of them in every forward; or a block, and besides each position of prompt and finished blocks once."""
    given = {"prompt_length": prompt, "gen_length": gen, "tokens_per_forward": tokens_per_forward}
    whole, block = (Assumptions.of("5nm", workload_tables(sampler, 2048)).given(**given) for sampler in SAMPLERS)
    assert isclose(Workload.of("whole", whole).positions_per_token, (prompt + gen) / tokens_per_forward)
    expected = 32 / tokens_per_forward + max(0, prompt + gen - 32) / gen
    assert isclose(Workload.of("block", block).positions_per_token, expected)


@pytest.mark.parametrize("model", ["llada-moe-7b", "llada2.0-mini"])
def test_tokens_are_positions_over_those_of_a_token(model):
    found = run(model)
    for chip in (found.chip, found.emitted):
        assert chip is not None
        assert chip.tokens_per_s * found.workload.positions_per_token == pytest.approx(chip.positions_per_s, rel=0.01)


@pytest.mark.parametrize("prompt, gen", [(1, 1), (40, 3), (100, 33)])
def test_sequences_shorter_than_a_block_are_estimated_too(prompt, gen):
    found = run("llada2.0-mini", prompt_length=prompt, gen_length=gen, tokens_per_forward=1)
    assert found.emitted is not None and found.emitted.tokens_per_s > 0


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
    assert found.chip.dies == 2 and found.chip.tokens_per_s >= 249_960
    hnlpu = 13232e6 / 116_829_156_672
    assert 1.57 * hnlpu < found.area_um2_per_parameter < 1.63 * hnlpu
    emitted = found.emitted
    assert emitted is not None and 80 < emitted.tokens_per_s < 100 and emitted.area < found.chip.area
    assert 0.5 * hnlpu < emitted.area * 1e6 / found.shape.parameters < 0.6 * hnlpu
    text = (ROOT / "docs" / "estimate.md").read_text()
    assert f"| emitted | 1 | {emitted.area:,.0f} | {emitted.tokens_per_s:,.0f} |" in text
    assert f"2 of {found.chip.area:,.0f} mm2" in text and f"{found.tokens_per_joule:.0f} |" in text


def test_an_estimate_imports_nothing_that_takes_seconds():
    """It answers in a second because it loads neither PyTorch nor the generator."""
    program = """
import sys
sys.argv = ["hardloom", "estimate", "--like", "llada-moe-7b", "--json"]
from hardloom.flows.cli.app import run
code = run()
sys.exit(code or sorted({"torch", "numba", "amaranth", "matplotlib", "scipy"} & sys.modules.keys()) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["emitted"]["tokens_per_s"] > 50


def test_the_tensors_of_a_model_are_counted_once(monkeypatch):
    """Hundreds of moved assumptions share one shape; walking its 3,000 tensors for each took seconds."""
    walked, tensors = [], ModelShape.tensors
    monkeypatch.setattr(ModelShape, "tensors", lambda shape: walked.append(shape) or tensors(shape))
    base = run("llada-moe-7b")
    error_bars(base, ["area_um2_per_parameter"])
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
    tables += [style["assumptions"] for style in read_data("arrays").values()]
    for table in tables:
        for entry in parse(table).values():
            assert entry.kind in KINDS and entry.unit and len(entry.source) > 10, entry.name
    nodes = read_data("nodes")
    assert tuple(nodes) == NODES and all(nodes[node].keys() == nodes["5nm"].keys() for node in NODES)


def test_the_list_of_assumptions_is_what_was_used():
    listed = {entry["name"] for entry in run("llada-moe-7b").to_json_dict()["assumptions"]}
    assert {"gate_um2", "busy_share", "expert_imbalance", "pue", "packed_library", "tracks_per_um"} <= listed
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
    ranges = error_bars(base, ["area_um2_per_parameter", "tokens_per_s"])
    low, high = ranges["area_um2_per_parameter"]
    assert low < base.area_um2_per_parameter < high
    assert ranges == {metric: error_bars(base, [metric])[metric] for metric in ranges}


def test_the_tornado_is_sorted_and_repeatable(tmp_path):
    base = run("llada-moe-7b")
    swings = [bar.swing for bar in bars(base, "tokens_per_joule")]
    assert len(swings) == 10 and swings == sorted(swings, reverse=True)
    assert value_of(base, "tokens_per_joule") == base.tokens_per_joule
    for suffix in (".png", ".svg"):
        paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
        for path in paths:
            plot_tornado(base, path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


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
        assert row.evidence in {"fabricated", "measured", "laid out", "simulated", "estimated"}


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


def test_styles_are_priced_in_the_formats_of_their_tiles_alone():
    request = Request(styles=("shared",), formats={"router": "mxfp4"})
    with pytest.raises(UserError, match="no such array has been measured in int8, the weight format of head; choose"):
        estimate(*read_model("llada-moe-7b", None), request)
    with pytest.raises(UserError, match="formats: 'heads' is no kind of matrix of this model"):
        estimate(*read_model("llada-moe-7b", None), Request(formats={"heads": "int8"}))
