"""`hardloom bench equivalence`: small arrays of every style, proven equal to W @ x."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.table import Table

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Check, table
from hardloom.gen.arrays.styles import STYLES
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.format_names import format_name
from hardloom.golden.quantization.formats import FORMATS
from hardloom.verif.proof.equivalence import Proof, prove, small_plan

__all__ = ["equivalence"]


def equivalence(styles: Sequence[str], formats: Sequence[str], rows: int, inputs: int, lanes: int) -> Check:
    """Prove an array of each style and format (all where none is named): all are proven."""
    for name in styles:
        if name not in STYLES:
            raise UserError(f"--styles: {name!r} is unknown; choose of {','.join(STYLES)}")
    chosen = [format_name(name) for name in formats] or FORMATS
    jobs = [(style, format) for style in styles or STYLES for format in chosen]
    with progress_bar("proving", "arrays") as progress:
        proofs = list(proved(jobs, rows, inputs, lanes, progress))
    return Check(proofs, [proof_table(proofs)], all(proof.difference is None for proof in proofs))


def proved(
    jobs: Sequence[tuple[str, str]], rows: int, inputs: int, lanes: int, progress: Callable[[int, int], None]
) -> Iterable[Proof]:
    for number, (style, format) in enumerate(jobs):
        with tempfile.TemporaryDirectory() as folder:
            yield prove(small_plan(style, format, rows, inputs, lanes), Path(folder))
        progress(number + 1, len(jobs))


def proof_table(proofs: Iterable[Proof]) -> Table:
    rows = []
    for p in proofs:
        result = f"{p.proven} of {p.rows}" if p.difference is None else p.difference
        figures = (p.slices, p.cycles, f"{p.variables:,}", f"{p.clauses:,}", f"{p.cpu_s:.1f}", p.peak_mib, result)
        rows.append((p.style, p.format, f"{p.rows} x {p.inputs}", *map(str, figures)))
    names = ("style", "format", "rows x inputs", "slices", "cycles", "variables", "clauses", "CPU s", "MiB", "proven")
    return table(names, rows, "arrays proven equal to W @ x by Yosys, sat", left=names[:2])
