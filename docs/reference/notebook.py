"""The notebook docs/notebook.ipynb: its cells run one after the other, without Jupyter, and what they print."""

import ast
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.drawing.rooms import ROOT

__all__ = ["PAGE", "page"]

PAGE = ROOT / "docs" / "notebook.ipynb"


def page() -> str:
    """The notebook with the outputs that its cells have today, in an empty working folder."""
    held = json.loads(PAGE.read_text())
    names: dict[str, Any] = {}
    with empty_folder():
        for number, cell in enumerate((one for one in held["cells"] if one["cell_type"] == "code"), 1):
            text = printed("".join(cell["source"]), names)
            made = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
            cell["execution_count"], cell["outputs"] = number, [made] if text else []
    return json.dumps(held, indent=1, ensure_ascii=False) + "\n"


def printed(source: str, names: dict[str, Any]) -> str:
    """Run a cell with `names`; what it prints, and the value of its last line, as Jupyter shows it."""
    tree = ast.parse(source)
    end, last = tree.body[-1], None
    if isinstance(end, ast.Expr):
        last = ast.Expression(end.value)
        del tree.body[-1]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(tree, PAGE.name, "exec"), names)
        value = None if last is None else eval(compile(last, PAGE.name, "eval"), names)
        if value is not None:
            print(repr(value))
    return out.getvalue()


@contextlib.contextmanager
def empty_folder() -> Iterator[None]:
    """Work in a folder that is gone afterwards."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
