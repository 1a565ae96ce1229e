"""Liberty files: whatever a library holds, it is read as it is meant, or one sentence says what is wrong."""

import gzip
import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.library.boolean import expression, truth_table
from hardloom.flows.synth.library.embedded import default_liberty
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.power import weigh
from hardloom.flows.synth.techmap import techmap_verilog
from hardloom.flows.synth.yosys import Options
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError
from tests.flows.liberty_text import (
    AND_TERM,
    HEAD,
    TINY,
    VALUES,
    cell,
    flip_flop,
    gate,
    gated_clock,
    latch,
    library,
    pins,
    timing,
)

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
def test_truth_tables_are_what_the_expression_says(written):
    liberty, python = written
    table = truth_table(liberty, NAMES)
    assert truth_table(expression(liberty), NAMES) == table
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


PLAIN = library(*TINY)


def read(folder, *contents: str | bytes):
    """The library of files with these contents."""
    files = [folder / f"{number}.lib" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_library(files)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return read(tmp_path_factory.mktemp("plain"), PLAIN)


SAME = {
    "a byte of Latin-1": PLAIN.replace("library (tiny)", "/* 25°C, Büro */ library (tiny)").encode("latin-1"),
    "a mark of UTF-8": b"\xef\xbb\xbf" + PLAIN.encode(),
    "UTF-16": PLAIN.encode("utf-16"),
    "lines of Windows": PLAIN.replace("\n", "\r\n"),
    "gzip": gzip.compress(PLAIN.encode()),
    "a URL in a string": PLAIN.replace("delay_model", 'comment : "see http://a.org /* not */ here"; delay_model'),
    "a quote in a comment": PLAIN.replace("delay_model", '/* the "best */ // of " all\n delay_model'),
    "comments within a statement": PLAIN.replace("area :", "area/* in um2 */:/**/"),
    "continued lines": PLAIN.replace(VALUES, VALUES.replace(", ", ", \\\n")),
    "no semicolons": PLAIN.replace("direction : input;", "direction : input\n"),
    "quoted names": PLAIN.replace("(A)", '("A")'),
    "an input list": PLAIN.replace(pins("AB"), "pin (A, B) { direction : input; capacitance : 1; }"),
    "arcs from a list": PLAIN.replace(f"{timing('A')} {timing('B')}", timing("A B")),
    "another spelling": PLAIN.replace(AND_TERM, "A' + (B)'").replace('"!A"', '"(A)\'"'),
    "products side by side": PLAIN.replace(AND_TERM, "(A B)'"),
    "capacitance of every edge": PLAIN.replace("capacitance : 1;", "rise_capacitance : 0.5; fall_capacitance : 1.5;"),
    "capacitance by default": PLAIN.replace("capacitance : 1;", "").replace(
        "nom_v", "default_input_pin_cap : 1; nom_v"
    ),
    "a table's own index": PLAIN.replace("values (", 'index_1 ("0.01 0.1 0.2"); values ('),
    "units spelled otherwise": PLAIN.replace('"1ns"', '"1.0 ns"').replace("(1,ff)", '("1.0", "fF")'),
    "fillers": library(*TINY, cell("FILL", 1, ""), cell("TAP", 1, "pin (V) { direction : inout; }")),
    "what mapping need not know": PLAIN.replace(
        "direction : output;", 'direction : output; internal_power () { power (x) { values ("1"); } } note ("x", 2);'
    ),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_the_same_library_written_otherwise_is_the_same(tmp_path, plain, content):
    found = read(tmp_path, content)
    edges = {"rise_capacitance : 0.5;", "fall_capacitance : 1.5;"}  # handed on
    lines = [line for line in found.text.splitlines() if line.strip() not in edges]
    canonical = "\n".join(lines).replace("!A | !B", "!(A & B)").replace("((!(A & B)))", "(!(A & B))") + "\n"
    assert not found.left_out and found.cells.keys() == plain.cells.keys()
    assert canonical.replace('"(!(A & B))"', '"!(A & B)"') == plain.text


def test_files_may_come_in_any_order_and_twice(tmp_path, plain):
    parts = [library(*TINY[:2]), gzip.compress(library(TINY[3]).encode()), library(TINY[2], *TINY[4:])]
    for order in (parts, parts[::-1], [*parts, parts[0], parts[1]]):
        found = read(tmp_path, *order)
        assert (found.text, found.sha256) == (plain.text, plain.sha256)
    with pytest.raises(UserError, match=r"1\.lib: has no 2-input NAND"):
        read_library([tmp_path / "1.lib"])


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(UserError, match="its cell BUF is there twice and differs; give files of one corner"):
        read(tmp_path, PLAIN, PLAIN.replace("BUF) { area : 1;", "BUF) { area : 2;"))
    with pytest.raises(UserError, match=r"its nom_voltage is not that of .*; give files of one corner"):
        read(tmp_path, PLAIN, PLAIN.replace("nom_voltage : 0.8", "nom_voltage : 0.9"))
    with pytest.raises(UserError, match="its seconds is not that of"):
        read(tmp_path, PLAIN, PLAIN.replace('"1ns"', '"1ps"'))


NAND = f"!({' & '.join('ABCDEFG')})"
WHOLE = " ".join(timing(name) for name in "AB")
LEFT_OUT = {
    "a character that Liberty does not know": (gate("X", 0.1, "~(A & B)", "AB"), "does not know"),
    "a bracket that is not closed": (gate("X", 0.1, "!(A & B", "AB"), "not closed"),
    "a bracket that was not opened": (gate("X", 0.1, "A & B)", "AB"), "not opened"),
    "an operand that is missing": (gate("X", 0.1, "A & & B", "AB"), "operand is missing"),
    "an expression that ends early": (gate("X", 0.1, "A &", "A"), "ends early"),
    "a pin that is not there": (gate("X", 0.1, "A & C", "AB"), "an output Y of C"),
    "an internal state": (
        gate("X", 0.1, "ST", "AB", "pin (ST) { direction : internal; } statetable () { }"), "an output Y of ST",
    ),
    "no function": (cell("X", 0.1, "pin (Y) { direction : output; }"), "no function of its output Y"),
    "a constant of inputs": (gate("X", 0.1, "A & !A", "A"), "Y that is constant"),
    "three states": (gate("X", 0.1, "A", "AB").replace("function", 'three_state : "B"; function'), "three-state"),
    "a bus": (cell("X", 0.1, f"bus (D) {{ {pins(['D[0]'])} }}"), "has a bus"),
    "a bundle": (gate("X", 0.1, "A", "A", "bundle (D) { }"), "has a bundle"),
    "a pin in brackets": (gate("X", 0.1, "A", ["A", "A[0]"]), r"the pin 'A\[0\]', which is no plain identifier"),
    "a name with a command": (gate('"X; exec touch y"', 0.1, "A", "A"), "which is no plain identifier"),
    "a pin that is a word of Verilog": (gate("X", 0.1, "wire", ["wire"]), "the pin wire, which is a word of Verilog"),
    "an output that is one": (gate("X", 0.1, "A", "A").replace("(Y)", "(output)"), "the pin output, which is a word"),
    "a state that is one": (flip_flop("X", 0.1).replace("IQ,", "reg,"), "the state reg, which is a word of Verilog"),
    "a cell that is one": (gate("nand", 0.1, AND_TERM, "AB"), "the name nand, which is a word of Verilog"),
    "a cell that is a word of SystemVerilog": (gate("logic", 0.1, "A", "A"), "the name logic, which is a word"),
    "a pin twice": (gate("X", 0.1, "A", "A", pins("A")), "the pin A twice"),
    "a pin of both directions": (gate("X", 0.1, "A", "A", "pin (Z) { direction : inout; }"), "Z of direction 'inout'"),
    "no area": (gate("X", 0.1, "A", "A").replace("area : 0.1;", ""), "has no area"),
    "an area of nothing": (gate("X", 0, "A", "A"), "has no area"),
    "a negative area": (gate("X", -1, "A", "A"), "has no area"),
    "an area that is no number": (gate("X", "nan", "A", "A"), "its area is 'nan', which is no number"),
    "an endless area": (gate("X", "1e999", "A", "A"), "is no number"),
    "no capacitance": (gate("X", 0.1, "A", "A").replace("capacitance : 1;", ""), "no capacitance of its pin A"),
    "no timing": (gate("X", 0.1, AND_TERM, "AB", arcs=""), "no timing from A to Y"),
    "timing of one input": (gate("X", 0.1, AND_TERM, "AB", arcs=timing("A")), "no timing from B to Y"),
    "timing of one edge": (
        gate("X", 0.1, "A", "A", arcs=timing("A", tables=["cell_rise", "rise_transition"])), "no cell_fall from A to Y",
    ),
    "a value that is no number": (gate("X", 0.1, "A", "A").replace("0.5", "x", 1), "what is no number"),
    "a value too few": (gate("X", 0.1, "A", "A").replace(", 0.5", "", 1), "8 values for 3 x 3"),
    "an endless value": (gate("X", 0.1, "A", "A").replace("0.5", "inf", 1), "what is no number"),
    "a template that is not there": (gate("X", 0.1, "A", "A").replace("(delay)", "(d)"), "template 'd', which is not"),
    "an index that falls": (
        gate("X", 0.1, "A", "A").replace("values", 'index_1 ("3, 2, 1"); values'), "index does not rise",
    ),
    "an isolation cell": (gate("X", 0.1, "A", "A", "is_isolation_cell : true;"), "is marked is_isolation_cell"),
    "two states": (flip_flop("X", 0.1, 'ff (P,PN) { clocked_on : "CK"; next_state : "D"; }'), "several states"),
    "a state like a pin": (flip_flop("X", 0.1).replace("IQ,", "D,"), "not two names of its own"),
    "a clock that is not there": (flip_flop("X", 0.1, state='clocked_on : "C"; next_state : "D";'), "clocked_on of C"),
    "no next state": (flip_flop("X", 0.1, state='clocked_on : "CK";'), "without next_state"),
    "a second clock": (
        flip_flop("X", 0.1, state='clocked_on : "CK"; clocked_on_also : "D"; next_state : "D";'), "clocked_on_also",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_cell_that_is_not_understood_is_left_out_by_name(tmp_path, plain, text, words):
    found = read(tmp_path, library(*TINY, text))
    assert found.text == plain.text
    ((name, reason),) = found.not_understood.items()
    assert name in ("X", "X; exec touch y", "nand", "logic") and re.search(words, reason)


SPELLINGS = ("true", "TRUE", '"true"', "1", "T", '"T"', "yes")


@pytest.mark.parametrize("spelled", [f"dont_use : {word};" for word in SPELLINGS] + ["set_dont_use : true;"])
def test_dont_use_holds_for_every_use_however_it_is_spelled(tmp_path, plain, spelled):
    cells = [make("Z", 0.1, spelled) for make in (flip_flop, latch, gated_clock)]
    cells += [
        gate("Z", 0.1, function, inputs, spelled) for function, inputs in ((AND_TERM, "AB"), ("A", "A"), ("!A", "A"))
    ]
    cells += [cell("Z", 0.1, f'pin (Y) {{ direction : output; function : "1"; }} {spelled}')]
    for text in cells:
        found = read(tmp_path, library(*TINY, text))
        assert found.text == plain.text and not found.not_understood
        assert "Z" in read(tmp_path, library(*TINY, text.replace(spelled, "dont_use : false;"))).cells


def test_a_clock_gate_has_no_inputs_but_those_that_are_tied(tmp_path):
    more = TINY[-1].replace("pin (E)", "pin (R) { direction : input; capacitance : 1; } pin (E)")
    assert read(tmp_path, library(*TINY[:-1], more)).clock_gate is None


def test_a_clock_gate_with_a_test_pin_is_preferred_and_without_one_the_enables_are_joined(tmp_path):
    pin = "pin (TE) { direction : input; capacitance : 1; clock_gate_test_pin : true; }"
    tested = gated_clock("TESTED", 9).replace("pin (E)", f"{pin} pin (E)")
    maps = [techmap_verilog(read(tmp_path, library(*TINY, *more))) for more in ((), (tested,))]
    assert "GATE u (.CK(clk), .E(enable | test_enable), .GCK(gated));" in maps[0]
    assert "TESTED u (.CK(clk), .E(enable), .TE(test_enable), .GCK(gated));" in maps[1]


LEAKAGES = {
    "cell_leakage_power : 7; leakage_power () { value : 3; }": 7,
    "leakage_power () { value : 3; when : A; } leakage_power () { value : 5; when : B; }": 4,
    "leakage_power () { value : 3; when : A; } leakage_power () { value : 6; }": 6,
    "leakage_power () { value : 3; related_pg_pin : VDD; } leakage_power () { value : 0; related_pg_pin : VSS; }": 3,
    "": 0,
}


@pytest.mark.parametrize(("said", "leakage"), LEAKAGES.items())
def test_leakage_is_of_the_cell_or_summed_over_its_supplies(tmp_path, said, leakage):
    assert read(tmp_path, library(*TINY, gate("X", 1, "A", "A", said))).cells["X"].leakage == leakage


def test_energy_needs_a_voltage_and_numbers(tmp_path):
    with pytest.raises(UserError, match=r"0\.lib: has no nom_voltage, so there is no energy of it"):
        read(tmp_path, PLAIN.replace("nom_voltage : 0.8;", "")).volts  # noqa: B018
    table = 'internal_power () { power (x) { values ("1, y"); } }'
    found = read(tmp_path, library(*TINY, gate("X", 1, "A", "A").replace("function", f"{table} function")))
    module = {"netnames": {}, "cells": {"i": {"type": "X", "connections": {"A": [2], "Y": [3]}}}}
    with pytest.raises(UserError, match=r"0\.lib: an internal energy of X is 'y', which is no number"):
        weigh(module, Counter(), found)


REFUSED = {
    "nothing": (b"", r"is no Liberty library \(it holds 0 library groups and not one\)"),
    "Verilog": (b"module m; endmodule", r"is no Liberty library \(line 1: 'module' is neither"),
    "a file that was cut": (PLAIN[:-300].encode(), "is no Liberty library"),
    "a bracket too many": ((PLAIN + "}").encode(), "a '}' too many"),
    "a string that does not end": (PLAIN.replace('"1ns"', '"1ns').encode(), "is no Liberty library"),
    "a comment that does not end": (PLAIN.replace("area", "/* area", 1).encode(), "line 5: .* is no|line 5"),
    "a list that does not end": (PLAIN.replace("(1,ff);", "(1,ff;").encode(), r"line 2: no '\)' behind 'capacitive"),
    "a value that is missing": (PLAIN.replace('"1ns"', "").encode(), "line 2: no value behind 'time_unit :'"),
    "a gzip file that was cut": (gzip.compress(PLAIN.encode())[:-20], "no complete gzip file"),
    "a unit that is none": (PLAIN.replace('"1ns"', '"1 hour"').encode(), "its time_unit is '1 hour', which is no unit"),
    "no timing at all": (
        library(*(re.sub(r"timing \(\) \{.*?\} \}", "", text) for text in TINY)).encode(),
        r"has no 2-input NAND \(cells left out: .*NAND2.*no timing from A to Y",
    ),
    "no buffer": (library(*(text for text in TINY if "BUF" not in text)).encode(), "has no buffer"),
    "no flip-flop that may be used": (
        PLAIN.replace("(DFF) {", "(DFF) { dont_use : true;").encode(), r"no flip-flop .*DFF: is marked dont_use"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_library_is_refused_in_one_sentence(tmp_path, content, words):
    with pytest.raises(UserError, match=words) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith(f"{tmp_path / '0.lib'}: ") and "\n" not in str(refused.value)


def test_only_regular_files_are_read(tmp_path):
    with pytest.raises(UserError, match="is no regular file"):
        read_library([tmp_path])


VERILOG = "module m(input clk, input [3:0] a, b, output reg [4:0] y); always @(posedge clk) y <= a + b; endmodule"


def test_paths_are_never_commands_and_no_bad_cell_reaches_abc(tmp_path, monkeypatch):
    """One synthesis in folders of hostile names, with every cell that is left out, each the cheapest of all."""
    folder = tmp_path / "a $(touch PWN) 'q\" ; [exec ü"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    source, cells = folder / 'm" ; exec touch y.v', [text for text, _ in LEFT_OUT.values()]
    source.write_text(VERILOG)
    found = read(folder, library(*TINY, *dict.fromkeys(cells)))
    result = synthesize([source], "m", Options(found), netlist=tmp_path / "m.v")
    assert result.flip_flops == 5 and result.cells.keys() <= {"DFF", "INV", "BUF", "NAND2"}
    assert sorted(path.name for path in folder.iterdir()) == ["0.lib", source.name]


def test_a_cell_called_like_a_module_is_an_error(tmp_path, plain):
    (tmp_path / "NAND2.v").write_text(VERILOG.replace(" m(", " NAND2("))
    with pytest.raises(UserError, match="its cell NAND2 is called like a module; rename it"):
        synthesize([tmp_path / "NAND2.v"], "NAND2", Options(plain))


def test_where_abc_ends_the_file_is_named(tmp_path, plain, monkeypatch):
    (tmp_path / "m.v").write_text(VERILOG)
    monkeypatch.setattr("hardloom.flows.synth.yosys.AREA", "no_such_command")
    with pytest.raises(SynthesisError, match=r"m: .*ABC.* \(library .*0\.lib\)"):
        synthesize([tmp_path / "m.v"], "m", Options(plain))


WORDS = [
    "",
    "}",
    "{",
    '"',
    "(",
    ")",
    ";",
    "/*",
    "nan",
    "-1",
    "0",
    "1e999",
    "true",
    "A",
    "!",
    "inout",
    "\x00",
    "[0]",
    "ff ()",
    "\\",
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_mutated_libraries_are_understood_or_refused(tmp_path, seed):
    """A few tokens replaced, dropped, doubled or moved: synthesis with what is left, or one sentence."""
    chance = random.Random(seed)
    tokens = re.findall(r"\s+|\w+|[^\w\s]", library(*TINY, gate("NOR2", 1, "!(A | B)", "AB"), head=HEAD))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(tokens))
        tokens[place] = chance.choice([*WORDS, tokens[place] * 2, chance.choice(tokens)])
    (tmp_path / "m.v").write_text(VERILOG)
    try:
        result = synthesize([tmp_path / "m.v"], "m", Options(read(tmp_path, "".join(tokens)), timeout_s=60))
    except UserError as error:
        assert "0.lib: " in str(error) and "\n" not in str(error)
    else:
        assert result.flip_flops == 5 and result.ge > 0
