"""`hardloom bench equivalence`: small arrays of every style, proven equal to W @ x."""

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.console.progress import progress_bar
from gen.arrays.styles import STYLES
from golden.errors import UserError
from golden.quantization.formats import FORMATS
from verif.proof.equivalence import Proof, prove, small_plan

__all__ = ["equivalence"]


def equivalence(
    styles: Sequence[str], formats: Sequence[str], rows: int, inputs: int, lanes: int, as_json: bool
) -> bool:
    """Prove an array of each style and format and print a row for each; whether all were proven."""
    for what, names, known in (("--styles", styles, STYLES), ("--formats", formats, FORMATS)):
        for name in names:
            if name not in known:
                raise UserError(f"{what}: {name!r} is unknown; choose of {','.join(known)}")
    jobs = [(style, format) for style in styles or STYLES for format in formats or FORMATS]
    with progress_bar("proving", "arrays") as progress:
        proofs = list(proved(jobs, rows, inputs, lanes, progress))
    if as_json:
        print(json.dumps([asdict(proof) for proof in proofs], indent=1))
    else:
        print_table(proofs)
    return all(proof.difference is None for proof in proofs)


def proved(
    jobs: Sequence[tuple[str, str]], rows: int, inputs: int, lanes: int, progress: Callable[[int, int], None]
) -> Iterable[Proof]:
    for number, (style, format) in enumerate(jobs):
        with tempfile.TemporaryDirectory() as folder:
            yield prove(small_plan(style, format, rows, inputs, lanes), Path(folder))
        progress(number + 1, len(jobs))


def print_table(proofs: Iterable[Proof]) -> None:
    table = Table(title="arrays proven equal to W @ x by Yosys, sat")
    names = ("style", "format", "rows x inputs", "slices", "cycles", "variables", "clauses", "CPU s", "MiB", "proven")
    for name in names:
        table.add_column(name, justify="left" if name in names[:2] else "right")
    for p in proofs:
        result = f"{p.proven} of {p.rows}" if p.difference is None else p.difference
        figures = (p.slices, p.cycles, f"{p.variables:,}", f"{p.clauses:,}", f"{p.cpu_s:.1f}", p.peak_mib, result)
        table.add_row(p.style, p.format, f"{p.rows} x {p.inputs}", *map(str, figures))
    Console(highlight=False, width=max(100, Console().width)).print(table)
