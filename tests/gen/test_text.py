"""Emitted units read as if written: ports of their signature in its order, plain names, resets and enables as `if`."""

import gc
import re
import time
from pathlib import Path

import pytest
from amaranth.back import rtlil  # type: ignore[attr-defined]  # the stubs leave it out
from amaranth.hdl import DriverConflict, Module, Signal, Value, signed, unsigned
from amaranth.hdl._nir import CombinationalCycle
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.engine.inventory import chip_parts
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Keep, Stage, chain
from hardloom.gen.text.keywords import KEYWORDS
from hardloom.gen.text.verilog import modules_in, to_verilog
from hardloom.gen.text.wide_nets import widen_nets
from hardloom.gen.text.yosys import run_yosys
from hardloom.golden.checkpoints.families import shape_of
from hardloom.verif.simulators.verilator import lint
from tests.chips import slang_reads

IDENTIFIER = re.compile(r"(?<!')\b[A-Za-z_]\w*\b")
WORDS = {"always", "assign", "begin", "case", "casez", "default", "else", "end", "endcase", "endfunction", "endmodule"}
WORDS |= {"function", "if", "initial", "input", "module", "negedge", "output", "posedge", "reg", "signed", "wire"}
"""Reserved words that emitted text uses as what they are; it may hold no others."""


def head(text: str) -> list[tuple[str, str]]:
    """Direction and name of each port, in order."""
    listed = re.search(r"^module \w+ \(\n(.*?)\n\);\n", text, re.MULTILINE | re.DOTALL)
    assert listed, text[:200]
    lines = [line.split(" = ")[0].split() for line in listed[1].split(",\n")]
    return [(words[0], words[-1]) for words in lines]


def signature(component: wiring.Component) -> list[tuple[str, str]]:
    members = [
        (member.flow, "__".join(map(str, path)))
        for path, member, value in component.signature.flatten(component)
        if len(Value.cast(value))
    ]
    return [("input" if flow == In else "output", name) for flow, name in members]


def test_every_module_has_the_ports_of_its_component_in_their_order(tiny_build: Build) -> None:
    model = shape_of(tiny_build.manifest.model)
    numerics = tiny_build.checkpoint().numerics
    units = [
        part for part in chip_parts(model, numerics, tiny_build.hardware, CHIP) if isinstance(part.thing, Component)
    ]
    files = {n for n in tiny_build.files if "/units/" in n and not re.search(r"/layer_\d+\.v$", n)}
    assert {f"rtl/units/{part.module}.v" for part in units} == files
    for part in units:
        ports = head(tiny_build.read(f"rtl/units/{part.module}.v").decode())
        clocked = ports[:2] == [("input", "clk"), ("input", "rst")]
        assert ports[2 * clocked :] == signature(part.thing), part.module


def test_names_are_plain_and_no_keywords(tiny_build: Build) -> None:
    for name in (name for name in tiny_build.files if name.startswith("rtl/")):
        text = re.sub(r"//.*", "", tiny_build.read(name).decode())
        assert "$" not in text.replace("$signed(", "") and "\\" not in text, name
        if name.startswith("rtl/units/"):
            assert set(IDENTIFIER.findall(text)) & KEYWORDS <= WORDS, name


def test_resets_and_enables_are_if_and_registers_have_names(tiny_build: Build) -> None:
    for name in (name for name in tiny_build.files if name.startswith("rtl/units/")):
        text = tiny_build.read(name).decode()
        assert not re.search(r"\brst \?", text), name
        for register, value in re.findall(r"^    (\w+) <= (.*);$", text, re.MULTILINE):
            assert not re.search(rf"\? {register}\b|: {register}$", value), f"{name}: {register} <= {value}"


class Twice(Stage):
    """Two signals of one name, a field of a struct, an enable and a reset."""

    def __init__(self) -> None:
        pair = data.StructLayout({"low": 4, "high": 4})
        super().__init__(pair, pair)

    def transform(self, m: Module, x, y) -> None:
        for part in ("low", "high"):
            half = Signal(4)
            m.d.comb += [half.eq(x[part] * 3 + 1), y[part].eq(half)]


class Pair(Component):
    """Two stages, one after the other."""

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "empty": In(0)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.first = first = Twice()
        m.submodules.second = second = Twice()
        m.d.comb += [
            first.i.valid.eq(self.i.valid),
            first.i.payload.eq(self.i.payload),
            self.i.ready.eq(first.i.ready),
            self.o.payload.eq(second.o.payload),
            self.o.valid.eq(second.o.valid),
            second.o.ready.eq(self.o.ready),
        ]
        chain(m, first, second)
        return m


