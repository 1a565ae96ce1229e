"""A hardwired array computes its matrix times the input vector, exactly, in every style, shape and rhythm."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyosys import libyosys

from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.gen.arrays.capacity import CapacityError, Regions, base_lines, classes
from hardloom.gen.arrays.multiplier import digits
from hardloom.gen.arrays.rings import fold_of, rings
from hardloom.gen.arrays.slots import assign
from hardloom.gen.arrays.styles import STYLES
from hardloom.golden.errors import UserError
from hardloom.verif.arrays.bench import bench_arrays
from hardloom.verif.simulators.verilator import lint
from tests.matrices import exactly, noise, one_large_row

WIDTHS = st.integers(1, 20)
ADDRESSED = [name for name, style in STYLES.items() if style.addressed]


def planned(name: str, format: str, rows: int, inputs: int, banks: int = 1, **how) -> ArrayPlan:
    how = {"lanes": 4, "slices": 1, "style": "metal"} | how
    return plan_array(name, [noise(format, rows, inputs, seed) for seed in range(banks)], format=format, **how)


def of_two_formats(name: str, style: str, formats: tuple[str, str] = ("mxfp4", "mxfp6_e2m3")) -> ArrayPlan:
    """An array whose banks have a format each."""
    banks = [noise(format, 9, 32, seed) for seed, format in enumerate(formats)]
    return plan_array(name, banks, 4, STYLES[style].small_slices(32), style, formats)


def slots_of(plan: ArrayPlan) -> int:
    """Slots of the usual neuron cell of bank 0."""
    return sum(plan.form.cells[0][0].regions.lines) * plan.slices


def extremes(inputs: int) -> np.ndarray:
    """Rows that are all of one value, all zero, alternating, and one-hot."""
    hot = np.zeros(inputs, dtype=int)
    hot[inputs // 2] = -12
    return np.stack(
        [
            np.full(inputs, 12),
            np.full(inputs, -12),
            np.zeros(inputs, dtype=int),
            np.where(np.arange(inputs) % 2, 3, -8),
            hot,
        ]
    )


@pytest.fixture(scope="module")
def plans() -> list[ArrayPlan]:
    extreme = plan_array("extreme", [exactly(extremes(32))], 8, 2, "metal", "mxfp4")
    return [
        planned("shifted", "mxfp4", 8, 64, banks=3, lanes=8),
        planned("odd_shape", "int4", 10, 48, lanes=2, slices=2),
        planned("sliced", "ternary", 7, 64, slices=4),
        planned("turns", "mxfp4", 22, 48, banks=2, lanes=4, slices=6),
        planned("turns_and_parts", "int4", 16, 32, lanes=8, slices=8),
        plan_array("two_kinds_of_cell", [one_large_row(48, 32)], 4, 2, "packed", "mxfp4"),
        planned("packed_turns", "mxfp4", 32, 64, lanes=8, slices=4, style="packed"),
        planned("fewer_rows_than_lanes", "mxfp4", 3, 32, lanes=8, slices=8),
        planned("one_beat", "int4", 2, 8, lanes=8),
        planned("multipliers", "mxfp4", 9, 32, banks=2, style="cell"),
        planned("packed_cells", "mxfp4", 9, 64, lanes=8, slices=2, style="packed"),
        planned("addressed", "int4", 40, 48, banks=2, lanes=8, slices=48, style="rom"),
        planned("addressed_two_at_once", "ternary", 33, 64, lanes=8, slices=32, style="rom"),
        planned("addressed_one_by_one", "int4", 3, 24, lanes=3, slices=24, style="rom"),
        planned("shared_rings_of_eight", "mxfp4", 64, 32, lanes=8, slices=32, style="shared"),
        planned("shared_banks", "int4", 17, 48, banks=2, lanes=8, slices=48, style="shared"),
        planned("shared_two_at_once", "ternary", 17, 64, banks=3, lanes=8, slices=32, style="shared"),
        planned("shared_one_by_one", "mxfp4", 3, 24, lanes=3, slices=24, style="shared"),
        planned("shared_many_at_once", "mxfp4", 256, 64, lanes=64, slices=4, style="shared"),
        plan_array("shared_extreme", [exactly(extremes(32) * 2)], 4, 32, "shared", "mxfp4"),
        planned("eight_bits", "int8", 6, 32, lanes=8, slices=2),
        planned("packed_six_bits", "mxfp6_e2m3", 9, 32, lanes=8, slices=2, style="packed"),
        planned("shared_six_bits", "mxfp6_e3m2", 9, 32, lanes=4, slices=32, style="shared"),
        *(of_two_formats(f"two_formats_{style}", style) for style in ("metal", "packed", "shared")),
        extreme,
    ]


@pytest.fixture(scope="module")
def built(plans: list[ArrayPlan], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("arrays")
    return folder, bench_arrays(plans, folder, packets=12)


def test_arrays_equal_matrix_times_vector_whatever_backpressure_and_reset_do(built):
    assert built[1] == 0


def test_text_is_clean_verilog_for_verilator(built, plans):
    for plan in plans:
        files = [*emit(plan).prefab, *emit(plan).connections]
        assert lint(plan.name, ["--language", "1364-2005", *files], built[0]) == ""


def test_text_is_clean_verilog_for_yosys(plans, tmp_path):
    for plan in plans:
        design = libyosys.Design()
        files = [(name, text.encode()) for name, text in emit(plan).prefab.items()]
        for name, text in files + list(emit(plan).connections.items()):
            (tmp_path / name).write_bytes(text)
            libyosys.run_pass(f"read_verilog {tmp_path / name}", design)
        libyosys.run_pass(f"hierarchy -check -top {plan.name}; proc; check -assert", design)


def test_checkpoints_of_one_geometry_differ_in_connections_only():
    for format, slices in (("mxfp4", 1), ("int4", 4), ("ternary", 2)):
        first, second = (
            emit(plan_array("a", [noise(format, 64, 64, seed, uneven=False)], 8, slices, "metal", format))
            for seed in (1, 2)
        )
        assert first.prefab == second.prefab
        assert first.connections != second.connections


@pytest.mark.parametrize("style", STYLES)
def test_text_is_the_same_when_made_again(style):
    how = {"style": style, "slices": 64}
    assert emit(planned("a", "mxfp4", 8, 64, **how)) == emit(planned("a", "mxfp4", 8, 64, **how))


def test_every_file_holds_the_module_of_its_name_and_no_date():
    prefab, connections = emit(planned("a", "mxfp4", 8, 64))
    for name, text in prefab.items() | {n: t.decode() for n, t in connections.items()}.items():
        assert re.findall(r"^module (\w+)", text, re.MULTILINE) == [name.removesuffix(".v")]
        assert not re.search(r"20\d\d-\d\d", text)


def test_plan_states_what_was_hardwired():
    plan = planned("a", "mxfp4", 10, 64, banks=3, lanes=4, slices=2)
    assert (plan.weights, plan.cycles_per_packet) == (10 * 64 * 3, 8 * 2 + 1 + 3)
    assert planned("a", "mxfp4", 10, 64, lanes=1).cycles_per_packet == 64
    assert next(iter(emit(plan).prefab)) == f"{plan.shell}.v"
    for style in ADDRESSED:
        assert planned("a", "mxfp4", 10, 64, lanes=4, slices=64, style=style).cycles_per_packet == 64 + 3
        assert planned("a", "mxfp4", 10, 64, lanes=4, slices=32, style=style).cycles_per_packet == 32 + 3


@pytest.mark.parametrize(("format", "slices"), [("mxfp4", 1), ("mxfp4", 4), ("int4", 2), ("ternary", 1)])
def test_packed_cells_hold_the_same_weights_in_no_more_slots(format, slices):
    metal, packed = (planned("a", format, 16, 64, slices=slices, style=style) for style in ("metal", "packed"))
    assert slots_of(packed) <= slots_of(metal)
    weights, cells = packed.matrices[0], rings(16, 4, packed.form.fold)
    for number, (_, regions) in enumerate(packed.form.cells[0]):
        some = cells[packed.form.kind_of_cells(0, weights, cells) == number]
        rows = np.sort(some.ravel())
        assert np.array_equal(
            sums(assign(weights, some, regions, slices), some, regions, slices, 64)[rows], weights[rows]
        )


def test_rows_of_other_multiples_have_packed_cells_of_their_own():
    """A quarter of the rows has integers four times as large, as where a row has one small block: common cells would
    have lines for both."""
    rng = np.random.default_rng(3)
    weights = rng.integers(-3, 4, (512, 1024), dtype=np.int32)
    weights[::4] *= 4
    plan = plan_array("a", [exactly(weights)], 4, 1, "packed", "mxfp4")
    cells, kinds = rings(512, 4, plan.form.fold), plan.form.cells[0]
    taken = plan.form.kind_of_cells(0, weights, cells)
    assert 2 <= len(kinds) <= 9 and set(taken) == set(range(len(kinds)))
    for number, (_, regions) in enumerate(kinds):
        mine = cells[taken == number]
        found = sums(assign(weights, mine, regions, 1), mine, regions, 1, 1024)
        assert np.array_equal(found[mine[:, 0]], weights[mine[:, 0]])
    lines = sum(sum(kinds[kind][1].lines) for kind in taken)
    assert lines < 1.2 * np.count_nonzero(weights), "one kind of cell for all has 2.3 lines a weight"


@pytest.mark.parametrize("style", ["metal", "packed"])
def test_banks_have_the_neuron_cells_of_their_own_format(style):
    narrow, wide = of_two_formats("a", style).form.cells
    assert (narrow[0].format, wide[0].format) == ("mxfp4", "mxfp6_e2m3")
    assert sum(narrow[0].regions.lines) < 0.8 * sum(wide[0].regions.lines)
    alone = plan_array("a", [noise("mxfp4", 9, 32)], 4, 4, style, "mxfp4")
    assert narrow == alone.form.cells[0]


def test_a_large_row_does_not_widen_the_cells_of_the_others():
    plain = plan_array("a", [one_large_row(48, 64, factor=1)], 4, 1, "packed", "mxfp4")
    plan = plan_array("a", [one_large_row(48, 64)], 4, 1, "packed", "mxfp4")
    kinds = plan.form.kind_of_cells(0, plan.matrices[0], rings(48, 4, 1))
    assert kinds[7] == 1
    assert kinds.sum() <= 4
    assert slots_of(plan) <= 1.1 * slots_of(plain)


@pytest.mark.parametrize("style", ADDRESSED)
def test_serial_sums_are_as_wide_as_the_largest_possible_and_no_wider(style):
    weights = np.array([[3, -3, 3, 3], [0, 0, 1, 0]])
    plan = plan_array("a", [exactly(weights)], 1, 4, style, "int4")
    assert plan.acc_width == (127 * 12).bit_length() + 1


@pytest.mark.parametrize("style", ADDRESSED)
def test_serial_units_refuse_more_magnitudes_than_they_are_made_for(style):
    with pytest.raises(UserError, match=f"style {style}: 65 different magnitudes, at most 64; choose style metal"):
        plan_array("a", [exactly(np.arange(1, 66)[None])], 1, 65, style, "int4")


def test_blocks_of_mxfp4_give_their_exponent_to_the_whole_unit():
    shared, rom = (planned("a", "mxfp4", 64, 64, slices=64, style=style).form for style in ("shared", "rom"))
    assert shared.magnitudes == (1, 2, 3, 4, 6, 8, 12) and set(shared.magnitudes) < set(rom.magnitudes)
    assert shared.shifts == (0, 1, 2, 3) and shared.planes == shared.columns * 4 + 2


def test_a_unit_stays_within_a_block_where_that_makes_its_codes_shorter():
    """16 inputs a cycle, of which units of four neurons would hold 64: blocks have 32, and in int4 no exponent."""
    forms = [planned("a", each, 256, 64, lanes=64, slices=4, style="shared").form for each in ("mxfp4", "int4")]
    assert [(form.fold, form.columns, len(form.shifts) > 1) for form in forms] == [(2, 32, True), (4, 64, False)]


@pytest.mark.parametrize(("format", "bits"), [("mxfp6_e2m3", 5), ("mxfp6_e3m2", 5)])
def test_blocks_of_mxfp6_give_their_exponent_to_the_whole_unit(format, bits):
    shared = planned("a", format, 64, 64, slices=64, style="shared").form
    assert len(shared.magnitudes) == 31 and len(shared.shifts) > 1
    assert shared.planes == shared.columns * (bits + 1) + (len(shared.shifts) - 1).bit_length()


@pytest.mark.parametrize(("format", "bits"), [("int4", 4), ("ternary", 2)])
def test_formats_without_blocks_have_planes_of_their_codes_alone(format, bits):
    shared = planned("a", format, 64, 64, slices=64, style="shared").form
    assert shared.shifts == (0,) and shared.planes == shared.columns * bits


def test_weights_whose_blocks_have_no_exponent_in_common_are_coded_one_by_one():
    weights = np.tile([1, 16, -5, 3], (4, 8))
    shared = plan_array("a", [exactly(weights)], 4, 32, "shared", "mxfp4").form
    assert shared.shifts == (0,) and shared.magnitudes == (1, 3, 5, 16)


def test_more_neurons_share_larger_subsets():
    sizes = [planned("a", "int4", rows, 64, slices=64, style="shared").form.group for rows in (4, 64, 512)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("magnitudes", [(1,), (1, 2, 3, 4, 6, 8, 12), tuple(range(1, 8)), (5, 40, 96, 1000)])
def test_digits_are_the_magnitudes(magnitudes):
    assert {m: factor << shift for m, (factor, shift) in digits(magnitudes, 8).items()} == {m: m for m in magnitudes}


def sums(slots: np.ndarray, cells: np.ndarray, regions: Regions, slices: int, inputs: int) -> np.ndarray:
    """Weights that `slots` stand for, by definition: each wire adds its region's value times its sign."""
    values, fold = np.repeat(np.array(regions.values), np.array(regions.lines) * slices), cells.shape[1]
    weights, feeds = np.zeros((1 + cells.max(), inputs), dtype=np.int64), inputs * fold
    for cell, slot in np.argwhere(slots):
        token = slots[cell, slot] - 1
        assert token % feeds % slices == slot % slices
        i, turn = divmod(token % feeds, fold)
        assert cells[cell, turn] >= 0
        weights[cells[cell, turn], i] += values[slot] * (1 if token < feeds else -1)
    return weights


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wires_sum_to_the_weights_also_when_regions_are_full(data):
    parts, fold, bits = (data.draw(strategy) for strategy in (st.sampled_from([1, 2, 4]), st.integers(1, 3), WIDTHS))
    inputs, slices = parts * data.draw(st.integers(1, 10)), parts * fold
    top = (1 << bits) - 1
    weight = st.one_of(st.integers(-top, top), st.sampled_from([0, 1, -2, 3, 6]).map(lambda w: min(max(w, -top), top)))
    weights = np.array(data.draw(st.lists(st.lists(weight, min_size=inputs, max_size=inputs), min_size=1, max_size=5)))
    lines = data.draw(st.lists(st.integers(1, inputs // parts), min_size=2 * bits - 1, max_size=2 * bits - 1))
    regions, cells = Regions(bits, tuple(lines), 0), rings(len(weights), data.draw(st.integers(1, 3)), fold)
    try:
        slots = assign(weights.astype(np.int32), cells, regions, slices)
    except CapacityError:
        return
    assert np.array_equal(sums(slots, cells, regions, slices, inputs), weights)


def test_full_regions_spill_instead_of_failing():
    regions = Regions(3, (9, 6, 2, 1, 1), 0)  # 1, 2, 4, 3, 6
    weights = np.array([[4, 4, 4, 4, 6, 6, 3, 0]], dtype=np.int32)
    cells = rings(1, 1, 1)
    assert np.array_equal(sums(assign(weights, cells, regions, 1), cells, regions, 1, 8), weights)


def test_what_no_class_was_made_for_takes_the_next():
    for weights in (extremes(64), np.full((2, 64), 7 << 14), np.full((1, 64), -5)):
        plan = plan_array("a", [exactly(weights)], 8, 1, "metal", "mxfp4")
        assert plan.form.cells[0][0].regions.level > 0
        cells = rings(len(weights), 8, 1)
        regions = plan.form.cells[0][0].regions
        assert np.array_equal(sums(assign(plan.matrices[0], cells, regions, 1), cells, regions, 1, 64), weights)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 16))
def test_rings_drain_every_row_once_in_order_of_beats(rows, lanes, slices):
    fold = fold_of(rows, 32, lanes, slices)
    cells = rings(rows, lanes, fold)
    assert slices % fold == 0
    assert sorted(cells[cells >= 0].tolist()) == list(range(rows))
    drained = [cells[lane::lanes].ravel() for lane in range(lanes)]  # one ring behind the other
    for lane, order in enumerate(drained):
        assert order[order >= 0].tolist() == list(range(lane, rows, lanes))
        assert (order[len(order[order >= 0]) :] == -1).all()


def test_a_ring_takes_no_more_turns_than_feeds_have_numbers():
    assert fold_of(1 << 16, 2048, 8, 1024) * 2048 <= 10**6


def test_the_last_class_holds_anything():
    *_, last = classes(64, 2, "mxfp4", 20)
    assert set(last.lines) == {32}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"lanes": 5}, "lanes 5 does not divide its 32 inputs"),
        ({"slices": 3}, "slices 3 does not divide its 32 inputs"),
        ({"style": "sram"}, "style 'sram' is unknown"),
        ({"style": "rom"}, "style rom: 32 inputs a cycle (inputs / slices) do not divide 4 lanes"),
        ({"format": "fp8"}, "format 'fp8' is unknown"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused_in_one_sentence(how, words):
    how = {"lanes": 4, "slices": 1, "style": "metal", "format": "mxfp4"} | how
    with pytest.raises(UserError, match=re.escape(words)):
        plan_array("a", [noise("mxfp4", 4, 32)], **how)
    with pytest.raises(UserError, match="of one shape"):
        plan_array("a", [noise("mxfp4", 4, 32), noise("mxfp4", 5, 32)], 4, 1, "metal", "mxfp4")


def test_every_way_to_spill_keeps_the_value():
    regions = Regions(5, (1,) * 9, 0)
    for value, ways in zip(regions.values, regions.spills, strict=True):
        assert ways or value == 1
        for a, b, minus in ways:
            assert regions.values[a] + (-1 if minus else 1) * regions.values[b] == value


def test_regions_of_a_row_with_a_block_of_one_weight_need_little_memory() -> None:
    """A block of one weight can lie far below the others: magnitudes of 18 bits, of which a row has a few."""
    tracemalloc.start()
    lines = base_lines(33, 1, "mxfp4", 18)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20
    assert sum(lines) < 6 * 33
