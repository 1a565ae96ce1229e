"""Energy of a mapped array: every net's toggles in a gate-level run, and the library's capacitances and energies.

Where Coloquinte is installed and the library's areas are um2, the cells are placed, and nets have the capacitance of
their wires too. The clock tree is left out, and so are glitches, the simulation having no delays.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

from hardloom.flows.assumptions.assumptions import Assumption, parse, read_data
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.library.boolean import names
from hardloom.flows.synth.library.cell import Cell
from hardloom.flows.synth.library.liberty import Group, number
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.library.models import cell_models
from hardloom.flows.synth.saif import toggles
from hardloom.flows.synth.wirelength import has_placer, net_lengths
from hardloom.flows.synth.yosys import Options
from hardloom.gen.arrays import ArrayPlan
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError
from hardloom.verif.arrays.bench import write_bench
from hardloom.verif.arrays.cases import ArraysJob
from hardloom.verif.simulators.runner import run_tests
from hardloom.verif.simulators.verilator import QUICK_BUILD, verilate
from hardloom.verif.streams.bench import BENCH

__all__ = ["Power", "array_power", "weigh"]

PACKETS_COUNTED = 16


def wire_farads() -> float:
    """Of a um of a signal's wire."""
    return 1e-15 * assumed()["wire_ff_per_um"].value


def wire_scales() -> tuple[float, float]:
    """The least and the most energy of wires, over that of placed trees: by their length and their capacitance."""
    length, farads = assumed()["wire_length_scale"], assumed()["wire_ff_per_um"]
    return length.low * farads.low / farads.value, length.high * farads.high / farads.value


@cache
def assumed() -> dict[str, Assumption]:
    return parse(read_data("common"))


@dataclass(frozen=True)
class Energy:
    """Of one module in one run. In J: switching, of nets, half C V^2 a toggle, C being the pins on the net; internal,
    inside cells, a toggle of an output; clock, of clock pins, net and inside; wires, half C V^2 a toggle, C being the
    net's placed wire. leakage: in W."""

    switching: float
    internal: float
    clock: float
    leakage: float
    wires: float = 0.0

    @property
    def total(self) -> float:
        return self.switching + self.internal + self.clock + self.wires


@dataclass(frozen=True)
class Power:
    """Of one array. Energies in pJ for one vector (GEMV), leakage in uW.

    switching, internal, clock, wires: as in `Energy`; wires: None where nothing was placed. neurons: what is not the
    shell, in pJ and, for one weight, in fJ; weight_fj: shell and neurons for one weight; weight_range_fj: the same with
    the shortest wires of the least capacitance, and the longest of the most.
    """

    vectors: int
    cycles_per_vector: int
    switching_pj: float
    internal_pj: float
    clock_pj: float
    wires_pj: float | None
    gemv_pj: float
    weight_fj: float
    weight_range_fj: tuple[float, float] | None
    neurons_pj: float
    neurons_weight_fj: float
    leakage_uw: float
    volts: float

    @classmethod
    def of(cls, plan: ArrayPlan, vectors: int, volts: float, neurons: Energy, shell: Energy, placed: bool) -> "Power":
        """From the energies of `vectors` vectors. placed: whether wires are in them."""
        to_pj = 1e12 / vectors
        to_fj = 1000 * to_pj / plan.weights
        both = Energy(*(getattr(neurons, f.name) + getattr(shell, f.name) for f in fields(Energy)))
        ends = [round(to_fj * (both.total + (scale - 1) * both.wires), 4) for scale in wire_scales()]
        return cls(
            vectors,
            plan.cycles_per_packet,
            switching_pj=round(to_pj * both.switching, 4),
            internal_pj=round(to_pj * both.internal, 4),
            clock_pj=round(to_pj * both.clock, 4),
            wires_pj=round(to_pj * both.wires, 4) if placed else None,
            gemv_pj=round(to_pj * both.total, 4),
            weight_fj=round(to_fj * both.total, 4),
            weight_range_fj=(ends[0], ends[1]) if placed else None,
            neurons_pj=round(to_pj * neurons.total, 4),
            neurons_weight_fj=round(to_fj * neurons.total, 4),
            leakage_uw=round(1e6 * both.leakage, 4),
            volts=volts,
        )

    def to_json_dict(self) -> dict[str, Any]:
        return asdict(self)


