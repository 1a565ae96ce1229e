"""No planted fault goes unseen: moved wires, flipped bits, broken ties; and every table is read back."""

import contextlib
import random
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from flows.chips.verify import verify_faults
from gen.arrays import emit, plan_array
from gen.arrays.styles import STYLES
from gen.build.folder import CHIP, Build
from gen.design.hardware import HardwareConfig
from gen.text.verilog import to_verilog
from golden.checkpoints.families import shape_of
from golden.errors import UserError
from golden.quantization.formats import FORMATS
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.units.numerics import Numerics
from golden.units.router import Router
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.chips import built_chip
from tests.matrices import noise
from verif.extract.arrays import read_array
from verif.extract.errors import ExtractionError
from verif.extract.mac import read_mac
from verif.extract.neuron import read_neuron
from verif.extract.tables import read_memories
from verif.faults import KINDS
from verif.faults.router_ties import tie_router
from verif.faults.tie_bench import Copy, outputs
from verif.faults.wires import change_wire
from verif.proof.static import recover
from verif.proof.tables import chip_tables, initial_values

COUNT = 210
CONFIG = tiny_config(num_hidden_layers=1, expert_intermediate_size=36)
MODEL = shape_of(CONFIG)
HARDWARE = HardwareConfig(lanes=2, max_positions=12)


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Build:
    """A small chip of one layer."""
    folder = tmp_path_factory.mktemp("faults")
    write_random_checkpoint(folder / "ckpt", CONFIG, seed=3)
    quantize_checkpoint(folder / "ckpt", folder / "q", "mxfp4")
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
    sizes = {"exp2": 128, "reciprocal": 128, "rsqrt": 256, "sigmoid": 256, "angles": 12 * 20}
    counts = {"exp2": 2 + 2, "reciprocal": 2, "rsqrt": 5, "sigmoid": 2, "angles": 2}
    assert recovery.tables == sum(counts.values())
    assert recovery.matching_entries == recovery.entries == sum(sizes[n] * counts[n] for n in sizes)


def test_any_flipped_bit_of_a_table_is_found(build):
    table = next(table for table in chip_tables(MODEL, Numerics(), HARDWARE, CHIP) if "exp2" in table.module)
    text = build.file(f"rtl/units/{table.module}.v").read_text()
    words = [(m.start(1), m[1]) for m in re.finditer(r"entries\[\d+\] = 28'h(\w{7});", text)]
    assert len(words) == 64
    for start, digits in words:
        for bit in range(28):
            flipped = f"{int(digits, 16) ^ 1 << bit:07x}"
            assert not np.array_equal(table.read(text[:start] + flipped + text[start + 7 :]), table.expected)


def test_a_table_that_is_missing_short_or_out_of_order_is_an_error(build):
    table = next(table for table in chip_tables(MODEL, Numerics(), HARDWARE, CHIP) if "exp2" in table.module)
    text = build.file(f"rtl/units/{table.module}.v").read_text()
    line = re.search(r"    entries\[7\] = .*\n", text)[0]
    changes = [text.replace(line, ""), text.replace(line, line * 2), text.replace("entries[7]", "entries[8]", 1)]
    changes += [text.replace("entries[7] = 28'h", "entries[7] = 27'h"), text.replace("entries", "others")]
    for changed in changes:
        assert changed != text
        with pytest.raises(ExtractionError):
            table.read(changed)
    with pytest.raises(ExtractionError, match="bits"):
        replace(table, widths=(40,)).read(text)


def test_a_memory_in_a_unit_is_seen_whatever_it_starts_with():
    words = "".join(f"    \\sequence [{i}] = 4'h0;\n" for i in (0, 1))
    text = f"  reg [3:0] \\sequence  [1:0];\n  initial begin\n{words}  end\n"
    assert list(read_memories(text)["\\sequence"].words) == [0, 0]
    assert list(initial_values(text)) == [0, 0]
    assert initial_values("  reg [3:0] sequence;\n").size == 0
    with pytest.raises(ExtractionError, match="2 words, of which 0 have a value"):
        initial_values(text.split("  initial")[0])


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


def test_ties_of_groups_and_experts_are_decided_as_the_golden_router_does(tmp_path):
    """A router of the LLaDA2 line: each comparison that takes equality too fails on a token made for it."""
    spec = Router(16, 3, biased=True, mixed=False, score="sigmoid", groups=4, top_groups=2, renormalised=True)
    unit, generator = tie_router(spec, 4, "tie_router"), torch.Generator().manual_seed(3)
    text, played = to_verilog(unit.component, unit.name), [rule.stimulus(generator) for rule in unit.rules]
    copies = [Copy(unit.name, unit.name, text, unit.component, played)]
    copies += [Copy(rule.name, unit.name, rule.broken(text), unit.component, played) for rule in unit.rules]
    copies = [replace(copy, name=f"router_{number}") for number, copy in enumerate(copies)]
    right, *broken = outputs(copies, tmp_path).values()
    assert len(unit.rules) == 5 and all(right)
    assert [found[number] for number, found in enumerate(broken)] == [False] * 5
