"""Energy of a mapped array: every net's toggles in a gate-level run, and the library's capacitances and energies.

Left out, because there is no layout: the capacitance of wires, and the clock tree. Glitches are left out too, the
simulation having no delays. So the figure is what the cells take, and a lower bound of what the silicon does.
"""

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.synth.liberty import Cell, Group, Library
from flows.synth.models import cell_models
from flows.synth.saif import toggles
from flows.synth.yosys import synthesize
from gen.arrays import ArrayPlan
from golden.errors import UserError
from verif.arrays import PACKETS, TOP, write_bench
from verif.runner import run_tests, verilate

__all__ = ["Power", "array_power"]

PACKETS_COUNTED = 16
NUMBER = re.compile(r"-?[\d.]+(?:[eE][-+]?\d+)?")
METRIC = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass(frozen=True)
class Power:
    """Of one array. Energies in pJ for one vector (GEMV), leakage in uW.

    switching: of nets, half C V^2 a toggle, C being the pins on the net; internal: inside cells, a toggle of an output;
    clock: of clock pins, net and inside. weight_fj: all three for one weight.
    """

    vectors: int
    cycles_per_vector: int
    switching_pj: float
    internal_pj: float
    clock_pj: float
    gemv_pj: float
    weight_fj: float
    leakage_uw: float
    volts: float

    def to_json_dict(self) -> dict[str, Any]:
        return asdict(self)


def array_power(plan: ArrayPlan, library: Library, folder: Path, vectors: int = PACKETS_COUNTED) -> Power:
    """Synthesize, simulate one vector and `vectors` more, and weigh the toggles of those more.

    Raises SynthesisError; RuntimeError where the netlist does not give the sums.
    """
    files, environment = write_bench([plan], folder, 1, seed=1)
    netlist, connections = folder / "gates.v", folder / "gates.json"
    result = synthesize(files[plan.name], plan.name, library, netlist=netlist, connections=connections)
    (folder / "cells.v").write_text(cell_models(library, result.cells))
    arguments = ("-CFLAGS", "-O0", "--trace-saif", "--trace-underscore")
    verilate([folder / TOP, netlist, folder / "cells.v"], "arrays_top", folder / "verilator", arguments)
    counts = []
    for packets in (1, 1 + vectors):
        run = environment | {PACKETS: str(packets)}
        trace = folder / f"activity{packets}.saif"
        plus = ["--trace", "--trace-file", str(trace.resolve())]
        if run_tests("arrays_top", "verif.activity", folder, run, plusargs=plus):
            raise RuntimeError(f"{plan.name}: the netlist does not give the sums, see {folder / 'simulation.log'}")
        counts.append(Counter(toggles(trace.read_text(), f"{plan.name}_unit")))
    counts[1].subtract(counts[0])
    module = json.loads(connections.read_text())["modules"][plan.name]
    return weigh(module, counts[1], library, plan, vectors)


def weigh(module: dict[str, Any], counts: Counter[str], library: Library, plan: ArrayPlan, vectors: int) -> Power:
    """Energies of a `write_json` module whose nets toggled `counts` times."""
    units = Units(library)
    by_bit = {
        bit: counts[name if len(net["bits"]) == 1 else f"{name}[{k}]"]
        for name, net in module["netnames"].items()
        for k, bit in enumerate(net["bits"])
        if not isinstance(bit, str)
    }
    pins = {name: pin_energies(library.cells[name], units) for name in {c["type"] for c in module["cells"].values()}}
    switching = internal = clock = leakage = 0.0
    for instance in module["cells"].values():
        cell = library.cells[instance["type"]]
        leakage += cell.leakage
        for pin, (bit, *_) in instance["connections"].items():
            farads, energy, is_clock = pins[cell.name][pin]
            moved = by_bit.get(bit, 0) if not isinstance(bit, str) else 0
            net = moved * farads * units.volts**2 / 2
            if is_clock:
                clock += net + moved * energy
            else:
                switching, internal = switching + net, internal + moved * energy
    to_pj = 1e12 / vectors
    total = to_pj * (switching + internal + clock)
    return Power(
        vectors,
        plan.cycles_per_packet,
        switching_pj=round(to_pj * switching, 4),
        internal_pj=round(to_pj * internal, 4),
        clock_pj=round(to_pj * clock, 4),
        gemv_pj=round(total, 4),
        weight_fj=round(1000 * total / plan.weights, 4),
        leakage_uw=round(leakage * units.leakage_watts * 1e6, 4),
        volts=units.volts,
    )


class Units:
    """A library's units in SI: volts of the supply, farads, joules of an energy table, watts of leakage.

    Raises UserError where it states one that is none.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        volt_unit = self._scaled("voltage_unit", "1V")
        self.farads = self._scaled("capacitive_load_unit", "1pF")
        self.volts = library.head.number("nom_voltage", 1.0) * volt_unit
        self.joules = self.farads * volt_unit**2
        self.leakage_watts = self._scaled("leakage_power_unit", "1nW")

    def _scaled(self, name: str, default: str) -> float:
        """The unit `name`, such as 1pF, in SI."""
        text = self.library.head.text(name, default)
        match = re.fullmatch(rf"([\d.]+)\s*([fpnum]?){default[-1]}", text, re.IGNORECASE)
        if match is None:
            raise UserError(f"library {self.library.name}: its {name} is {text!r}, which is no unit like {default}")
        return float(match[1]) * METRIC[match[2].lower()]


def mean_energy(pin: Group) -> float:
    """Mean of a pin's internal energy tables, over edges, conditions, slews and loads; in the library's unit."""
    tables = [
        [float(number) for number in NUMBER.findall(table.text("values"))]
        for group in pin.of("internal_power")
        for table in group.groups
        if table.kind in ("rise_power", "fall_power", "power")
    ]
    means = [sum(table) / len(table) for table in tables if table]
    return sum(means) / len(means) if means else 0.0


def pin_energies(cell: Cell, units: Units) -> dict[str, tuple[float, float, bool]]:
    """By pin: farads of its input, joules inside the cell a toggle, and whether it is a clock."""
    clocks = {name for state in cell.group.of("ff") for name in re.findall(r"\w+", state.text("clocked_on"))}
    groups = {pin.args[0]: pin for pin in cell.group.of("pin") if pin.args}
    return {
        pin.name: (
            pin.capacitance * units.farads if pin.direction == "input" else 0.0,
            mean_energy(groups[pin.name]) * units.joules,
            pin.name in clocks or groups[pin.name].text("clock") == "true",
        )
        for pin in cell.pins
    }
