"""No planted fault goes unseen: moved wires, flipped bits, broken ties; and every table is read back."""

import contextlib
import random
import re
from dataclasses import asdict

import numpy as np
import pytest

from hardloom.flows.chips.verify import verify_faults
from hardloom.gen.arrays import emit, plan_array
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.formats import FORMATS
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.router import Router
from hardloom.verif.extract.arrays import read_array
from hardloom.verif.extract.constant_module import read_constants
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.mac import read_mac
from hardloom.verif.extract.neuron import read_neuron
from hardloom.verif.faults import KINDS
from hardloom.verif.faults.router_ties import tie_router
from hardloom.verif.faults.wires import change_wire
from hardloom.verif.proof.hierarchy import Hierarchy
from hardloom.verif.proof.static import recover
from hardloom.verif.proof.tables import ChipTable, chip_tables
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.chips import built_chip
from tests.matrices import noise
from tests.verif.planted import unseen_ties

COUNT = 210
CONFIG = tiny_config(num_hidden_layers=1, expert_intermediate_size=36)
MODEL = shape_of(CONFIG)
HARDWARE = HardwareConfig(lanes=2, max_positions=12, head_tiles=2)


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Build:
    """A small chip of one layer."""
    folder = tmp_path_factory.mktemp("faults")
    write_random_checkpoint(folder / "ckpt", CONFIG, seed=3)
    quantize_checkpoint(folder / "ckpt", folder / "q", "mxfp4", numerics=Numerics())
    return built_chip(QuantizedCheckpoint(folder / "q"), folder / "chip", HARDWARE)


@pytest.fixture(scope="module")
def campaigns(build) -> dict[str, dict]:
    """What `hardloom verify --faults` reports, by kind."""
    return {campaign.kind: asdict(campaign) for campaign in verify_faults(build.path, COUNT).figures}


@pytest.mark.parametrize("kind", KINDS)
def test_every_planted_fault_is_found(campaigns, kind):
    assert campaigns[kind] == {"kind": kind, "planted": COUNT, "found": COUNT, "missed": []}


def test_every_table_is_read_back(build):
    recovery = recover(build)
    assert recovery.complete, recovery.first
    norms = 2  # over the hidden vector and over a head
    sizes = [128, 128, *[256] * norms, 256, 12 * 20]  # exp2, reciprocal, rsqrt, sigmoid, angles: whoever uses them
    assert recovery.tables == len(sizes)
    assert recovery.matching_entries == recovery.entries == sum(sizes)


def read(table: ChipTable, text: str) -> np.ndarray:
    """What the static check makes of the text of a table's module."""
    words = np.concatenate(list(read_constants([text.encode()], table.module, table.width, table.signed)))
    return table.arranged(words)


@pytest.fixture(scope="module")
def tables() -> dict[str, ChipTable]:
    """One table of every function, by its name."""
    return {table.module.split("_")[1]: table for table in chip_tables(MODEL, Numerics(), HARDWARE, CHIP)}


def test_any_flipped_bit_of_a_table_is_found(build, tables):
    table = tables["exp2"]
    text = build.text(f"rtl/constants/{table.module}.v")
    assert np.array_equal(read(table, text), table.expected)
    words = [(m.start(1), m[1]) for m in re.finditer(r"data = 28'h(\w{7});", text)]
    assert len(words) == 64
    for start, digits in words:
        for bit in range(28):
            flipped = f"{int(digits, 16) ^ 1 << bit:07x}"
            assert not np.array_equal(read(table, text[:start] + flipped + text[start + 7 :]), table.expected)


def test_a_unit_without_its_table_or_with_state_of_its_own_is_found(build, tables):
    table, state = tables["sigmoid"], "has a memory or an initial value: "
    file = f"rtl/units/{table.unit}.v"
    text = build.text(file)
    for changed, words in (
        (text, None),
        (text.replace(table.module, tables["reciprocal"].module), f"has no instance of {table.module}"),
        (text.replace(");\n", ");\n  reg [3:0] held [1:0];\n", 1), state + "reg [3:0] held [1:0];"),
        (text.replace("endmodule", "  initial $stop;\nendmodule"), state + "initial"),
        (text.replace(");\n", ");\n  reg held = 1'h0;\n", 1), state + "reg held ="),
    ):
        assert (changed != text) == (words is not None)
        assert problem_of(build, file, changed, table) == (words and f"{file}: {words}")


