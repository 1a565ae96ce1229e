"""Every command with its options."""

from collections.abc import Iterator
from typing import Any

import typer

from docs.drawing.rooms import ROOT
from hardloom.flows.cli.app import commands

__all__ = ["PAGE", "page"]

PAGE = ROOT / "docs" / "cli.md"

HEAD = """# Command line

Made from the code by `make reference`; [commands.md](commands.md) sorts the commands by what people want.

A command ends with exit code 0 where all is right, and 1 where what it checks or is given is not. It is 2 where the
command line itself is wrong: a command or option that there is not, or a value that it cannot have. 130 is Ctrl-C.

`-h` is `--help`. `hardloom --install-completion` teaches your shell to complete commands and options. Tables are as
wide as the terminal, and as wide as they need to be where they are piped.
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(commands)
    return "\n".join([HEAD, *sections(group, "hardloom")])


def sections(command: Any, name: str) -> Iterator[str]:
    """A section for each command of a group, in the order of their help."""
    for inner in command.commands.values():
        words = f"{name} {inner.name}"
        if hasattr(inner, "commands"):
            yield from sections(inner, words)
        else:
            yield from section(inner, words)


def section(command: Any, words: str) -> Iterator[str]:
    """What a command does, its example, and a row for each argument and option."""
    text, _, example = (command.help or "").partition("Example: ")
    yield f"## {words}\n"
    yield f"{escaped(text)}\n"
    yield f"    {' '.join(example.split())}\n"
    yield "| option | what | default |\n| --- | --- | --- |"
    for one in command.params:
        if one.name != "help":
            yield row(one)
    yield ""


def row(parameter: Any) -> str:
    """Its names, what they mean, and what holds where it is not given."""
    names = [parameter.name.upper()] if parameter.param_type_name == "argument" else parameter.opts
    spelt = ", ".join(f"`{name}`" for name in [*names, *parameter.secondary_opts])
    default = parameter.default
    needed = "required" if parameter.required else ""
    shown = needed if default is None or default is False or default == () else f"`{default}`"
    return f"| {spelt} | {escaped(parameter.help or '')} | {'on' if default is True else shown} |"


def escaped(text: str) -> str:
    """One line, in which a bar does not end a cell, and what looks like a tag is none."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