PAIR = """\
module pair (
  input  wire clk,
  input  wire rst,
  input  wire [7:0] i__payload,
  input  wire i__valid,
  output wire i__ready,
  output wire [7:0] o__payload,
  output wire o__valid,
  input  wire o__ready
);
  wire [7:0] first_o__payload;
  wire first_o__ready;
  wire first_o__valid;
  pair_first first (
"""


def test_a_small_component_reads_like_this() -> None:
    text = to_verilog(Pair(), "pair")
    assert PAIR in text
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == ["pair", "pair_first", "pair_second"]
    assert "if (rst) o__valid <= 1'h0;\n    else if (i__ready) o__valid <= i__valid;\n" in text
    assert re.search(r"half_2\b", text) and not re.search(r"half_3\b", text)
    assert to_verilog(Pair(), "pair") == text


class Named(Component):
    """A register of a given name."""

    def __init__(self, name: str, shape: int = 1) -> None:
        self.named = Signal(shape, name=name)
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.d.sync += self.named.eq(self.i)
        m.d.comb += self.o.eq(self.named)
        return m


@pytest.mark.parametrize("name", ["release", "table", "logic", "final", "fork"])
def test_a_signal_called_like_a_keyword_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is a keyword"):
        to_verilog(Named(name), "unit")


