"""Benches of stream units: what a case is, one Verilator build for many cases, the command line.

`verif/units/<unit>.py` gives the cases of a unit (geometry, stimulus, expected output from `golden/units`);
`verif/streams/tests.py` holds the tests that every case goes through. One case or all:

    python -m verif.streams.bench rope rmsnorm
    python -m verif.streams.bench
"""

import argparse
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from amaranth.hdl import Shape
from amaranth.lib import data, stream
from amaranth.lib.wiring import Flow
from torch import Generator, Tensor

from hardloom.gen.stream.component import Component
from hardloom.gen.text.ram import with_rams
from hardloom.gen.text.verilog import joined, to_verilog
from hardloom.verif.simulators.job import Job
from hardloom.verif.simulators.runner import build_and_test
from hardloom.verif.simulators.verilator import QUICK_BUILD

__all__ = [
    "BENCH",
    "Case",
    "Packet",
    "Port",
    "Stimulus",
    "UnitsJob",
    "bench_parts",
    "bench_verilog",
    "cases",
    "ended",
    "pack",
    "packets",
    "ports",
    "run",
    "unpack",
]

BENCH = "bench"
"""The top module that holds the cases."""

READ = "read_data <= stored[read_address];"
HOSTILE_READ = (
    "read_data <= write_enable && write_address == read_address ? ~stored[read_address] : stored[read_address];"
)

Packet = list[Any]
"""Beats of one packet; a beat is what `pack` takes: an int, or a dict or list of such."""


@dataclass(frozen=True)
class Stimulus:
    """What goes in and what must come out.

    inputs, outputs: packets by stream name, in order.
    constants: values of the other inputs (`positions`), held throughout.
    cycles: bound on the cycles from the first beat in to the last beat out with nobody waiting; None: the longest
        stream's beats plus the case's latency.
    """

    inputs: dict[str, list[Packet]]
    outputs: dict[str, list[Packet]]
    constants: dict[str, int] = field(default_factory=dict)
    cycles: int | None = None


@dataclass(frozen=True)
class Case:
    """One unit in one geometry.

    name: Verilog identifier, unique over all units.
    component: makes the unit; ROMs that it wants outside are wired to it in a wrapper,
        `verif.streams.stimulus.WithRoms`.
    stimulus: makes a `Stimulus` of kind "random" or "corners" from a seeded generator.
    latency: cycles beyond the beats themselves that back-to-back packets may take.
    alone: cycles from the last beat in to the last beat out of a packet that meets no other (`gen.design.latency`);
        None where that is not promised.
    """

    name: str
    component: Callable[[], Component]
    stimulus: Callable[[Generator, str], Stimulus]
    latency: int
    alone: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Port:
    """A stream of a component, or one of its plain inputs (`is_stream` false)."""

    name: str
    shape: Any
    is_input: bool
    is_stream: bool


def ports(component: Component) -> list[Port]:
    """The component's streams and plain inputs; plain outputs are left open."""
    found = []
    for name, member in component.signature.members.items():
        is_input = member.flow == Flow.In
        if member.is_signature and isinstance(member.signature, stream.Signature):
            found.append(Port(name, member.signature.members["payload"].shape, is_input, True))
        elif member.is_port and is_input:
            found.append(Port(name, member.shape, True, False))
    return found


def pack(shape: Any, value: Any) -> int:
    """Bits of `value` in `shape`: a dict for a struct (absent fields 0), a list for an array, an int else."""
    if isinstance(shape, data.StructLayout):
        return sum(pack(f.shape, value[k]) << f.offset for k, f in shape if k in value)
    if isinstance(shape, data.ArrayLayout):
        return sum(pack(f.shape, value[k]) << f.offset for k, f in shape)
    return int(value) & ((1 << Shape.cast(shape).width) - 1)


def unpack(shape: Any, bits: int, path: str = "") -> dict[str, int]:
    """Elements of packed `bits` by path: {"data[0]": -5, ..., "last": 1}."""
    if isinstance(shape, data.Layout):
        fields: dict[str, int] = {}
        for key, f in shape:
            name = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip(".")
            fields |= unpack(f.shape, bits >> f.offset, name)
        return fields
    cast = Shape.cast(shape)
    value = bits & ((1 << cast.width) - 1)
    return {path: value - (1 << cast.width) if cast.signed and value >> (cast.width - 1) else value}


