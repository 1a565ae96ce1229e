"""`hardloom bench timeline`: which unit of a chip is busy when, over a forward; measured, and by the cycle model."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hardloom.flows.bench.cycles import Routed, sequence_run
from hardloom.flows.console.report import Part, table
from hardloom.flows.design.cycles.built import built_geometry
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.sequences import Pipeline
from hardloom.flows.pictures.timeline import Row, draw_timeline
from hardloom.gen.build.folder import Build
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.sampling import Sampling
from hardloom.verif.chip.compare import simulate_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.chip.taps import packet_times

__all__ = [
    "ProbeTimes",
    "chip_timeline",
    "measured_times",
    "modelled_times",
    "probe_times",
    "timeline",
    "timeline_parts",
]

GENERATED = Sampling.of("llada", gen_length=16, block_length=8, steps=2)
PROMPT = 6
"""Tokens of a prompt; with the generated ones, 22 positions, as `hardloom bench chip` has."""


@dataclass(frozen=True)
class ProbeTimes:
    """Packets of a forward's first pass at a probe point, in clock cycles from the embedding's first on.

    first, last: when the last beats of the first and of the last packet passed; modelled_first, modelled_last: by the
    cycle model, None where it has no such point; error: the largest of all packets, in cycles.
    """

    probe: str
    packets: int
    first: int
    last: int
    modelled_first: float | None
    modelled_last: float | None
    error: float | None


@dataclass(frozen=True)
class Timeline:
    """positions: of the forward; cycles: until its last packet has passed; probes: in the order of their first."""

    build: str
    positions: int
    cycles: int
    probes: list[ProbeTimes]


def timeline(path: Path, picture: Path | None) -> Timeline:
    """Of the build `path`; with a picture where a file is named. Raises `UserError` where the chip holds too little."""
    build = Build(path)
    build.check_positions(PROMPT + GENERATED.gen_length)
    return chip_timeline(SimulatedChip(build), picture)


def chip_timeline(chip: SimulatedChip, picture: Path | None) -> Timeline:
    """Run the first forward of a prompt of random tokens on a chip, and follow it by the model."""
    build = chip.build
    draw = torch.Generator().manual_seed(0)
    prompt = torch.randint(chip.model.mask_token, (PROMPT,), generator=draw).tolist()
    checkpoint = build.checkpoint()
    first = sequence_run(build, Routed(IntegerModel(checkpoint), checkpoint.model), prompt, GENERATED).passes[0]
    expected, positions = modelled_times(build, first), len(first.positions)
    found = measured_times(chip, Run(prompt, GENERATED), first)
    start = int(found["embedding"][0, 1] - expected["embedding"][0])
    measured = {name: at - start for name, at in found.items()}
    if picture is not None:
        rows = [Row(name, at, expected.get(name)) for name, at in measured.items()]
        draw_timeline(rows, f"{chip.model.family}, {positions} positions", picture)
    probes = [probe_times(name, at[:, 1], expected.get(name)) for name, at in measured.items()]
    return Timeline(str(build.path), positions, max(probe.last for probe in probes), probes)


def modelled_times(build: Build, first: Pass) -> dict[str, np.ndarray]:
    """When the packets of a pass leave, by the cycle model, float64 [packets] by probe point: clock cycles of their
    last beats on a chip without another pass in it."""
    found: dict[str, np.ndarray] = {}
    Pipeline(built_geometry(build, build.checkpoint()), found.__setitem__).send(0, first)
    return found


def measured_times(chip: SimulatedChip, run: Run, first: Pass) -> dict[str, np.ndarray]:
    """When the packets of the first pass of a run leave on a simulated chip, int64 [packets, 2] by probe point: clock
    cycles of their first and last beats, the point that is passed first above.

    first: that pass, for how many packets it has. The chip runs all passes of the run.
    """
    rows = {False: len(first.positions), True: len(first.wanted)}
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times"
        simulate_runs(chip, [run], None, times=times)
        found = packet_times(times.read_bytes(), chip.probes, rows)
    return dict(sorted(found.items(), key=lambda item: item[1][0, 1]))


def probe_times(name: str, measured: np.ndarray, expected: np.ndarray | None) -> ProbeTimes:
    """Of a probe, from the cycles of its packets' last beats."""
    ends = int(measured[0]), int(measured[-1])
    if expected is None or len(expected) != len(measured):
        return ProbeTimes(name, len(measured), *ends, None, None, None)
    error = float(np.abs(expected - measured).max())
    return ProbeTimes(name, len(measured), *ends, float(expected[0]), float(expected[-1]), error)


def timeline_parts(found: Timeline) -> Iterator[Part]:
    """A line a probe."""
    rows = []
    for probe in found.probes:
        by_model = (probe.modelled_first, probe.modelled_last, probe.error)
        figures = (f"{probe.first:,}", f"{probe.last:,}", *("" if x is None else f"{x:,.0f}" for x in by_model))
        rows.append((probe.probe, str(probe.packets), *figures))
    columns = ("probe", "packets", "first", "last", "first, modelled", "last, modelled", "largest error")
    yield table(columns, rows, f"{found.build}: cycles of a forward of {found.positions} positions")
