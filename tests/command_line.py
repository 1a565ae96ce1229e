"""The command line as a user meets it."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from hardloom.flows.cli.app import app

__all__ = ["Ran", "hardloom"]


@dataclass(frozen=True)
class Ran:
    """Exit code, standard output and standard error of a run."""

    code: int
    out: str
    err: str


def hardloom(*arguments: object) -> Ran:
    """Runs `hardloom` with `arguments` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["hardloom", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            app()
    code = end.value.code
    if isinstance(code, str):  # what Python would print
        return Ran(1, out.getvalue(), err.getvalue() + code)
    return Ran(code or 0, out.getvalue(), err.getvalue())
