"""What a command reads it does not write over, and no two of its outputs are one file: found by introspection."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardloom.flows.cli.options import given_file
from hardloom.flows.cli.outputs import Output
from tests import DEMO
from tests.command_line import hardloom
from tests.flows.test_options import GIVEN
from tests.flows.test_output_folders import all_commands, parameters


def is_output(parser: object) -> bool:
    """Whether it is of an option that names a file to write."""
    return isinstance(getattr(parser, "__self__", None), Output)


def endings(parser: object) -> set[str]:
    """What the name of an option's file may end in."""
    return {*(parser.__self__.suffixes if is_output(parser) else ())} or {".png", ".info"}  # type: ignore[attr-defined]


def pairs(first_is: Callable[[object], bool]) -> Iterator[tuple[str, str, str, str]]:
    """Every command with one of its options whose parser is as `first_is` says, one of those that write a file, and an
    ending that both take."""
    for command, callback in all_commands():
        names = [(info.param_decls or (f"--{name.replace('_', '-')}",), info) for name, info in parameters(callback)]
        for reads, first in names:
            for writes, second in names:
                both = endings(first.parser) & endings(second.parser)
                if both and first_is(first.parser) and is_output(second.parser) and first is not second:
                    yield command, reads[0], writes[0], max(both)


def run(command: str, *options: object) -> str:
    """The sentence with which the command refuses them."""
    given = [word.format(ckpt=DEMO, build=DEMO, quantized=DEMO) for word in GIVEN[command]]
    ran = hardloom(*command.split(), *given, *options)
    assert ran.code == 2 and ran.err.startswith("error: ") and len(ran.err.strip().splitlines()) == 1 and ran.out == ""
    return ran.err


def unread(path: Path) -> tuple[int, ...]:
    """What of a file reading leaves as it is: all but the time of its last access."""
    found = path.stat()
    return found.st_ino, found.st_mode, found.st_nlink, found.st_size, found.st_mtime_ns


@pytest.mark.parametrize(("command", "reads", "writes", "ending"), [*pairs(lambda parser: parser is given_file)])
def test_what_is_read_is_not_written_over(command, reads, writes, ending, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, link, hard = (f"{name}{ending}" for name in ("given", "link", "hard"))
    (tmp_path / given).touch()  # of any kind, but read
    (tmp_path / link).symlink_to(given)
    os.link(given, hard)
    before = unread(tmp_path / given)
    assert "would be written over what is read" in run(command, reads, given, writes, f"./{given}")
    assert f"{link} is a link" in run(command, writes, link, reads, given)
    assert "would be written over what is read" in run(command, reads, given, writes, hard)
    assert unread(tmp_path / given) == before


@pytest.mark.parametrize(("command", "one", "other", "ending"), [*pairs(is_output)])
def test_two_outputs_are_two_files(command, one, other, ending, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"out{ending} is written twice" in run(command, one, f"out{ending}", other, f"./out{ending}")
    assert not list(tmp_path.iterdir())


def test_no_file_of_a_checkpoint_is_an_output(tmp_path, monkeypatch):
    monkeypatch.chdir(DEMO)
    before = {path.name: path.read_bytes() for path in DEMO.iterdir()}
    for command, *options in (
        ("logits", ".", "--tokens", "1,2", "-o", "config.json"),
        ("calibrate", DEMO, "--text", "config.json", "-o", DEMO / "tokenizer.json"),
        ("quantize", DEMO, "-o", "."),
    ):
        ran = hardloom(command, *options)
        assert ran.code == 2 and "would be written over" in ran.err
    assert {path.name: path.read_bytes() for path in DEMO.iterdir()} == before
