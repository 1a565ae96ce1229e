"""Verilog models of library cells, for gate-level simulation: their functions, without delays."""

from collections.abc import Iterable

from hardloom.flows.synth.library.boolean import expression, names
from hardloom.flows.synth.library.cell import Cell
from hardloom.flows.synth.library.library import Library, clock_gate

__all__ = ["cell_models"]


def cell_models(library: Library, used: Iterable[str]) -> str:
    """A module for each cell in `used`, from the library's own description of it."""
    return "\n".join(model(library.cells[name]) for name in sorted(set(used)))


def model(cell: Cell) -> str:
    pins = [f"input {pin.name}" for pin in cell.inputs] + [f"output {pin.name}" for pin in cell.outputs]
    body = {"flip-flop": flip_flop, "latch": latch, "clock gate": gated_clock, "gate": gate}[cell.kind](cell)
    return "\n".join(
        [f"module {cell.name} ({', '.join(pins)});", "  /* verilator inline_module */", *body, "endmodule\n"]
    )


def verilog(function: str) -> str:
    """A Liberty function of one-bit nets in Verilog."""
    return expression(function, "1'b0", "1'b1")


def gate(cell: Cell) -> list[str]:
    return [f"  assign {pin.name} = {verilog(pin.function)};" for pin in cell.outputs]


def flip_flop(cell: Cell) -> list[str]:
    state = cell.state
    assert state is not None
    value, inverse = state.args
    events, branches = [edge(state.text("clocked_on"))], ""
    for name, constant in (("clear", "1'b0"), ("preset", "1'b1")):
        if function := state.text(name):
            events.append(edge(function))
            branches += f"if ({verilog(function)}) {value} <= {constant}; else "
    update = f"{branches}{value} <= {verilog(state.text('next_state'))};"
    return [
        f"  reg {value};",
        f"  always @({' or '.join(events)}) {update}",
        *inverted(cell, value, inverse),
        *gate(cell),
    ]


def edge(function: str) -> str:
    """Event at which a function of one pin becomes true."""
    (pin,) = names(function)
    return ("posedge " if function == pin else "negedge ") + pin


def inverted(cell: Cell, value: str, inverse: str) -> list[str]:
    """The inverted state, where an output shows it."""
    used = any(inverse in names(pin.function) for pin in cell.outputs)
    return [f"  wire {inverse} = ~{value};"] if used else []


def latch(cell: Cell) -> list[str]:
    state = cell.state
    assert state is not None
    value, inverse = state.args
    enable, data = (verilog(state.text(name)) for name in ("enable", "data_in"))
    lines = ["  /* verilator lint_off LATCH */", f"  reg {value};", f"  always @* if ({enable}) {value} = {data};"]
    return [*lines, "  /* verilator lint_on LATCH */", *inverted(cell, value, inverse), *gate(cell)]


def gated_clock(cell: Cell) -> list[str]:
    """A clock gate that synthesis uses: open while the clock is low."""
    pins = clock_gate(cell)
    assert pins is not None
    enable = f"{pins.enable} | {pins.test}" if pins.test else pins.enable
    return [
        "  /* verilator lint_off LATCH */",
        "  reg hardloom_open;",
        f"  always @* if (!{pins.clock}) hardloom_open = {enable};",
        "  /* verilator lint_on LATCH */",
        f"  assign {pins.output} = {pins.clock} & hardloom_open;",
    ]
