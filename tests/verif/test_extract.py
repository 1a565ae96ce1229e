"""Extraction recovers every integer from emitted text, and no moved wire or flipped bit goes unseen."""

import random
import re
from collections.abc import Sequence

import numpy as np
import pytest

from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.text.constant_module import emit_constants, index_width
from hardloom.verif.extract.arrays import ArrayRows, read_array
from hardloom.verif.extract.constant_module import constant_ports, read_constants
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import instances
from hardloom.verif.extract.neuron import CONTROL, read_neuron
from hardloom.verif.extract.window import Window
from tests.matrices import exactly, noise, one_large_row


def plan_of(format: str, rows: int, inputs: int, banks: int = 1, slices: int = 1, style: str = "metal") -> ArrayPlan:
    return plan_array("a", [noise(format, rows, inputs, s) for s in range(banks)], 4, slices, style, format)


PLANS = {
    "shifted": plan_of("mxfp4", 6, 64, banks=2),
    "sliced": plan_of("mxfp4", 5, 64, slices=4),
    "two parts": plan_of("int4", 7, 48, slices=2),
    "ternary": plan_of("ternary", 3, 32),
    "packed": plan_of("mxfp4", 5, 64, slices=4, style="packed"),
    "turns": plan_of("mxfp4", 22, 48, banks=2, slices=6),
    "two kinds": plan_array("a", [one_large_row(24, 32)], 4, 2, "packed", "mxfp4"),
    "packed turns": plan_of("int4", 16, 32, slices=8, style="packed"),
    "spilled": plan_array("a", [exactly(np.full((2, 16), -11))], 4, 2, "metal", "mxfp4"),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_weight_is_recovered(plan):
    prefab, connections = emit(plan)
    assert np.array_equal(read_array(connections["a.v"], prefab), np.stack(plan.matrices))


def test_multipliers_are_read_too():
    plan = plan_of("mxfp4", 6, 32, banks=2, style="cell")
    prefab, connections = emit(plan)
    assert np.array_equal(read_array(connections["a.v"], prefab), np.stack(plan.matrices))


SHAPES = {
    "banks": ("mxfp4", 40, 64, 2, 64),
    "padded ranks": ("int4", 10, 48, 1, 48),
    "two inputs a cycle": ("ternary", 9, 32, 1, 16),
}
ADDRESSED = [name for name, style in STYLES.items() if style.addressed]
ROMS = {f"{style}, {name}": (*shape, style) for style in ADDRESSED for name, shape in SHAPES.items()}


@pytest.mark.parametrize("shape", ROMS.values(), ids=ROMS.keys())
def test_address_lines_are_read_too(shape):
    plan = plan_of(*shape)
    prefab, connections = emit(plan)
    assert np.array_equal(read_array(connections["a.v"], prefab), np.stack(plan.matrices))


PIECEWISE = (
    PLANS | {name: plan_of(*shape) for name, shape in ROMS.items()} | {"cell": plan_of("int4", 6, 32, style="cell")}
)


@pytest.mark.parametrize("plan", PIECEWISE.values(), ids=PIECEWISE.keys())
def test_a_text_in_pieces_is_read_as_the_whole(plan: ArrayPlan) -> None:
    prefab, connections = emit(plan)
    text = connections["a.v"]
    rows = ArrayRows((text[start : start + 64] for start in range(0, len(text), 64)), prefab)
    assert rows.shape == (plan.banks, plan.rows, plan.inputs) and rows.acc_width == plan.acc_width
    assert np.array_equal(np.concatenate(list(rows)).reshape(rows.shape), np.stack(plan.matrices))
    assert {f"{module}.v" for module in rows.modules} <= prefab.keys()


def test_of_a_long_text_a_few_statements_are_held() -> None:
    statements = [f"    line number {number};\n".encode() for number in range(1000)]
    window, at = Window(iter(statements)), 0
    for statement in statements:
        at = window.hold(at, b";\n")
        assert window.data[at : at + len(statement)] == statement
        assert len(window.data) < 10 * len(statement)
        at += len(statement)
    assert window.rest(at) == b""


@pytest.mark.parametrize("style", ADDRESSED)
def test_a_single_column_is_read_too(style):
    plan = plan_array("a", [noise("int4", 5, 24)], 3, 24, style, "int4")
    prefab, connections = emit(plan)
    assert np.array_equal(read_array(connections["a.v"], prefab), np.stack(plan.matrices))


@pytest.mark.parametrize("shape", [shape for shape in ROMS.values() if shape[-1] == "rom"], ids=SHAPES.keys())
def test_any_moved_doubled_or_missing_address_line_is_found(shape):
    plan, rng = plan_of(*shape), random.Random(4)
    prefab, connections = emit(plan)
    text = connections["a.v"]
    lines = list(re.finditer(rb"a\d+(?=[|,)])", text[text.index(b" mac_0_0 ") :]))
    start = text.index(b" mac_0_0 ")
    for _ in range(200):
        line, other = (rng.choice(lines) for _ in range(2))
        new = rng.choice([other[0], b"1'b0"])
        changed = text[: start + line.start()] + new + text[start + line.end() :]
        if changed != text:
            assert seen(changed, prefab, np.stack(plan.matrices))


def test_a_changed_unit_of_the_rom_is_found():
    plan = plan_of(*ROMS["rom, banks"])
    changes = [("n0_1 | ", ""), ("^ (w0_m1 |", "^ (w0_p1 |"), ("~(s0_", "(s0_"), ("f1_3 = w1_p3", "f1_3 = w1_p2")]
    assert changes_are_seen(plan, f"{plan.form.mac}.v", [*RING, *changes])


def test_a_changed_unit_of_shared_lines_is_found():
    plan = plan_of(*ROMS["shared, banks"])
    changes = [
        ("~z0_0", "z0_0"),
        ("^ (b0_3)", "^ (b1_3)"),
        ("= ze_0", "= ~ze_0"),
        ("{e2}", "{e3}"),
        ("z0_1", "z0_9"),
    ]
    assert changes_are_seen(plan, f"{plan.form.mac}.v", [*RING, *changes])


def test_changed_subsets_of_address_lines_are_found():
    plan = plan_of(*ROMS["shared, banks"])
    changes = [("a[0]", "a[1]"), ("~({", "({"), ("low1 |", "low1 &"), ("low1}", "low0}"), ("= 1'd0", "= 1'd1")]
    for name in plan.form.subset_modules:
        assert changes_are_seen(plan, f"{name}.v", changes)


RING = (
    *(("<< 0", "<< 1"), ("drain ? chain : acc", "drain ? acc : chain"), ("total = sum - ", "total = sum + ")),
    *(("s1_0 =", "s1_1 ="), ("r1 <= r0", "r1 <= r1"), ("~minus0", "minus0"), ("x3[8:0]", "x3[9:1]")),
)


def changes_are_seen(plan: ArrayPlan, name: str, changes: Sequence[tuple[str, str]]) -> bool:
    """Whether a reader sees each of `changes` (old and new text) in the prefabricated file `name`."""
    prefab, connections = emit(plan)
    assert [old for old, _ in changes if old not in prefab[name]] == []
    texts = [prefab[name].replace(old, new, 1) for old, new in changes]
    return all(seen(connections["a.v"], prefab | {name: text}, np.stack(plan.matrices)) for text in texts)


def seen(text: bytes, prefab: dict[str, str], expected: np.ndarray) -> bool:
    """Whether a reader's verdict on `text` is anything but "all weights as expected"."""
    try:
        return not np.array_equal(read_array(text, prefab), expected)
    except ExtractionError:
        return True


def moved_wire(text: bytes, plan: ArrayPlan, rng: random.Random) -> bytes:
    """One wire to a slot where it counts differently or meets the wires of another slice."""
    neuron = rng.choice([instance for instance in instances(text) if instance.name.startswith("neuron_")])
    slots = neuron.pins[len(CONTROL) :]
    regions = plan.form.cells[0][0].regions
    values = np.repeat(regions.values, np.array(regions.lines) * plan.slices)
    source = rng.choice([i for i, slot in enumerate(slots) if slot != b"1'b0"])
    target = rng.choice(
        [i for i in range(len(slots)) if values[i] != values[source] or i % plan.slices != source % plan.slices]
    )
    slots[source], slots[target] = slots[target], slots[source]
    if slots[source] == slots[target]:
        slots[source] = b"1'b0"
    return neuron.replaced([*neuron.pins[: len(CONTROL)], *slots])


@pytest.mark.parametrize("name", ["shifted", "sliced", "two parts", "turns", "packed turns", "two kinds"])
def test_any_moved_wire_is_found(name):
    plan, rng = PLANS[name], random.Random(1)
    prefab, connections = emit(plan)
    for _ in range(200):
        text = moved_wire(connections["a.v"], plan, rng)
        assert text != connections["a.v"]
        assert seen(text, prefab, np.stack(plan.matrices))


@pytest.mark.parametrize("style", ["metal", "rom", "shared", "cell"])
def test_any_changed_character_of_a_connection_file_is_found(style):
    format, slices = ("ternary", 32) if STYLES[style].addressed else ("mxfp4", 1)
    plan, rng = plan_of(format, 6, 32, style=style, slices=slices), random.Random(2)
    prefab, connections = emit(plan)
    text = connections["a.v"]
    code = [i for i in range(text.index(b"module"), len(text)) if not text[i : i + 1].isspace()]
    comments = [range(*m.span()) for m in re.finditer(rb"//[^\n]*|/\*.*?\*/", text)]
    # the last plane of a `shared` unit is signs, of which those of weights 0 mean nothing
    signs = {i for m in re.finditer(rb"[^,(]+(?=\);)", text) for i in range(*m.span())} if style == "shared" else set()
    for place in rng.sample([i for i in code if not any(i in comment for comment in comments)], 300):
        other = rng.choice(b"0123456789pnxasg,;()'b+-<[]{}|&")
        if other != text[place] and not (place in signs and chr(other).isdigit() and chr(text[place]).isdigit()):
            assert seen(text[:place] + bytes([other]) + text[place + 1 :], prefab, np.stack(plan.matrices))


def test_a_missing_doubled_or_swapped_neuron_is_found():
    plan = PLANS["shifted"]
    prefab, connections = emit(plan)
    text = connections["a.v"]
    first, second = (text[n.begin : n.stop + 1] for n in list(instances(text))[1:3])
    for changed in (
        text.replace(first, b""),
        text.replace(first, first * 2),
        text.replace(first + second, second + first),
        text[: text.index(b"    assign out_data")],
    ):
        assert seen(changed, prefab, np.stack(plan.matrices))


def test_a_changed_neuron_cell_is_found():
    plan = PLANS["sliced"]
    prefab, connections = emit(plan)
    name = f"{plan.form.module_of(plan.form.cells[0][0])}.v"
    for old, new in (("2'd2 *", "3'd4 *"), ("s0 | s1", "s0 + s1"), ("s4 |", "s5 |"), ("acc[7:1]", "acc[6:0]")):
        assert old in prefab[name]
        changed = prefab | {name: prefab[name].replace(old, new, 1)}
        assert seen(connections["a.v"], changed, np.stack(plan.matrices))


def test_a_neuron_cell_counts_every_slot_at_its_regions_value():
    plan = PLANS["sliced"]
    cell = read_neuron(emit(plan).prefab[f"{plan.form.module_of(plan.form.cells[0][0])}.v"])
    regions = plan.form.cells[0][0].regions
    assert cell.values.tolist() == np.repeat(regions.values, np.array(regions.lines) * 4).tolist()
    assert cell.lines.tolist() == [slot // 4 for slot in range(4 * sum(regions.lines))]


def constants(words: np.ndarray, width: int, signed: bool = True) -> str:
    return b"".join(emit_constants("r", words, width, signed)).decode()


def words_of(text: str, width: int, signed: bool = True) -> np.ndarray:
    """The words of a ROM whose text comes a few bytes at a time."""
    data = text.encode()
    pieces = (data[start : start + 50] for start in range(0, len(data), 50))
    return np.concatenate(list(read_constants(pieces, "r", width, signed)))


@pytest.mark.parametrize(("beats", "lanes", "width"), [(1, 1, 1), (5, 3, 7), (64, 8, 28), (3, 2, 63)])
def test_rom_words_are_read_back(beats, lanes, width):
    words = np.random.default_rng(beats).integers(-(1 << (width - 1)), 1 << (width - 1), (beats, lanes))
    text = constants(words, width)
    assert np.array_equal(words_of(text, width), words)
    assert constant_ports(text.encode()) == (max(1, (beats - 1).bit_length()), lanes * width)
    with pytest.raises(ExtractionError, match="does not begin with a ROM"):
        constant_ports(text[1:].encode())


def test_unsigned_rom_words_use_every_bit():
    words = np.array([[255, 128], [0, 1]])
    assert np.array_equal(words_of(constants(words, 8, signed=False), 8, signed=False), words)
    with pytest.raises(ValueError, match="needs more than 8 bits"):
        emit_constants("r", words, 8)


def test_any_flipped_rom_bit_is_found():
    words = np.random.default_rng(0).integers(-64, 64, (20, 4))
    text, rng = constants(words, 7), random.Random(3)
    places = [m.start(1) + i for m in re.finditer(r"28'h([0-9a-f]{7});\n", text) for i in range(7)]
    for place in rng.sample(places, 100):
        digit = format(int(text[place], 16) ^ (1 << rng.randrange(4)), "x")
        assert not np.array_equal(words_of(text[:place] + digit + text[place + 1 :], 7), words)
    for changed in (text.replace("5'h03:", "5'h04:"), text.replace("28'h0;", "28'h1;")):
        assert changed != text
        with pytest.raises(ExtractionError):
            words_of(changed, 7)


def test_index_reaches_every_word():
    assert [index_width(beats) for beats in (1, 2, 3, 4, 5, 1024, 1025)] == [1, 1, 2, 2, 3, 10, 11]