def packets(x: Tensor, lanes: int, scale: Tensor | int = 0, **fields: Any) -> list[Packet]:
    """int64 [n, elements] as n packets of `gen.stream.stream.beat`s; `scale` int64 [n, 1] or the same for all."""
    scales = torch.as_tensor(scale, dtype=torch.int64).expand(len(x), 1).flatten().tolist()
    result = []
    for row, s in zip(x.tolist(), scales, strict=True):
        parts = [row[k : k + lanes] for k in range(0, len(row), lanes)]
        result.append([{"data": p, "scale": s, "last": k == len(parts) - 1} for k, p in enumerate(parts)])
    return result


def ended(vectors: list[Packet], ends: Iterable[int]) -> list[Packet]:
    """The packets as those of a residual stream; ends: of each, whether a pass ends with it."""
    return [[*packet[:-1], packet[-1] | {"end": end}] for packet, end in zip(vectors, ends, strict=True)]


def _instance(case: Case, component: Component, text: str) -> tuple[list[str], str]:
    """Port declarations and the instance of one case of Verilog `text`; every name starts with the case's."""
    declared, connected = [], []
    header = re.search(rf"^module {case.name} ?\((.*?)\);", text, re.MULTILINE | re.DOTALL)
    existing = re.findall(r"\w+", header[1]) if header else []

    def add(direction: str, name: str, width: int) -> None:
        declared.append(f"{direction} [{max(1, width) - 1}:0] {case.name}__{name}")
        if name in existing:  # a unit without registers has no clock
            connected.append(f".{name}({case.name}__{name})")

    add("input", "clk", 1)
    add("input", "rst", 1)
    for port in ports(component):
        width = Shape.cast(port.shape).width
        toward, back = ("input", "output") if port.is_input else ("output", "input")
        if port.is_stream:
            add(toward, f"{port.name}__payload", width)
            add(toward, f"{port.name}__valid", 1)
            add(back, f"{port.name}__ready", 1)
        else:
            add(toward, port.name, width)
    return declared, f"  {case.name} dut_{case.name} (\n    " + ",\n    ".join(connected) + "\n  );\n"


def bench_parts(chosen: Iterable[Case]) -> tuple[dict[str, str], str]:
    """Verilog of every case by name, and of module `BENCH`, which has them side by side.

    Each has its own clock and reset: an idle one costs nothing.
    """
    texts, declared, instances = {}, [], []
    for case in chosen:
        component = case.component()
        texts[case.name] = to_verilog(component, case.name)
        ports_of_case, instance = _instance(case, component, texts[case.name])
        declared += ports_of_case
        instances.append(instance)
    return texts, f"module {BENCH}(\n  " + ",\n  ".join(declared) + "\n);\n" + "".join(instances) + "endmodule\n"


def bench_verilog(chosen: Iterable[Case]) -> str:
    """All of `bench_parts` in one text, with the memories of the cases.

    A word that is read as it is written, on which nothing may depend, comes inverted.
    """
    texts, top = bench_parts(chosen)
    return with_rams(joined([*texts.values(), top])).replace(READ, HOSTILE_READ)


def units() -> list[str]:
    """Names of the units that have a bench, by their files: each of these modules imports this one."""
    return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent.parent / "units")]))


def cases(names: Iterable[str] = ()) -> list[Case]:
    """Cases of the named units, of all by default."""
    modules = (importlib.import_module(f"hardloom.verif.units.{name}") for name in list(names) or units())
    return [case for module in modules for case in module.CASES]


@dataclass(frozen=True)
class UnitsJob(Job):
    """units: names of those to be benched, all if there is none."""

    units: list[str]

    def cases(self) -> list[Case]:
        return cases(self.units)


def run(
    names: Iterable[str],
    folder: Path,
    mapped: Callable[[dict[str, str]], str] | None = None,
) -> int:
    """Builds and runs the benches of the named units (all by default) in `folder`; the number of failed tests.

    mapped: makes gates of the cases' Verilog by name, memories included, to be simulated instead.
    """
    job = UnitsJob(list(names))
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{BENCH}.v"
    if mapped is None:
        source.write_text(bench_verilog(job.cases()))
    else:
        texts, top = bench_parts(job.cases())
        source.write_text(mapped({name: with_rams(text) for name, text in texts.items()}) + top)
    return build_and_test([source], BENCH, "hardloom.verif.streams.tests", folder, job.hand_over(folder), QUICK_BUILD)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the benches of stream units under Verilator.")
    parser.add_argument("unit", nargs="*", choices=[*units(), []], help="units (all by default)")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/bench"), help="working folder")
    arguments = parser.parse_args()
    failed = run(arguments.unit, arguments.output)
    print(f"{failed} tests failed; {arguments.output / 'simulation.log'} lists all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
