"""Every `hardloom ...` that a page shows is a command that there is, with options that it has."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from hardloom.flows.cli.app import commands
from tests import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
"""Those that speak of today: the changelog remembers commands that are gone."""
GROUP: Any = typer.main.get_command(commands)
SPAN = re.compile(r"`{3}.*?^ *`{3}|`[^`]+`|^    .*$", re.DOTALL | re.MULTILINE)
"""Code of a page: fenced, in a line, and indented."""


def shown(text: str) -> Iterator[list[str]]:
    """The words behind `hardloom` of every command line in the code of a page."""
    for span in SPAN.findall(text):
        for line in re.split(r"\n|;|&&", span.strip("`").replace("\\\n", " ").replace("\\|", "|")):
            words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else line.split()
            if words and words[0].rpartition("/")[2] == "hardloom":
                yield words[1:]


def wrong(words: list[str]) -> str | None:
    """What of a command line there is not."""
    command = GROUP
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return None if words[0].isupper() or words[0] == "..." else f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {"--help", "-h"} | {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return next((f"{command.name} has no {option}" for option in given if option not in known), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_a_page_shows_exist(page: Path):
    found = list(shown(page.read_text()))
    assert [(shlex.join(words), what) for words in found if (what := wrong(words))] == []


def test_commands_that_are_gone_are_found():
    fence = "`" * 3
    page = f"Run `hardloom weave CKPT`.\n\n{fence}\n.venv/bin/hardloom sample CKPT --warp 9 \\\n  --fast\n{fence}\n"
    assert [wrong(words) for words in shown(page)] == ["no command weave", "sample has no --warp"]
    assert [wrong(words) for words in shown("    hardloom bench gone  # what\n")] == ["no command gone"]


def test_many_commands_are_checked():
    assert sum(len(list(shown(page.read_text()))) for page in PAGES) > 150
