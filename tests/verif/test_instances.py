"""The reader of instance lines: pins in order, pins by the names of ports, and where they are in the text."""

import pytest

from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import instance_at, instances

TEXT = b"""module top (
    input  wire clk
);
    wire a, b;
    shell_i4 shell (clk, a,
        b);
    always @(posedge clk)
        if (a) r <= 1'b0;
        else r <= (b);
    subsets_k2 subsets_0 ({a1,
  a0}, g0);
    cell_w9 cell_1_20 (core_clk, 9'd0,  p1,1'b0,
 a0|  a1);
    assign out = {a, b};
endmodule
"""


def test_instances_are_found_in_order_among_other_statements() -> None:
    found = [(instance.module, instance.name, instance.place) for instance in instances(TEXT)]
    assert found == [("shell_i4", "shell", ()), ("subsets_k2", "subsets_0", (0,)), ("cell_w9", "cell_1_20", (1, 20))]


def test_reading_may_begin_anywhere() -> None:
    behind_shell = TEXT.index(b"always")
    assert [instance.name for instance in instances(TEXT, behind_shell)] == ["subsets_0", "cell_1_20"]
    assert [instance.name for instance in instances(TEXT, len(TEXT))] == []
    cell = TEXT.index(b"    cell_w9")
    assert instance_at(TEXT, behind_shell) is None
    assert instance_at(TEXT, cell) == list(instances(TEXT))[-1]


def test_pins_come_in_order_and_by_the_names_of_ports() -> None:
    shell, subsets, cell = instances(TEXT)
    assert shell.pins == [b"clk", b"a", b"b"]
    assert cell.pins == [b"core_clk", b"9'd0", b"p1", b"1'b0", b"a0|  a1"]
    pins, behind = cell.leading(("clk", "chain"))
    assert pins == {"clk": "core_clk", "chain": "9'd0"}
    assert TEXT[behind : cell.end] == b"  p1,1'b0,\n a0|  a1"
    assert subsets.leading(("a", "n")) == ({"a": "{a1, a0}", "n": "g0"}, subsets.end + 1)


def test_bytes_of_an_instance_are_its_lines() -> None:
    shell, *_, cell = instances(TEXT)
    assert TEXT[shell.begin : shell.stop] == b"    shell_i4 shell (clk, a,\n        b);"
    changed = cell.replaced([b"core_clk", b"x"])
    assert changed == TEXT.replace(TEXT[cell.start : cell.end], b"core_clk, x")


@pytest.mark.parametrize("pins", [b"a, b", b"a, b) c", b"a,, c", b"", b"a) b, c", b"{a, b, c"])
def test_pins_that_are_missing_or_malformed_are_an_error(pins: bytes) -> None:
    (instance,) = instances(b"  cell cell_0 (" + pins + b");\n")
    with pytest.raises(ExtractionError, match="cell_0 of cell"):
        instance.leading(("one", "two", "three"))
