"""Synthesis: the embedded library, Liberty files that users give, and what a build comes to in cells."""

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.synth.boolean import truth_table
from flows.synth.cells import default_liberty
from flows.synth.command import synth_figures
from flows.synth.hierarchy import Options
from flows.synth.liberty import read_library
from flows.synth.yosys import SynthesisError, synthesize
from golden.errors import UserError

NAMES = ("A", "B", "C", "D")
OPERATORS = [("&", "&"), ("*", "&"), (" ", "&"), ("|", "|"), ("+", "|"), ("^", "^")]
EXPRESSIONS = st.recursive(
    st.sampled_from(NAMES).map(lambda name: (name, name)),
    lambda part: st.one_of(
        part.map(lambda e: (f"!{e[0]}" if len(e[0]) == 1 else f"!({e[0]})", f"(1-{e[1]})")),
        part.map(lambda e: (f"({e[0]})'", f"(1-{e[1]})")),
        st.tuples(part, part, st.sampled_from(OPERATORS)).map(
            lambda t: (f"(({t[0][0]}){t[2][0]}({t[1][0]}))", f"({t[0][1]}{t[2][1]}{t[1][1]})")
        ),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None)
@given(EXPRESSIONS)
def test_truth_tables_are_what_the_expression_says(expression):
    liberty, python = expression
    table = truth_table(liberty, NAMES)
    for row in range(1 << len(NAMES)):
        values = {name: row >> i & 1 for i, name in enumerate(NAMES)}
        assert table >> row & 1 == eval(python, {}, values)


def test_products_bind_closer_than_sums_and_exclusive_or_closest():
    assert truth_table("A + B C", "ABC") == truth_table("A | (B & C)", "ABC")
    assert truth_table("A B ^ C", "ABC") == truth_table("A & (B ^ C)", "ABC")
    assert truth_table("!A' ", "A") == truth_table("A", "A")


def test_the_embedded_library_has_what_a_chip_needs():
    library = read_library()
    assert default_liberty() == default_liberty()
    assert (library.nand2.name, library.nand2.area) == ("NAND2_X1", 1.0)
    assert library.full_adder.outputs == {"carry": "CO", "sum": "S"}
    assert library.clock_gate.cell == "CLKGATE_X1"
    assert library.latch.cell == "DLH_X1"


def test_a_library_may_come_in_several_files_and_packed(tmp_path):
    cells = re.split(r"(?=^  cell )", default_liberty(), flags=re.MULTILINE)
    head, cells = cells[0], [cell.removesuffix("}\n") if cell is cells[-1] else cell for cell in cells[1:]]
    halves = [[c for c in cells if ("DFF" in c) is flag] for flag in (True, False)]
    files = [tmp_path / "flops.lib.gz", tmp_path / "gates.lib"]
    texts = [head + "".join(half) + "}\n" for half in halves]
    files[0].write_bytes(gzip.compress(texts[0].encode()))
    files[1].write_text(texts[1])
    assert read_library(files).cells.keys() == read_library().cells.keys()
    with pytest.raises(UserError, match="no flip-flop"):
        read_library(files[1:])
    with pytest.raises(UserError, match="no 2-input NAND"):
        read_library(files[:1])


@pytest.mark.parametrize("content", [b"", b"module m; endmodule", b"library (x) { cell (y) {", b"library (x) { } }"])
def test_a_corrupt_library_is_refused_in_one_sentence(tmp_path, content):
    file = tmp_path / "x.lib"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.lib: is no Liberty library \(.*\); give another --liberty"):
        read_library([file])


def test_a_cut_gzip_file_is_refused_in_one_sentence(tmp_path):
    file = tmp_path / "x.lib.gz"
    file.write_bytes(gzip.compress(default_liberty().encode())[:-100])
    with pytest.raises(UserError, match="no complete gzip file"):
        read_library([file])


@pytest.fixture(scope="module")
def library():
    return read_library()


def verilog(folder: Path, name: str, text: str) -> list[Path]:
    (folder / f"{name}.v").write_text(text)
    return [folder / f"{name}.v"]


def test_sums_become_full_adders_where_both_outputs_are_used(tmp_path, library):
    text = "module m(input [3:0] a, b, input c, output [4:0] y); assign y = a + b + c; endmodule"
    result = synthesize(verilog(tmp_path, "m", text), "m", library)
    assert result.cells == {"FA_X1": 4}
    assert result.ge == pytest.approx(4 * 16 / 3, abs=1e-3)


def test_written_memories_stay_memories_and_registers_are_counted(tmp_path, library):
    text = """module m(input clk, we, input [3:0] a, input [6:0] d, output reg [6:0] q);
      reg [6:0] memory [0:15];
      always @(posedge clk) begin if (we) memory[a] <= d; q <= memory[a] ^ 7'd5; end
    endmodule"""
    result = synthesize(verilog(tmp_path, "m", text), "m", library)
    assert (result.memory_bits, result.flip_flops) == (112, 7)


def test_a_module_that_takes_too_long_is_an_error_with_a_reason(tmp_path, library):
    files = verilog(tmp_path, "m", "module m(input a, output y); assign y = ~a; endmodule")
    with pytest.raises(SynthesisError, match=r"m: took more than 0\.01 s"):
        synthesize(files, "m", library, timeout_s=0.01)
    with pytest.raises(SynthesisError, match=r"m: .*ERROR: syntax error"):
        synthesize(verilog(tmp_path, "m", "module m(input a; endmodule"), "m", library)


@pytest.fixture(scope="module")
def figures(tiny_build, library):
    return synth_figures(tiny_build.path, None, "wired_layer_0_o", Options(library))


def test_a_tile_is_its_prefabricated_cells_counted_and_flattened_as_the_check(figures, tiny_build):
    units, rows = figures["units"], 16
    (neuron,) = [name for name in units if name.startswith("neuron")]
    assert units[neuron]["instances"] == rows
    assert figures["total"]["ge"] == pytest.approx(sum(unit["ge"] for unit in units.values()))
    assert figures["flat"]["flip_flops"] <= figures["total"]["flip_flops"]
    assert figures["flat"]["difference"] == pytest.approx(figures["flat"]["ge"] / figures["total"]["ge"] - 1, abs=1e-4)
    assert -0.6 < figures["flat"]["difference"] < 0
    assert figures["weights"] == 256 and not figures["failed"]


def test_results_are_cached_by_content(figures, tiny_build, library, monkeypatch):
    monkeypatch.setattr("flows.synth.hierarchy.synthesize", None)
    again = synth_figures(tiny_build.path, None, "wired_layer_0_o", Options(library))
    assert json.dumps(again) == json.dumps(figures)


def test_a_module_that_fails_does_not_stop_the_others(tiny_build, library):
    figures = synth_figures(tiny_build.path, "wired_layer_1_router", None, Options(library, timeout_s=0.02))
    assert figures["failed"] and all("took more than" in reason for reason in figures["failed"].values())


@pytest.mark.parametrize(
    ("unit", "tile", "words"),
    [("layer_9", None, "--unit: .* no 'layer_9'; nearest are layer_"), (None, "layer_0", "--tile: .* are wired_")],
)
def test_an_unknown_unit_is_named_with_the_nearest_ones(tiny_build, library, unit, tile, words):
    with pytest.raises(UserError, match=words):
        synth_figures(tiny_build.path, unit, tile, Options(library))
