"""Every option of every command, found by introspection, with values that can't be: one sentence, and no work done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer

from hardloom.flows.cli import app
from tests import DEMO
from tests.command_line import hardloom

IMPOSSIBLE: dict[type, tuple[str, ...]] = {
    int: ("", "x", "1.5", "nan", "-1", "1" + "0" * 30),
    float: ("", "x", "nan", "inf", "-inf", "-1", "0", "1e400"),
    Path: ("", "a\nb", "/dev/null", "\x00"),
    str: ("", "\n", "no such thing", ",", "=", "-1"),
}
"""Values that no option of a type takes."""

FREE = {"sample --prompt": ("",), "export --prompt": ("",), "report --prompt": ("",)}
"""Of an option that takes any text: what is no text."""

GIVEN: dict[str, tuple[str, ...]] = {
    "info": ("{ckpt}",),
    "make-checkpoint": ("-o", "out"),
    "import-gguf": ("{ckpt}/config.json", "-o", "out"),
    "quantize": ("{ckpt}", "-o", "out"),
    "calibrate": ("{ckpt}", "-o", "out.json"),
    "sensitivity": ("{ckpt}",),
    "train": ("-o", "out"),
    "sample": ("{ckpt}",),
    "logits": ("{ckpt}", "--tokens", "1,2", "-o", "out.npy"),
    "generate": ("{quantized}", "-o", "out"),
    "verify": ("{build}",),
    "export": ("{build}", "-o", "out"),
    "report": ("{build}", "-o", "report.html"),
    "synth": ("{build}",),
    "layout": ("{build}", "--tile", "wired_layer_0_o", "-o", "out"),
    "demo": (),
    "estimate": ("--like", "llada-moe-7b"),
    "explore": ("--like", "llada-moe-7b"),
    "bench tiles": ("-o", "fit.json"),
    "bench accuracy": ("{ckpt}",),
    "bench chip": ("{build}",),
    "bench timeline": ("{build}",),
    "bench samplers": ("{ckpt}",),
    "bench arrays": (),
    "bench equivalence": (),
    "bench layer": (),
    "bench layout": (),
    "bench whole": (),
    "bench llm": (),
    "cache list": (),
    "cache empty": (),
}
"""What each command is given beside the option that is tried."""

WITH = {
    "verify --cluster": ("--static",),
    "verify --tiles": ("--sim",),
    "verify --view": ("--sim",),
    "verify --coverage": ("--sim",),
    "verify --simulator": ("--sim", "--tiles", "1"),
    "verify --unit": ("--gate-level",),
    "verify --liberty": ("--gate-level",),
    "estimate --arrays": ("--design", "hnlpu"),
}
"""What an option goes with."""


def options(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, type]]:
    """Every command's words, with each of its parameters that takes a value, and the type of that."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from options(inner, (*words, name))
    if not hasattr(command, "commands"):
        hints = get_type_hints(command.callback)
        for parameter in command.params:
            kinds = {*get_args(hints[parameter.name]), hints[parameter.name]} if parameter.name in hints else set()
            if found := kinds & IMPOSSIBLE.keys():
                yield " ".join(words), parameter, found.pop()


ALL = [
    pytest.param(*found, id=f"{found[0]} {found[1].name}") for found in options(typer.main.get_command(app.commands))
]


@pytest.mark.parametrize("command, parameter, kind", ALL)
def test_a_value_that_cannot_be_is_one_sentence(
    command, parameter, kind, tiny_quantized, tiny_build, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"ckpt": DEMO, "quantized": tiny_quantized[0], "build": tiny_build.path}
    given = [word.format(**places) for word in GIVEN[command]]
    option = parameter.opts[-1]
    for value in FREE.get(f"{command} {option}", IMPOSSIBLE[kind]):
        if option.startswith("-"):
            arguments = [*given, *WITH.get(f"{command} {option}", ()), *(f"{option}={value}",)]
        else:
            arguments = [value, *given[1:]]
        ran = hardloom(*command.split(), *arguments)
        assert ran.code in (1, 2), value
        assert ran.err.startswith("error: ") and len(ran.err.strip().splitlines()) == 1 and ran.out == "", ran
        assert not [path for path in tmp_path.iterdir() if path.name != "build"], value
