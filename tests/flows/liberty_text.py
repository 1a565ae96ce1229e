"""A small cell library as Liberty text, to be bent in tests."""

__all__ = ["AND_TERM", "TINY", "cell", "flip_flop", "gate", "gated_clock", "latch", "library", "pins", "timing"]

AND_TERM = "!(A & B)"
TABLES = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
VALUES = '"0.1, 0.2, 0.3", "0.2, 0.3, 0.4", "0.3, 0.4, 0.5"'
HEAD = """library (tiny) {
  delay_model : table_lookup; time_unit : "1ns"; capacitive_load_unit (1,ff); nom_voltage : 0.8;
  lu_table_template (delay) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0.01, 0.1, 0.2"); index_2 ("1, 10, 20"); }
"""


def timing(source: str, values: str = VALUES, template: str = "delay", tables=TABLES) -> str:
    held = " ".join(f"{table} ({template}) {{ values ({values}); }}" for table in tables)
    return f'timing () {{ related_pin : "{source}"; {held} }}'


def pins(names: str) -> str:
    return " ".join(f"pin ({name}) {{ direction : input; capacitance : 1; }}" for name in names)


def cell(name: str, area: float, body: str) -> str:
    return f"  cell ({name}) {{ area : {area}; {body} }}\n"


def gate(name: str, area: float, function: str, inputs: str, more: str = "", arcs: str | None = None) -> str:
    """A gate of one output `Y`; `arcs`: its timing, all of it by default."""
    arcs = " ".join(timing(name) for name in inputs) if arcs is None else arcs
    return cell(name, area, f'{more} {pins(inputs)} pin (Y) {{ direction : output; function : "{function}"; {arcs} }}')


def flip_flop(name: str, area: float, more: str = "", state: str = 'clocked_on : "CK"; next_state : "D";') -> str:
    held = f'{pins(["CK", "D"])} pin (Q) {{ direction : output; function : "IQ"; }}'
    return cell(name, area, f"{more} ff (IQ,IQN) {{ {state} }} {held}")


def latch(name: str, area: float, more: str = "") -> str:
    held = f'{pins("GD")} pin (Q) {{ direction : output; function : "IQ"; }}'
    return cell(name, area, f'{more} latch (IQ,IQN) {{ enable : "G"; data_in : "D"; }} {held}')


def gated_clock(name: str, area: float, more: str = "") -> str:
    inputs = "".join(
        f"pin ({pin}) {{ direction : input; capacitance : 1; clock_gate_{role}_pin : true; }}"
        for pin, role in (("CK", "clock"), ("E", "enable"))
    )
    output = "pin (GCK) { direction : output; clock_gate_out_pin : true; }"
    return cell(name, area, f"{more} clock_gating_integrated_cell : latch_posedge; {inputs} {output}")


def library(*cells: str, head: str = HEAD) -> str:
    return head + "".join(cells) + "}\n"


TINY = (
    gate("INV", 0.7, "!A", "A"),
    gate("BUF", 1, "A", "A"),
    gate("NAND2", 1, AND_TERM, "AB"),
    flip_flop("DFF", 5),
    latch("DLH", 3),
    gated_clock("GATE", 4),
)
"""Cells of the smallest library that synthesis takes."""