def array_power(
    plan: ArrayPlan, options: Options, folder: Path, vectors: int = PACKETS_COUNTED, with_shell: bool = True
) -> Power:
    """Synthesize, simulate one vector and `vectors` more, and weigh the toggles of those more.

    The neurons are flattened together, the shell by itself; without `with_shell` it stays as emitted and weighs
    nothing, so that a few neurons of a wide array can be measured. Raises SynthesisError, also where the netlist does
    not give the sums.
    """
    library = options.library
    assert library is not None
    volts = library.volts
    files, job = write_bench([plan], folder, 1)
    shell = plan.shell
    common = [path for path in files[plan.name] if path.stem == shell or path.stem.startswith("hardloom_")]
    neurons = [path for path in files[plan.name] if path not in common]
    parts = [(plan.name, neurons, common), (shell, common, [])]
    if not with_shell:
        del parts[1:]
    used: set[str] = set()
    for module, sources, boxes in parts:
        netlist, connections = (folder / f"gates_{module}.{suffix}" for suffix in ("v", "json"))
        result = synthesize(sources, module, options, black_boxes=boxes, netlist=netlist, connections=connections)
        used |= result.cells.keys()
    (folder / "cells.v").write_text(cell_models(library, used))
    sources = [folder / f"{BENCH}.v", folder / "cells.v", *(folder / f"gates_{module}.v" for module, *_ in parts)]
    sources += [] if with_shell else common
    arguments = (*QUICK_BUILD, "--trace-saif", "--trace-underscore")
    verilate(sources, BENCH, folder / "verilator", arguments)
    traces = [traced(plan, folder, replace(job, packets=packets)) for packets in (1, 1 + vectors)]
    placed = has_placer() and library.nand2.area != 1  # the embedded library's areas are no um2
    energies = []
    for module, instance in [(plan.name, "array"), (shell, "shell")][: len(parts)]:
        before, counts = (Counter(toggles(trace, instance)) for trace in traces)
        counts.subtract(before)
        connections = json.loads((folder / f"gates_{module}.json").read_text())["modules"]
        energies.append(weigh(connections[module], counts, library, placed))
    nothing = Energy(0.0, 0.0, 0.0, 0.0)
    return Power.of(plan, vectors, volts, energies[0], energies[1] if with_shell else nothing, placed)


def traced(plan: ArrayPlan, folder: Path, job: ArraysJob) -> str:
    """SAIF text of one run."""
    trace = folder / f"activity{job.packets}.saif"
    environment = job.hand_over(folder) | {"COCOTB_RANDOM_SEED": "1"}
    plus = ["--trace", "--trace-file", str(trace.resolve())]
    if run_tests(BENCH, "hardloom.verif.arrays.activity", folder, environment, plusargs=plus):
        raise SynthesisError(f"{plan.name}: the netlist does not give the sums, see {folder / 'simulation.log'}")
    return trace.read_text()


def weigh(module: dict[str, Any], counts: Counter[str], library: Library, place: bool = False) -> Energy:
    """Energies of the cells in a `write_json` module whose nets toggled `counts` times; not of other modules in it.
    place: with wires."""
    by_bit = {
        bit: counts[name if len(net["bits"]) == 1 else f"{name}[{k}]"]
        for name, net in module["netnames"].items()
        for k, bit in enumerate(net["bits"])
        if not isinstance(bit, str)
    }
    cells = [instance for instance in module["cells"].values() if instance["type"] in library.cells]
    pins = {name: pin_energies(library.cells[name], library) for name in {cell["type"] for cell in cells}}
    clocks: set[int] = set()
    switching = internal = clock = leakage = 0.0
    for instance in cells:
        cell = library.cells[instance["type"]]
        leakage += cell.leakage
        for pin, (bit, *_) in instance["connections"].items():
            farads, energy, is_clock = pins[cell.name][pin]
            moved = by_bit.get(bit, 0) if not isinstance(bit, str) else 0
            net = moved * farads * library.volts**2 / 2
            if is_clock:
                clocks |= {bit}
                clock += net + moved * energy
            else:
                switching, internal = switching + net, internal + moved * energy
    lengths = net_lengths(module, library, frozenset(clocks)) if place else {}
    moved_um = sum(by_bit.get(bit, 0) * length for bit, length in lengths.items()) * sqrt(library.nand2.area)
    wires = moved_um * wire_farads() * library.volts**2 / 2
    return Energy(switching, internal, clock, leakage * library.units.watts, wires)


def mean_energy(pin: Group) -> float:
    """Mean of a pin's internal energy tables, over edges, conditions, slews and loads; in the library's unit.

    Raises ValueError where a table holds what is no number.
    """
    tables = [
        [number(text) for text in table.text("values").replace(",", " ").split()]
        for group in pin.of("internal_power")
        for table in group.of("rise_power", "fall_power", "power")
    ]
    means = [sum(table) / len(table) for table in tables if table]
    return sum(means) / len(means) if means else 0.0


def pin_energies(cell: Cell, library: Library) -> dict[str, tuple[float, float, bool]]:
    """By pin: farads of its input, joules inside the cell a toggle, and whether it is a clock."""
    clocks = names(cell.state.text("clocked_on")) if cell.state else set()
    units = library.units
    try:
        return {
            pin.name: (
                pin.capacitance * units.farads,
                mean_energy(pin.group) * units.joules,
                pin.name in clocks or pin.group.says("clock"),
            )
            for pin in cell.pins
        }
    except ValueError as error:
        raise UserError(f"{library.files}: an internal energy of {cell.name} {error}; leave out --power") from None
