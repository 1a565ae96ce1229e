"""Every command that writes a folder asks first whose it is; paths of several lines are refused, however they come."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer
from typer.models import ArgumentInfo, OptionInfo

from hardloom.flows.cli.app import commands
from hardloom.flows.cli.options import folder, given_file, new_folder
from hardloom.flows.cli.outputs import LOGITS, PICTURE
from hardloom.gen.build.folder import Build
from hardloom.golden.folders import MARK, claimed
from tests import DEMO
from tests.command_line import hardloom
from tests.golden.test_gguf import write as write_gguf

KINDS = {
    "make-checkpoint": "made-up checkpoint",
    "quantize": "quantized checkpoint",
    "import-gguf": "imported checkpoint",
    "train": "trained checkpoint",
    "generate": "build",
    "export": "export",
    "layout": "layout",
    "demo": "demonstration",
    "bench whole": "bench of a whole chip",
}
"""Of commands that write a folder: what their mark says."""

IN_A_FOLDER_OF_ITS_OWN = ("bench layer",)
"""Writes into a new folder in the one that it gets, and deletes it."""


def all_commands(group: typer.Typer = commands, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield before + (command.name or command.callback.__name__.replace("_", "-")), command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from all_commands(inner.typer_instance, f"{before}{inner.name} " if inner.name else before)


def parameters(callback: Callable[..., Any]) -> Iterator[tuple[str, ArgumentInfo | OptionInfo]]:
    for name, hint in get_type_hints(callback, include_extras=True).items():
        yield from ((name, info) for info in getattr(hint, "__metadata__", ()))


def writers() -> list[str]:
    """Commands with an option for a folder that is written."""
    return [
        name
        for name, callback in all_commands()
        if any(info.parser is new_folder or parameter == "folder" for parameter, info in parameters(callback))
    ]


def test_every_command_that_writes_a_folder_is_known() -> None:
    assert sorted(writers()) == sorted([*KINDS, *IN_A_FOLDER_OF_ITS_OWN])


@pytest.fixture
def arguments(tmp_path: Path, tiny_quantized: list[Path], tiny_build: Build) -> Callable[[str], list[object]]:
    """What a command needs besides the folder that it writes."""

    def of(command: str) -> list[object]:
        if command == "import-gguf":
            write_gguf(tmp_path / "model.gguf")
        needed = {"quantize": DEMO, "generate": tiny_quantized[0], "demo": DEMO, "export": tiny_build.path}
        needed |= {"import-gguf": tmp_path / "model.gguf"}
        if command == "layout":
            return [tiny_build.path, "--tile", tiny_build.arrays[0].module]
        return [needed[command]] if command in needed else []

    return of


@pytest.mark.parametrize("what", ["strangers", "another mark", "a mark that is a link", "a link to strangers"])
@pytest.mark.parametrize("command", KINDS)
def test_a_folder_that_is_not_ours_is_left_alone(
    command: str, what: str, tmp_path: Path, arguments: Callable[[str], list[object]]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_text("precious")
    if what == "another mark":
        (out / MARK).write_text("photographs\n")
    elif what == "a mark that is a link":
        (tmp_path / "mark").write_text(f"{KINDS[command]}\n")
        (out / MARK).symlink_to(tmp_path / "mark")
    elif what == "a link to strangers":
        (tmp_path / "link").symlink_to(out)
    target = tmp_path / "link" if what == "a link to strangers" else out
    given, option = arguments(command), "--out" if command == "demo" else "-o"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ran = hardloom(*command.split(), *given, option, target)
    assert ran.code == 1 and ran.err.startswith("error: ") and str(target) in ran.err and "\n" not in ran.err
    assert "holds a photographs" in ran.err if what == "another mark" else f"no {KINDS[command]} of ours" in ran.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", KINDS)
def test_a_folder_that_another_run_writes_to_is_left_alone(
    command: str, tmp_path: Path, arguments: Callable[[str], list[object]]
) -> None:
    given, option = arguments(command), "--out" if command == "demo" else "-o"
    with claimed(tmp_path / "out", KINDS[command]):
        (tmp_path / "out" / "config.json").write_text("precious")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        ran = hardloom(*command.split(), *given, option, tmp_path / "out")
        said = f"{tmp_path / 'out'}: another run is writing there; wait until it has ended, or write to a new folder"
        assert (ran.code, ran.err.strip()) == (1, f"error: {said}")
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("options", [("--sim",), ("--sim", "--tiles", 1)], ids=["chip", "tiles"])
def test_nothing_is_written_into_a_build_without_our_mark(tiny_build, tmp_path: Path, options) -> None:
    copy = tmp_path / "chip"
    copy.mkdir()
    for path in tiny_build.path.iterdir():
        if path.name != MARK:
            (copy / path.name).symlink_to(path)
    names = sorted(copy.iterdir())
    ran = hardloom("verify", copy, *options)
    assert ran.code == 1 and ran.err.startswith(f"error: {copy}: is no build of ours")
    assert sorted(copy.iterdir()) == names


def test_paths_of_several_lines_are_refused_wherever_they_come_from(tmp_path: Path, monkeypatch) -> None:
    """By their own name, by that of the folder that the command runs in, by that of one that a link leads to."""
    strange = tmp_path / "a\nb"
    strange.mkdir()
    (tmp_path / "link").symlink_to(strange)
    (strange / "file").write_text("")
    monkeypatch.chdir(strange)
    for parser in (folder, new_folder, LOGITS.path, PICTURE.path, given_file):
        name = "" if parser in (folder, new_folder) else "file"
        for path in (strange / name, tmp_path / "link" / name, Path(name or ".")):
            with pytest.raises(typer.BadParameter, match="control character"):
                parser(path)