def problem_of(build: Build, file: str, text: str, table: ChipTable) -> str | None:
    """What the check of instances says of the build with another `text` of the unit of `table`."""
    original = build.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "read", lambda name: text.encode() if name == file else original(name))
        hierarchy = Hierarchy(build)
    hierarchy.used.update(hierarchy.files)  # as reading the arrays would say
    hierarchy.expect(table.unit, table.module)
    return hierarchy.problem()


def test_any_changed_shift_add_is_found():
    plan = plan_array("a", [noise("mxfp4", 6, 32)], 4, 1, "cell", "mxfp4")
    prefab, connections = emit(plan)
    rng, expected = random.Random(4), np.stack(plan.matrices)

    def cells(name: str):
        raise AssertionError("an array of shift-adds has no neuron cells")

    for _ in range(COUNT):
        changed, what = change_wire(connections["a.v"], cells, cells, rng)
        with contextlib.suppress(ExtractionError):
            assert not np.array_equal(read_array(changed, prefab), expected), what


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("format", FORMATS)
def test_moved_wires_are_found_in_every_format_and_style(style: str, format: str) -> None:
    """int8 has more magnitudes than units of the serial styles are made for: they refuse it by name."""
    matrices, slices = [noise(format, 16, 32, seed) for seed in (0, 1)], STYLES[style].small_slices(32)
    if format == "int8" and STYLES[style].addressed:
        with pytest.raises(UserError, match=f"style {style} takes no int8 weights; choose metal or packed"):
            plan_array("a", matrices, 4, slices, style, format)
        return
    plan, rng = plan_array("a", matrices, 4, slices, style, format), random.Random(0)
    prefab, connections = emit(plan)
    assert np.array_equal(read_array(connections["a.v"], prefab), np.stack(plan.matrices))
    for _ in range(4):
        changed, _ = change_wire(
            connections["a.v"],
            lambda name: read_neuron(prefab[f"{name}.v"]),
            lambda name: read_mac(prefab[f"{name}.v"]),
            rng,
        )
        assert changed != connections["a.v"]
        with contextlib.suppress(ExtractionError):
            assert not np.array_equal(read_array(changed, prefab), np.stack(plan.matrices))


@pytest.mark.parametrize("style", ["rom", "shared"])
@pytest.mark.parametrize("format", ["mxfp4", "int4", "ternary"])
def test_any_changed_unit_of_a_serial_array_is_found(style, format):
    plan = plan_array("a", [noise(format, 22, 64, seed) for seed in (1, 2)], 4, 64, style, format)
    prefab, connections = emit(plan)
    rng, expected = random.Random(5), np.stack(plan.matrices)
    for _ in range(COUNT):
        changed, what = change_wire(connections["a.v"], read_neuron, lambda name: read_mac(prefab[f"{name}.v"]), rng)
        with contextlib.suppress(ExtractionError):
            assert not np.array_equal(read_array(changed, prefab), expected), what


@pytest.mark.parametrize(
    "bars", [{"groups": 4, "top_groups": 2}, {"capacity": 5, "block_length": 4}], ids=["groups", "blocks"]
)
def test_ties_of_a_router_are_decided_as_the_golden_router_does(tmp_path, bars):
    """Routers of the LLaDA2 line: each comparison that takes equality too fails on tokens made for it."""
    spec = Router(16, 3, biased=True, mixed=False, score="sigmoid", renormalised=True, **bars)
    unit = tie_router(spec, 4, "tie_router")
    assert len(unit.rules) == 3 + bars.get("top_groups", 0) + bars.get("capacity", 0)
    assert unseen_ties(unit, tmp_path) == []
