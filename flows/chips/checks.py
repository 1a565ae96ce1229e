"""The checks of `hardloom verify` that are asked for, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.chips.verify import verify_against, verify_faults, verify_static
from hardloom.flows.console.report import Check
from hardloom.gen.build.folder import Build
from hardloom.golden.errors import UserError

__all__ = ["Asked", "checks"]


@dataclass(frozen=True)
class Asked:
    """Options of `hardloom verify`, called as they are. Raises `UserError` for what goes without its like.

    against: another build; faults: planted of each kind; gates: netlists, of arrays or of each `unit` by its bench.
    accuracy: instead, what a demonstration model answers on `faults` chips with many defects; prompts: how many; plot:
    picture of it. coverage: file to write of what the simulated prompts reach.
    """

    static: bool = False
    against: Path | None = None
    sim: bool = False
    units: bool = True
    view: str = "wiring"
    tiles: int | None = None
    simulator: str = "verilator"
    faults: int | None = None
    gates: bool = False
    unit: tuple[str, ...] = ()
    liberty: tuple[Path, ...] = ()
    cluster: str | None = None
    accuracy: bool = False
    prompts: int = 100
    plot: Path | None = None
    coverage: Path | None = None

    def __post_init__(self) -> None:
        if not (self.static or self.sim or self.against or self.faults or self.gates):
            raise UserError(
                "nothing to verify; give one of --static, --sim, --gate-level, --against BUILD2 and --faults N"
            )
        if self.cluster and not self.static:
            raise UserError("--cluster: goes with --static; add it or leave this out")
        if (self.unit or self.liberty) and not self.gates:
            raise UserError(f"--{'unit' if self.unit else 'liberty'}: goes with --gate-level; add it or leave this out")
        if self.tiles and not self.sim:
            raise UserError("--tiles: goes with --sim; add it")
        if self.accuracy and not self.faults:
            raise UserError("--accuracy: goes with --faults; add it")
        if self.plot and not self.accuracy:
            raise UserError("--plot: goes with --faults N --accuracy; add them")
        if self.view != "wiring" and (self.tiles or not self.sim):
            raise UserError("--view: goes with --sim, and without --tiles")
        if self.coverage and (self.tiles or not self.sim or self.view != "wiring"):
            raise UserError("--coverage: goes with --sim, and without --tiles and --view")
        if self.simulator != "verilator" and not self.tiles:
            raise UserError("--simulator: goes with --sim --tiles; add them")


def checks(build: Path, asked: Asked) -> Iterator[Check]:
    """What each check finds, as it ends."""
    other = Build(asked.against) if asked.against else None
    if asked.static:
        yield verify_static(build, asked.cluster)
    if other:
        yield verify_against(build, other)
    if asked.sim and asked.tiles:
        from hardloom.flows.chips.verify_tiles import verify_tiles

        yield verify_tiles(build, asked.tiles, asked.simulator)
    elif asked.sim:
        from hardloom.flows.chips.verify_simulation import verify_simulation

        yield verify_simulation(build, asked.units, asked.view, asked.coverage)
    if asked.faults and asked.accuracy:
        from hardloom.flows.chips.defects import verify_accuracy

        yield verify_accuracy(build, asked.faults, asked.prompts, asked.plot)
    elif asked.faults:
        yield verify_faults(build, asked.faults)
    if asked.gates:
        from hardloom.flows.synth.gate_level import verify_gates

        yield verify_gates(build, asked.unit, asked.liberty)
