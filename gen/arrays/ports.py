"""Text that the connection files of every style share: ports, result wires, the drain chain."""

from collections.abc import Mapping, Sequence

from hardloom.gen.arrays.style import ArrayPlan
from hardloom.gen.text.provenance import header
from hardloom.golden.units.quantize import Quantize

__all__ = [
    "PORTS",
    "STREAM",
    "accumulator",
    "accumulators",
    "box",
    "drain_source",
    "module_head",
    "module_tail",
    "port_lines",
    "port_widths",
    "wrapped",
]

STREAM = (
    "clk, rst, test_enable, in_valid, in_ready, in_data, in_scale, in_last, out_valid, out_ready, out_scale, out_last"
)
"""Ports that an array passes to its shell, in order."""

PORTS = {
    **dict.fromkeys(("clk", "rst", "test_enable", "in_valid"), "input"),
    **{"in_ready": "output", "in_data": "input", "in_scale": "input", "in_last": "input"},
    **{"out_valid": "output", "out_ready": "input", "out_data": "output", "out_scale": "output", "out_last": "output"},
}
"""Direction of each port of an array, in order."""


def port_widths(activation: Quantize, lanes: int, banks: int, acc_width: int) -> dict[str, int]:
    """Bits of an array's ports that are vectors; activation: what it takes."""
    scale = activation.scale_width
    return {
        "in_data": activation.width * lanes,
        "in_scale": scale,
        "out_data": banks * lanes * acc_width,
        "out_scale": scale,
    }


def port_lines(widths: Mapping[str, int]) -> str:
    """Declarations of an array's ports, vectors of so many bits."""
    ranges = {name: f"[{width - 1}:0] " for name, width in widths.items()}
    return ",\n".join(f"    {way:6} wire {ranges.get(name, '')}{name}" for name, way in PORTS.items())


def box(module: str, widths: Mapping[str, int]) -> str:
    """Text of an array as a black box: its ports, and nothing behind them."""
    return (
        f"// {module}: ports of a hardwired array, which stands elsewhere\n\n"
        "/* verilator lint_off UNDRIVEN */\n/* verilator lint_off UNUSEDSIGNAL */\n"
        f"(* blackbox *)\nmodule {module} (\n{port_lines(widths)}\n);\nendmodule\n"
        "/* verilator lint_on UNDRIVEN */\n/* verilator lint_on UNUSEDSIGNAL */\n"
    )


def module_head(plan: ArrayPlan, what: str) -> str:
    """Provenance and ports."""
    formats = " and ".join(dict.fromkeys(plan.formats))
    shape = f"{plan.banks} x {plan.rows} rows x {plan.inputs} inputs, {formats}, {plan.lanes} lanes"
    return (
        header(plan.name, f"hardwired array, {shape}, {what}", plan.sha256)
        + f"module {plan.name} (\n"
        + port_lines(port_widths(plan.activation, plan.lanes, plan.banks, plan.acc_width))
        + "\n);\n"
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
