"""Text that the connection files of every style share: ports, result wires, the drain chain."""

from collections.abc import Sequence

from hardloom.gen.arrays.style import ArrayPlan
from hardloom.gen.text.provenance import header

__all__ = [
    "STREAM",
    "accumulator",
    "accumulators",
    "drain_source",
    "module_head",
    "module_tail",
    "wrapped",
]

STREAM = (
    "clk, rst, test_enable, in_valid, in_ready, in_data, in_scale, in_last, out_valid, out_ready, out_scale, out_last"
)
"""Ports that an array passes to its shell, in order."""


def module_head(plan: ArrayPlan, what: str) -> str:
    """Provenance and ports."""
    formats = " and ".join(dict.fromkeys(plan.formats))
    shape = f"{plan.banks} x {plan.rows} rows x {plan.inputs} inputs, {formats}, {plan.lanes} lanes"
    return (
        header(plan.name, f"hardwired array, {shape}, {what}", plan.sha256)
        + f"module {plan.name} (\n"
        + "    input  wire clk,\n    input  wire rst,\n    input  wire test_enable,\n"
        + "    input  wire in_valid,\n    output wire in_ready,\n"
        + f"    input  wire [{plan.activation.width * plan.lanes - 1}:0] in_data,\n"
        + f"    input  wire [{plan.activation.scale_width - 1}:0] in_scale,\n    input  wire in_last,\n"
        + "    output wire out_valid,\n    input  wire out_ready,\n"
        + f"    output wire [{plan.banks * plan.lanes * plan.acc_width - 1}:0] out_data,\n"
        + f"    output wire [{plan.activation.scale_width - 1}:0] out_scale,\n    output wire out_last\n);\n"
    )


def accumulator(bank: int, cell: int) -> str:
    """Result wire of a cell: the accumulator of the neuron that drains next."""
    return f"a_{bank}_{cell}"


def accumulators(plan: ArrayPlan, cells: int, kind: str = "wire") -> str:
    """Declarations of the results of `cells` cells a bank."""
    names = [accumulator(bank, cell) for bank in range(plan.banks) for cell in range(cells)]
    return wrapped(f"    {kind} [{plan.acc_width - 1}:0] ", names, ";\n")


def drain_source(plan: ArrayPlan, bank: int, cell: int, cells: int) -> str:
    """What a cell takes while results drain: the cell `lanes` further, or zero behind the last."""
    behind = cell + plan.lanes
    return accumulator(bank, behind) if behind < cells else f"{plan.acc_width}'d0"


def module_tail(plan: ArrayPlan, cells: int) -> str:
    """The first `lanes` cells of every bank as output, and the end of the module."""
    lanes = [
        accumulator(bank, lane) if lane < cells else f"{plan.acc_width}'d0"
        for bank in range(plan.banks)
        for lane in range(plan.lanes)
    ]
    return wrapped("    assign out_data = {", lanes[::-1], "};\n") + "endmodule\n"


def wrapped(start: str, names: Sequence[str], end: str, per_line: int = 16) -> str:
    """`start`, the names separated by commas, `end`; a new line every `per_line` names."""
    rows = [", ".join(names[i : i + per_line]) for i in range(0, len(names), per_line)]
    return start + ",\n        ".join(rows) + end
