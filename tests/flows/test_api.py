"""`import hardloom`: its examples run, its functions have the commands' options, its mistakes are their sentences."""

import doctest
import inspect
from pathlib import Path
from typing import Any

import pytest
import typer

import hardloom
from hardloom import api
from hardloom.flows.cli.app import commands
from hardloom.gen.build.folder import Build
from hardloom.golden.models.integer_model import IntegerModel
from tests import command_line

GROUP: Any = typer.main.get_command(commands)

NOT_IN_PYTHON = {"as_json", "help", "compare"}
"""Options that say what is printed."""

CALLED = {"gate_level": "gates", "output": "out"}
"""Options by the names that parameters have."""


def examples() -> list[doctest.DocTest]:
    """In the order of the file."""
    found = doctest.DocTestFinder().find(api, extraglobs={"hardloom": hardloom, "Path": Path})
    return sorted((one for one in found if one.examples), key=lambda one: one.lineno or 0)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_examples_run(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(example, out=said.append).failed == 0, "".join(said)


def test_every_function_has_an_example() -> None:
    named = {example.name.removeprefix("hardloom.api.").partition(".")[0] for example in examples()}
    assert named == {*api.__all__} - {"Verified"}


@pytest.mark.parametrize("name", ["calibrate", "quantize", "generate", "verify", "estimate"])
def test_a_function_has_the_options_and_defaults_of_its_command(name: str) -> None:
    options = {one.name: one.default for one in GROUP.commands[name].params if one.name not in NOT_IN_PYTHON}
    given = {one.name: one.default for one in inspect.signature(getattr(hardloom, name)).parameters.values()}
    assert given.keys() == options.keys()
    empty = (None, "", (), inspect.Parameter.empty)
    assert {n: v for n, v in given.items() if v not in empty} == {n: v for n, v in options.items() if v not in empty}


def test_everything_that_is_given_has_types() -> None:
    for name in api.__all__:
        for one in inspect.signature(getattr(hardloom, name)).parameters.values():
            assert one.annotation is not inspect.Parameter.empty, (name, one)
    assert (Path(hardloom.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize(
    "words, call",
    [
        (("sample", "{p}", "--prompt", "1"), lambda p: hardloom.load(p).sample("1")),
        (("quantize", "{p}", "-o", "{p}/q"), lambda p: hardloom.quantize(p, f"{p}/q")),
        (("generate", "{p}", "-o", "{p}/b"), lambda p: hardloom.generate(p, f"{p}/b")),
        (("verify", "{p}"), lambda p: hardloom.verify(p)),
        (("verify", "{p}", "--static"), lambda p: hardloom.verify(p, static=True)),
        (("estimate", "--like", "nothing"), lambda p: hardloom.estimate(like="nothing")),
    ],
)
def test_a_mistake_is_the_sentence_of_the_command_line(words: tuple[str, ...], call: Any, tmp_path: Path) -> None:
    ran = command_line.hardloom(*(word.format(p=tmp_path) for word in words))
    with pytest.raises(hardloom.UserError) as caught:
        call(tmp_path)
    assert (ran.code, ran.err.strip()) == (1, f"error: {caught.value}")


def test_what_the_file_system_refuses_is_a_sentence_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(hardloom.UserError, match="Not a directory; check the path, its permissions and space"):
        hardloom.quantize(hardloom.DEMO, tmp_path / "file" / "q")


def test_a_build_answers_on_the_integer_model(tiny_build: Build, tiny_integer_model: IntegerModel) -> None:
    chip = hardloom.load(tiny_build.path)
    found = chip.sample([3, 9, 4], gen_length=8, block_length=8, steps=4)
    assert len(found.tokens) == 8 and found.steps == 4 and chip.shape.vocab_size == 19


def test_a_build_answers_on_the_chip_as_on_the_integer_model(tiny_build: Build) -> None:
    chip, how = hardloom.load(tiny_build.path), {"gen_length": 8, "block_length": 8, "steps": 4}
    golden, rtl = (chip.sample([3, 9, 4], engine=engine, **how) for engine in ("golden", "rtl"))
    assert rtl == golden
