"""What a module gives to others is in its `__all__`, and what is there exists; tests alone look inside."""

import ast
from pathlib import Path

import pytest

from tests import ROOT


def parsed(*folders: str) -> dict[str, ast.Module]:
    """Modules by dotted name."""
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    return {dotted(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in files}


def dotted(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


MODULES = parsed(*(f"hardloom/{floor}" for floor in ("golden", "rtl_templates", "gen", "verif", "flows")), "docs")


def imports(tree: ast.Module) -> set[tuple[str, str]]:
    """(module, name) of every name that is imported from a module of the project, submodules left out."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module in MODULES]
    found = {(str(node.module), alias.name) for node in nodes for alias in node.names}
    return {(module, name) for module, name in found if f"{module}.{name}" not in MODULES}


IMPORTED = {found for tree in MODULES.values() for found in imports(tree)}


def public(module: str) -> list[str]:
    """The `__all__` of a module, empty where it has none."""
    values = [node.value for node in MODULES[module].body if isinstance(node, ast.Assign) and "__all__" in stored(node)]
    return ast.literal_eval(values[0]) if values else []


def stored(statement: ast.stmt) -> set[str]:
    """Names that a statement of a module makes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    nodes = list(ast.walk(statement))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}


@pytest.mark.parametrize("module", MODULES)
def test_names_that_others_import_are_public(module):
    assert sorted({name for source, name in IMPORTED if source == module} - set(public(module))) == []


@pytest.mark.parametrize("module", MODULES)
def test_public_names_exist_and_are_said_once(module):
    names = public(module)
    assert sorted(set(names) - {name for node in MODULES[module].body for name in stored(node)}) == []
    assert len(names) == len(set(names))


def test_nobody_imports_a_private_name():
    trees = MODULES | parsed("tests")
    assert [(m, *found) for m, tree in trees.items() for found in imports(tree) if found[1].startswith("_")] == []
