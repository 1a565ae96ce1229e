"""The embedded cell library: a process-neutral table of standard cells, and the Liberty text made of it.

Everything follows from circuits and a few constants; docs/library.md derives them. Areas are in NAND2s (1 GE).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from hardloom.flows.synth.library.boolean import truth_table

__all__ = ["default_liberty"]

NAME = "hardloom"
VOLTS = 0.8
TAU_NS = 0.004
"""Delay unit of logical effort: an inverter that drives four of its kind takes (1 + 4) tau, 20 ps."""
UNIT_FF = 0.6
"""Input capacitance of the inverter of drive 1."""
COLUMN_FF = 0.15
"""Capacitance inside a cell that an output transition charges, for every column of transistors."""
CLOCK_FF = 1.2
"""Capacitance inside a flip-flop that every clock edge charges."""
COLUMN_NW = 0.15
"""Leakage of a column."""
SLEWS_NS = (0.004, 0.02, 0.1)
LOADS_FF = (0.6, 4.8, 38.4)
SLEW_SHARE = 0.2
"""Part of an input's transition time that adds to the delay."""
SLEW_RATIO = 1.4
"""Transition time of an output over the delay of its last stage."""


@dataclass(frozen=True)
class StandardCell:
    """A cell of drive 1, and the drives that it comes in.

    Attributes
    ----------
    name: without the drive; outputs: pin to Liberty function.
    columns: pairs of transistors side by side; breaks: gaps between diffusions, the one to the next cell included.
    effort: logical effort of an input; parasitic: delay of the unloaded cell in tau.
    grows: columns that a drive of n has n times.
    drives: multiples of the output current.
    state: Liberty group of what it stores; clock: pin that its outputs follow.
    """

    name: str
    outputs: dict[str, str]
    columns: int
    effort: float
    parasitic: float
    grows: int
    drives: tuple[int, ...] = (1,)
    breaks: int = 1
    state: str = ""
    clock: str = ""
    data: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Input pins, in order; those of a cell without a state are the letters of its functions."""
        return self.data or tuple(sorted(set(re.findall(r"[A-Z]\w*", " ".join(self.outputs.values())))))

    def width(self, drive: int) -> int:
        """Columns and breaks; three are a NAND2's."""
        return self.columns + self.grows * (drive - 1) + self.breaks

    def input_ff(self, drive: int) -> float:
        """Only a single-stage cell's inputs grow with its drive."""
        return self.effort * UNIT_FF * (drive if self.grows == self.columns else 1)


def stage(name: str, function: str, columns: int, effort: float, parasitic: float, drives=(1, 2, 4)) -> StandardCell:
    """One complementary stage: drive n is n of it side by side."""
    return StandardCell(name, {"Y": function}, columns, effort, parasitic, columns, drives)


def stages(name: str, function: str, columns: int, effort: float, parasitic: float, drives=(1, 2)) -> StandardCell:
    """Several stages, the last an inverter: of drive n, only it grows."""
    return StandardCell(name, {"Y": function}, columns, effort, parasitic, 1, drives)


DFF = 'ff (IQ,IQN) {{ clocked_on : "CK"; next_state : "{}"; {}}}'