class Wide(Component):
    """More bits of inputs, and more of outputs, than a cell of Amaranth's netlist has by itself: 65,536."""

    COUNT, BITS = 3, 30_001

    def __init__(self) -> None:
        super().__init__({name: flow(self.BITS).array(self.COUNT) for name, flow in (("i", In), ("o", Out))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.d.comb += [o.eq(i) for o, i in zip(self.o, reversed(self.i), strict=True)]
        return m


def test_a_module_has_any_number_of_ports() -> None:
    class Around(Wide):
        def elaborate(self, platform) -> Module:
            m = Module()
            m.submodules.wide = wide = Wide()
            for k in range(self.COUNT):
                m.d.comb += [wide.i[k].eq(self.i[k]), self.o[k].eq(~wide.o[k])]
            return m

    around, wide = modules_in(to_verilog(Around(), "around")).values()
    assert re.findall(r"^  assign (\w+) = (.*);$", wide, re.MULTILINE) == [
        ("o__2", "i__0"),
        ("o__1", "i__1"),
        ("o__0", "i__2"),
    ]
    pins = dict(re.findall(r"^    \.(\w+)\((\w+)\)", around, re.MULTILINE))
    assert [pins[f"i__{k}"] for k in range(3)] == [f"i__{k}" for k in range(3)]
    results = dict(re.findall(r"^  assign (o__\d) = ~ *(\w+);$", around, re.MULTILINE))
    assert [results[f"o__{k}"] for k in range(3)] == [pins[f"o__{k}"] for k in range(3)]


class Nested(Stage):
    """Elements of vectors of a record, driven one by one."""

    def __init__(self, vectors: int, width: int) -> None:
        vector = data.ArrayLayout(data.ArrayLayout(signed(width), 16), vectors)
        super().__init__(*[data.StructLayout({"vectors": vector, "last": unsigned(1)})] * 2)

    def transform(self, m: Module, x, y) -> None:
        for a, b in zip(x.vectors, y.vectors, strict=True):
            m.d.comb += [target.eq(value + 1) for target, value in zip(b, a, strict=True)]
        m.d.comb += y.last.eq(x.last)


def test_a_vector_has_any_width_and_tools_read_it(tmp_path: Path) -> None:
    """65,600 bits and one, where Amaranth takes 65,536."""
    text = to_verilog(Nested(4, 1025), "nested")
    (tmp_path / "nested.v").write_text(text)
    assert ("input", "i__payload") in head(text) and text.count("[65600:0]") >= 2
    assert slang_reads("nested", str(tmp_path / "nested.v"))
    assert lint("nested", ["nested.v"], tmp_path, ["WIDTHEXPAND", "UNUSEDSIGNAL"]) == ""


def test_a_vector_has_any_number_of_parts_and_tools_read_it(tmp_path: Path) -> None:
    """2,000 of them, which are one assignment and would be one line of 40,000 characters."""

    class Swapped(Stage):
        def transform(self, m: Module, x, y) -> None:
            m.d.comb += [y[k].eq(x[k ^ 1]) for k in range(len(y))]

    vector = data.ArrayLayout(signed(2), 2000)
    text = to_verilog(Swapped(vector, vector), "swapped")
    (tmp_path / "swapped.v").write_text(text)
    assert 19_000 < max(map(len, text.split("\n"))) < 20_100
    assert lint("swapped", ["swapped.v"], tmp_path) == ""


def test_a_register_of_any_width_is_reset_and_tools_read_it(tmp_path: Path) -> None:
    """One of 400,000 bits, whose zero of as many bits Yosys' reader has no room for."""
    (tmp_path / "kept.v").write_text(to_verilog(Keep(unsigned(400_000)), "kept"))
    run_yosys(["read_verilog kept.v", "hierarchy -check -top kept", "proc"], tmp_path, "kept", 60)
    assert lint("kept", ["kept.v"], tmp_path) == ""


def test_time_grows_with_a_vector_and_not_with_its_square() -> None:
    """Four times as many elements; a square would take 16 times as long."""

    def seconds(vectors: int) -> float:
        begin = time.process_time()
        to_verilog(Nested(vectors, 16), "nested")
        return time.process_time() - begin

    seconds(8)
    gc.disable()  # it looks through all that other tests have left
    try:
        assert min(seconds(128) for _ in range(2)) < 10 * min(seconds(32) for _ in range(2))
    finally:
        gc.enable()


def test_neighbours_of_a_vector_are_assigned_at_once() -> None:
    """What is assigned to a part of a signal is by itself only where a condition or a gap parts it from others."""

    class Parts(Component):
        def __init__(self) -> None:
            super().__init__({"i": In(8), "on": In(1), "o": Out(12)})

        def elaborate(self, platform) -> Module:
            m = Module()
            parts = [self.o[bit].eq(self.i[bit]) for bit in (3, 0, 2, 1, 6, 7)]
            with m.If(self.on):
                m.d.sync += parts
            m.d.sync += [self.o[6:9].eq(5), self.o[7].eq(self.i[0])]
            return m

    widen_nets()
    text = rtlil.convert(Parts(), name="parts", emit_src=False)
    (assigned,) = [re.findall(r"assign \$\d+ \[(.*?)\]", process) for process in text.split("process")[1:]]
    assert assigned == ["11:0", "3:0", "7:6", "8:6", "7", "11:0"]  # first what it was, last what reset makes it


def test_a_bit_that_is_driven_twice_is_refused() -> None:
    class Twice(Component):
        def __init__(self) -> None:
            super().__init__({"i": In(2), "o": Out(2)})

        def elaborate(self, platform) -> Module:
            m = Module()
            m.d.comb += self.o[:1].eq(self.i[0])
            m.d.sync += self.o.eq(self.i)
            return m

    with pytest.raises(DriverConflict):
        to_verilog(Twice(), "twice")


class Ring(Component):
    """A signal that leads to itself in one clock cycle, by `way`; or, `straight`, bit by bit to its own next bit."""

    def __init__(self, way: str) -> None:
        super().__init__({"i": In(2), "o": Out(2)})
        self.way = way

    def elaborate(self, platform) -> Module:
        m = Module()
        a, b = Signal(2, name="a"), Signal(2, name="b")
        m.d.comb += self.o.eq(a)
        if self.way == "straight":
            m.d.comb += [a[0].eq(self.i[0]), a[1].eq(a[0] ^ self.i[1])]
        elif self.way == "wires":
            m.d.comb += [a.eq(b), b.eq(a)]
        else:
            m.d.comb += [a.eq(b ^ self.i), b.eq(a + 1)]
        return m


@pytest.mark.parametrize("way", ["wires", "gates"])
def test_a_combinational_cycle_is_refused_and_its_signals_are_named(way: str) -> None:
    with pytest.raises(CombinationalCycle, match=r"signal [ab] bit 0"):
        to_verilog(Ring(way), "ring")


def test_a_bit_may_depend_on_another_of_its_signal() -> None:
    assert "module ring (" in to_verilog(Ring("straight"), "ring")


def test_a_component_without_a_name_is_refused() -> None:
    m = Module()
    m.submodules += Named("fine")

    class Around(Component):
        def __init__(self) -> None:
            super().__init__({"i": In(1)})

        def elaborate(self, platform) -> Module:
            return m

    with pytest.raises(ValueError, match="in it needs a name"):
        to_verilog(Around(), "unit")
