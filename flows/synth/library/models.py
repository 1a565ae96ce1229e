"""Verilog models of library cells, for gate-level simulation: their functions, without delays."""

from collections.abc import Iterable

from flows.synth.library.boolean import names, verilog_expression
from flows.synth.library.library import Cell, Library

__all__ = ["cell_models"]


def cell_models(library: Library, used: Iterable[str]) -> str:
    """A module for each cell in `used`, from the library's own description of it."""
    return "\n".join(model(library.cells[name], library) for name in sorted(set(used)))


def model(cell: Cell, library: Library) -> str:
    pins = [f"input {pin.name}" for pin in cell.inputs] + [f"output {pin.name}" for pin in cell.outputs]
    body = {"flip-flop": flip_flop, "latch": latch, "gate": gate}.get(cell.kind, gate)(cell)
    if cell.kind == "clock gate":
        body = clock_gate(library)
    return "\n".join(
        [f"module {cell.name} ({', '.join(pins)});", "  /* verilator inline_module */", *body, "endmodule\n"]
    )


def gate(cell: Cell) -> list[str]:
    return [f"  assign {pin.name} = {verilog_expression(pin.function)};" for pin in cell.outputs if pin.function]


def flip_flop(cell: Cell) -> list[str]:
    state = next(cell.group.of("ff"))
    value, inverse = state.args
    events, branches = [edge(state.text("clocked_on"))], ""
    for name, constant in (("clear", "1'b0"), ("preset", "1'b1")):
        if function := state.text(name):
            events.append(edge(function))
            branches += f"if ({verilog_expression(function)}) {value} <= {constant}; else "
    update = f"{branches}{value} <= {verilog_expression(state.text('next_state'))};"
    return [
        f"  reg {value};",
        f"  always @({' or '.join(events)}) {update}",
        *inverted(cell, value, inverse),
        *gate(cell),
    ]


def edge(function: str) -> str:
    """Event at which a function of one pin becomes true."""
    (pin,) = set(names(function))
    return ("posedge " if verilog_expression(function) == pin else "negedge ") + pin


def inverted(cell: Cell, value: str, inverse: str) -> list[str]:
    """The inverted state, where an output shows it."""
    used = any(inverse in names(pin.function) for pin in cell.outputs)
    return [f"  wire {inverse} = ~{value};"] if used else []


def latch(cell: Cell) -> list[str]:
    state = next(cell.group.of("latch"))
    value, inverse = state.args
    enable, data = (verilog_expression(state.text(name)) for name in ("enable", "data_in"))
    lines = ["  /* verilator lint_off LATCH */", f"  reg {value};", f"  always @* if ({enable}) {value} = {data};"]
    return [*lines, "  /* verilator lint_on LATCH */", *inverted(cell, value, inverse), *gate(cell)]


def clock_gate(library: Library) -> list[str]:
    """The one clock gate that synthesis uses: open while the clock is low."""
    pins = library.clock_gate
    assert pins is not None
    enable = f"{pins.enable} | {pins.test}" if pins.test else pins.enable
    return [
        "  /* verilator lint_off LATCH */",
        "  reg open;",
        f"  always @* if (!{pins.clock}) open = {enable};",
        "  /* verilator lint_on LATCH */",
        f"  assign {pins.output} = {pins.clock} & open;",
    ]
