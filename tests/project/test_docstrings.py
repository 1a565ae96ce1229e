"""One dialect of docstrings: single backquotes, sections underlined by dashes, entries `name: text` that are true."""

import ast
import re
from pathlib import Path

import pytest

from tests import ROOT

FILES = [
    path for floor in ("golden", "gen", "verif", "flows", "docs", "tests") for path in (ROOT / floor).rglob("*.py")
]
SECTION = re.compile(r"^(Parameters|Attributes|Raises|Returns)\n-+\n(.*?)(?=^\w+\n---|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\w+(?:, \w+)*):", re.MULTILINE)


def documented(node: ast.ClassDef) -> set[str]:
    """Names that the docstring of a class gives an entry in one of its sections."""
    sections = SECTION.findall(ast.get_docstring(node) or "")
    bodies = [body for name, body in sections if name in ("Parameters", "Attributes")]
    return {name for body in bodies for names in ENTRY.findall(body) for name in names.split(", ")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_docstrings_name_what_is_there_in_one_dialect(path: Path):
    text = path.read_text()
    assert "``" not in text or path == Path(__file__)
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            code = ast.unparse([part for part in node.body if not isinstance(part, ast.Expr)])
            inherited = " ".join(map(ast.unparse, node.bases))
            missing = {name for name in documented(node) if not re.search(rf"\b{name}\b", code)}
            assert not missing or inherited not in ("", "ABC", "Protocol"), f"{node.name}: {missing}"