CELLS = (
    stage("INV", "!A", 1, 1, 1, (1, 2, 4, 8)),
    stages("BUF", "A", 2, 1, 2.5, (1, 2, 4, 8)),
    stage("NAND2", "!(A&B)", 2, 4 / 3, 2),
    stage("NAND3", "!(A&B&C)", 3, 5 / 3, 3, (1, 2)),
    stage("NAND4", "!(A&B&C&D)", 4, 2, 4, (1,)),
    stage("NOR2", "!(A|B)", 2, 5 / 3, 2),
    stage("NOR3", "!(A|B|C)", 3, 7 / 3, 3, (1, 2)),
    stage("NOR4", "!(A|B|C|D)", 4, 3, 4, (1,)),
    stages("AND2", "A&B", 3, 4 / 3, 4),
    stages("AND3", "A&B&C", 4, 5 / 3, 5),
    stages("AND4", "A&B&C&D", 5, 2, 6),
    stages("OR2", "A|B", 3, 5 / 3, 4),
    stages("OR3", "A|B|C", 4, 7 / 3, 5),
    stages("OR4", "A|B|C|D", 5, 3, 6),
    stage("AOI21", "!((A&B)|C)", 3, 2, 7 / 3, (1, 2)),
    stage("OAI21", "!((A|B)&C)", 3, 2, 7 / 3, (1, 2)),
    stage("AOI22", "!((A&B)|(C&D))", 4, 2, 4, (1, 2)),
    stage("OAI22", "!((A|B)&(C|D))", 4, 2, 4, (1, 2)),
    stage("AOI211", "!((A&B)|C|D)", 4, 7 / 3, 4, (1,)),
    stage("OAI211", "!((A|B)&C&D)", 4, 7 / 3, 4, (1,)),
    stage("AOI221", "!((A&B)|(C&D)|E)", 5, 7 / 3, 5, (1,)),
    stage("OAI221", "!((A|B)&(C|D)&E)", 5, 7 / 3, 5, (1,)),
    stage("AOI222", "!((A&B)|(C&D)|(E&F))", 6, 7 / 3, 6, (1,)),
    stage("OAI222", "!((A|B)&(C|D)&(E|F))", 6, 7 / 3, 6, (1,)),
    stage("MAJI3", "!((A&B)|(C&(A|B)))", 5, 2.5, 5, (1,)),
    stages("MUX2", "(A&!S)|(B&S)", 6, 1.5, 5),
    stages("XOR2", "A^B", 5, 2, 5),
    stages("XNOR2", "!(A^B)", 5, 2, 5),
    StandardCell("HA", {"CO": "A&B", "S": "A^B"}, 8, 2.5, 5.5, 2, breaks=2),
    StandardCell("FA", {"CO": "(A&B)|(CI&(A|B))", "S": "A^B^CI"}, 14, 3, 8, 2, breaks=2),
    StandardCell("TIE0", {"Y": "0"}, 1, 0, 0, 0),
    StandardCell("TIE1", {"Y": "1"}, 1, 0, 0, 0),
    StandardCell("DFF", {"Q": "IQ"}, 14, 1, 9, 1, (1, 2), 3, DFF.format("D", ""), "CK", ("CK", "D")),
    StandardCell(
        "DFFE", {"Q": "IQ"}, 18, 1, 9, 1, (1,), 3, DFF.format("(D&E)|(IQ&!E)", ""), "CK", ("CK", "D", "E")
    ),
    StandardCell(
        "DFFR", {"Q": "IQ"}, 16, 1, 9, 1, (1,), 4, DFF.format("D", 'clear : "!RN"; '), "CK", ("CK", "D", "RN")
    ),
    StandardCell(
        "DLH", {"Q": "IQ"}, 8, 1, 5, 1, (1,), 2, 'latch (IQ,IQN) { enable : "G"; data_in : "D"; }', "G", ("D", "G")
    ),
    StandardCell(
        "CLKGATE", {"GCK": "CK & IQ"}, 11, 1, 4, 1, (1, 4), 2,
        'statetable ("CK E","IQ") { table : "L L : - : L, L H : - : H, H - : - : N"; }', "CK", ("CK", "E"),
    ),
)  # fmt: skip
"""Every cell; those of one output stage are the ways to put up to six transistors in series and in parallel."""


