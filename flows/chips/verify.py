"""`hardloom verify`: what a build folder holds is what the checkpoint says, by its text."""

from dataclasses import asdict
from pathlib import Path

from hardloom.flows.cluster.client import workers_at
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Check, Line, totals
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.golden.cache import work_folder
from hardloom.verif.faults import plant
from hardloom.verif.proof.difference import difference
from hardloom.verif.proof.static import recover

__all__ = ["verify_against", "verify_faults", "verify_static"]


def verify_static(path: Path, cluster: str | None = None) -> Check:
    """Read every integer back out of the Verilog: all are those of the quantized checkpoint.

    cluster: address of a Dask scheduler whose workers read the arrays (`flows.cluster`).
    """
    build = Build(path)
    with workers_at(cluster, [path / MANIFEST]) as workers, progress_bar(f"reading {path}", None) as progress:
        recovery = recover(build, progress, workers)
    rows: dict[str, int | str] = {
        "files read": recovery.files,
        "weights": recovery.weights,
        "weights recovered now": recovery.matching,
        "scales, gains, biases": recovery.constants,
        "scales, gains, biases recovered": recovery.matching_constants,
        "tables": recovery.tables,
        "table entries": recovery.entries,
        "table entries recovered": recovery.matching_entries,
        "sampled weights": recovery.sampled,
        "sampled weights read by pyverilog too": recovery.matching_sampled,
    }
    if recovery.proven_when_written:
        rows |= {
            "weights proven when they were written, text dropped since": recovery.proven_when_written,
            "of these, read by pyverilog too": recovery.sampled_when_written,
        }
    rows["first difference"] = recovery.first or "none"
    return Check(recovery, [totals(f"{path}: integers read back", rows)], recovery.complete)


def verify_against(path: Path, build: Build) -> Check:
    """Compare the build in `path` with another, `build`: all text that weights must not touch is the same."""
    found = difference(Build(path), build)
    rows = {
        "prefabricated files": found.prefab,
        "prefabricated files that differ": len(found.prefab_different),
        "connection files": found.connections,
        "connection files that differ": found.connections_different,
        "wires (slots of neuron cells)": found.wires,
        "wires that change": found.wires_changed,
        "constant bits of ROMs": found.rom_bits,
        "constant bits that change": found.rom_bits_changed,
    }
    lines = [Line(f"differs: {name}") for name in found.prefab_different]
    figures = asdict(found) | {"same_prefab": found.same_prefab}
    return Check(figures, [totals(f"{path} against {build.path}", rows), *lines], found.same_prefab)


def verify_faults(path: Path, count: int) -> Check:
    """Plant `count` random faults of each kind, each alone and in a copy: the checks find all of them."""
    with progress_bar("planting faults", "kinds") as progress:
        campaigns = plant(Build(path), count, work_folder(path, "faults"), progress=progress)
    found = totals(f"{path}: planted faults found", {c.kind: f"{c.found:,} of {c.planted:,}" for c in campaigns})
    lines = [Line(f"not found: {what}") for campaign in campaigns for what in campaign.missed]
    return Check(campaigns, [found, *lines], all(campaign.found == campaign.planted for campaign in campaigns))