@cache
def default_liberty() -> str:
    """The library as Liberty text, the same bytes each time. Units: ns, fF, V, nW, fJ; area 1 is a NAND2."""
    lines = [
        f"/* {NAME}: process-neutral cell library, derived in docs/library.md; area 1 is a NAND2 */",
        f"library ({NAME}) {{",
        "  technology (cmos);",
        "  delay_model : table_lookup;",
        '  time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA"; pulling_resistance_unit : "1kohm";',
        '  leakage_power_unit : "1nW"; capacitive_load_unit (1,ff);',
        f"  nom_process : 1; nom_temperature : 25; nom_voltage : {VOLTS};",
        f"  default_max_transition : {SLEWS_NS[-1] * 4};",
        *(f"  {edge}_threshold_pct_{way} : 50;" for edge in ("input", "output") for way in ("rise", "fall")),
        *(f"  slew_lower_threshold_pct_{way} : 20; slew_upper_threshold_pct_{way} : 80;" for way in ("rise", "fall")),
        "  lu_table_template (delay) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;",
        f"    {axis(1, SLEWS_NS)} {axis(2, LOADS_FF)} }}",
        "  lu_table_template (check) { variable_1 : related_pin_transition; variable_2 : constrained_pin_transition;",
        f"    {axis(1, SLEWS_NS)} {axis(2, SLEWS_NS)} }}",
        f"  power_lut_template (energy) {{ variable_1 : input_transition_time; {axis(1, SLEWS_NS)} }}",
        *(line for cell in CELLS for drive in cell.drives for line in cell_lines(cell, drive)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def axis(number: int, values: tuple[float, ...]) -> str:
    return f'index_{number} ("{", ".join(map(digits, values))}");'


def digits(value: float) -> str:
    return f"{value:.6g}"


def cell_lines(cell: StandardCell, drive: int) -> Iterator[str]:
    width = cell.width(drive)
    yield f"  cell ({cell.name}_X{drive}) {{"
    yield f"    area : {digits(width / 3)}; cell_leakage_power : {digits(COLUMN_NW * (width - cell.breaks))};"
    if cell.name == "CLKGATE":
        yield "    clock_gating_integrated_cell : latch_posedge; dont_touch : true;"
    if cell.state:
        yield f"    {cell.state}"
    if cell.name == "CLKGATE":
        yield "    pin (IQ) { direction : internal; internal_node : IQ; }"
    for pin in cell.inputs:
        yield from input_lines(cell, drive, pin)
    for pin, function in cell.outputs.items():
        yield from output_lines(cell, drive, pin, function)
    yield "  }"


def input_lines(cell: StandardCell, drive: int, pin: str) -> Iterator[str]:
    roles = ""
    if pin == cell.clock and cell.name != "DLH":
        roles = " clock : true;"
    if cell.name == "CLKGATE":
        roles += f" clock_gate_{'clock' if pin == cell.clock else 'enable'}_pin : true;"
    yield f"    pin ({pin}) {{ direction : input; capacitance : {digits(cell.input_ff(drive))};{roles}"
    if pin == cell.clock:
        energy = CLOCK_FF * VOLTS**2 / 2
        yield from energy_lines("", energy)
    elif cell.state and pin != "RN":
        edge = "falling" if cell.name == "DLH" else "rising"
        for kind, tau in (("setup", 4), ("hold", 0)):
            values = table(
                SLEWS_NS, SLEWS_NS, lambda clock, data, tau=tau: tau * TAU_NS + (data - clock) * (tau > 0) / 4
            )
            yield f'      timing () {{ related_pin : "{cell.clock}"; timing_type : {kind}_{edge};'
            yield from (f"        {way}_constraint (check) {{ {values} }}" for way in ("rise", "fall"))
            yield "      }"
    yield "    }"


def table(first: tuple[float, ...], second: tuple[float, ...], value) -> str:
    rows = (", ".join(digits(value(a, b)) for b in second) for a in first)
    return "values (" + ", ".join(f'"{row}"' for row in rows) + ");"


def energy_lines(related: str, energy: float) -> Iterator[str]:
    values = f'values ("{", ".join([digits(energy)] * len(SLEWS_NS))}");'
    edges = " ".join(f"{way}_power (energy) {{ {values} }}" for way in ("rise", "fall"))
    yield f"      internal_power () {{{related} {edges} }}"


def output_lines(cell: StandardCell, drive: int, pin: str, function: str) -> Iterator[str]:
    limit = LOADS_FF[-1] * drive * 2
    gate = " clock_gate_out_pin : true;" if cell.name == "CLKGATE" else ""
    said = f'state_function : "{function}";' if gate else f'function : "{function}";'
    yield f"    pin ({pin}) {{ direction : output; {said} max_capacitance : {digits(limit)};{gate}"
    sources = (cell.clock,) if cell.state else cell.inputs
    delay = table(
        SLEWS_NS, LOADS_FF,
        lambda slew, load: TAU_NS * (cell.parasitic + load / UNIT_FF / drive) + SLEW_SHARE * slew,
    )  # fmt: skip
    slew = table(SLEWS_NS, LOADS_FF, lambda slew, load: SLEW_RATIO * TAU_NS * (1 + load / UNIT_FF / drive))
    for source in sources:
        yield f'      timing () {{ related_pin : "{source}"; {arc(cell, function, source)}'
        for way in ("rise", "fall"):
            yield f"        cell_{way} (delay) {{ {delay} }}"
            yield f"        {way}_transition (delay) {{ {slew} }}"
        yield "      }"
        energy = COLUMN_FF * (cell.columns + cell.grows * (drive - 1)) * VOLTS**2 / 2
        yield from energy_lines(f' related_pin : "{source}";', energy)
    yield "    }"


def arc(cell: StandardCell, function: str, source: str) -> str:
    """Type and sense of the arc from `source`."""
    if cell.name == "DLH":
        return "timing_type : rising_edge; timing_sense : non_unate;"
    if cell.name == "CLKGATE":
        return "timing_sense : positive_unate;"
    if cell.state:
        return "timing_type : rising_edge; timing_sense : non_unate;"
    return f"timing_sense : {sense(function, cell.inputs, source)};"


def sense(function: str, inputs: tuple[str, ...], source: str) -> str:
    """Whether the output rises, falls or does either when `source` rises."""
    order = [name for name in inputs if name != source] + [source]
    table, half = truth_table(function, order), 1 << len(inputs) - 1
    low, high = table & (1 << half) - 1, table >> half
    rises, falls = high & ~low, low & ~high
    return "non_unate" if rises and falls else "positive_unate" if rises else "negative_unate"
