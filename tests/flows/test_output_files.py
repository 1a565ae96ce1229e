"""Every option that names one file to write: what is there already is replaced by its like alone, before any work."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from hardloom.flows.cli import outputs
from hardloom.flows.cli.options import folder, given_file, new_folder
from hardloom.flows.cli.outputs import Output
from hardloom.flows.design.cost.model import DEFAULT_FIT
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.explore.report import Outputs, explore, search_space, write_outputs
from hardloom.flows.models.calibrate import CalibrationText, calibrate
from hardloom.flows.models.sensitivity import sensitivity
from hardloom.flows.report.page import page
from hardloom.flows.report.section import Section
from hardloom.flows.synth.figures import COLUMNS, SynthFigures
from hardloom.flows.synth.report import write_html
from hardloom.golden.units.numerics import GENERAL
from hardloom.verif.simulators.coverage import HEADER, read_points
from hardloom.verif.simulators.coverage import info as tracefile
from tests import DEMO, ROOT
from tests.command_line import Ran, hardloom
from tests.flows.test_options import GIVEN
from tests.flows.test_output_folders import all_commands, parameters

KINDS = {name: kind for name, kind in vars(outputs).items() if isinstance(kind, Output)}

STRANGERS: dict[str, Callable[[Path], object]] = {
    "notes": lambda path: path.write_text("precious\n"),
    "an object": lambda path: path.write_text('{"numerics": {}, "lanes": 1, "mine": 2}'),
    "a list": lambda path: path.write_text('[{"lanes": 1}]'),
    "an empty list": lambda path: path.write_text("[]"),
    "nested too deep": lambda path: path.write_text("[" * 100_000),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
}


def written_by(callback: object) -> Iterator[tuple[str, Output]]:
    """Options of a command that name a file to write, and its kind."""
    for name, info in parameters(callback):  # type: ignore[arg-type]
        if isinstance(kind := getattr(info.parser, "__self__", None), Output):
            yield (info.param_decls or (f"--{name.replace('_', '-')}",))[0], kind


OPTIONS = [(command, option, kind) for command, callback in all_commands() for option, kind in written_by(callback)]
each_option = pytest.mark.parametrize(
    ("command", "option", "kind"), [pytest.param(*found, id=" ".join(found[:2])) for found in OPTIONS]
)


def file_name(kind: Output) -> str:
    return f"file{(kind.suffixes or ('',))[0]}"


def run(command: str, option: str, path: Path) -> Ran:
    given = [word.format(ckpt=DEMO, build=DEMO, quantized=DEMO) for word in GIVEN[command]]
    return hardloom(*command.split(), *given, option, path)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Of everything in it: which it is, and what it holds."""
    return {path.name: (path.lstat().st_ino, path.read_bytes() if path.is_file() else b"") for path in folder.iterdir()}


def is_one_sentence(ran: Ran, path: Path) -> bool:
    one = ran.err.startswith("error: ") and len(ran.err.strip().splitlines()) == 1
    return ran.code == 2 and one and ran.out == "" and str(path) in ran.err


def test_every_path_of_a_command_is_read_or_written_by_a_known_rule() -> None:
    rules = (folder, given_file, new_folder)
    for command, callback in all_commands():
        for name, info in parameters(callback):
            known = info.parser in rules or isinstance(getattr(info.parser, "__self__", None), Output)
            hint = callback.__annotations__[name]
            assert known or Path not in {hint, *getattr(hint, "__args__", ())}, (command, name)
    assert {kind.name for _, _, kind in OPTIONS} == {kind.name for kind in KINDS.values()} - {outputs.COUNTS.name}


@pytest.mark.parametrize("what", STRANGERS)
@each_option
def test_what_is_not_its_like_is_left_alone(command, option, kind, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / file_name(kind)
    STRANGERS[what](path)
    before = contents(tmp_path)
    assert is_one_sentence(run(command, option, path), path)
    assert contents(tmp_path) == before


@each_option
def test_nothing_is_written_behind_a_file(command, option, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("precious")
    path = tmp_path / "notes" / "new" / file_name(kind)
    assert is_one_sentence(run(command, option, path), path)
    assert (tmp_path / "notes").read_text() == "precious" and len([*tmp_path.iterdir()]) == 1


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Files of each kind, by its name, as commands write them."""
    made = tmp_path_factory.mktemp("examples")
    found = explore(search_space(None, DEMO, Request(), None, AtOnce()), 100, "area")
    write_outputs(found, Outputs(made / "hardware.json", None, made / "front.json"))
    (made / "tokens").write_text(" ".join(["1"] * 600))
    given = CalibrationText(None, made / "tokens", 512, 0)
    calibrate(DEMO, given, GENERAL, 1.0, made / "contract.json", made / "picture.png")
    sensitivity(DEMO, given, "mxfp4", out=made / "sensitivity.json")
    assert hardloom("logits", DEMO, "--tokens", "1,2", "-o", made / "out.npy").code == 0
    unit = dict.fromkeys(("instances", *COLUMNS), 1.0)
    write_html(
        SynthFigures("b", "", "top", None, None, None, 1, {"unit": unit}, unit, {}, 0, {}, None, 1.0, 1.0),
        made / "report.html",
    )
    (made / "page.html").write_text(page("a chip", [Section("registers", "Register map", missing="there is no chip")]))
    count = "C '\x01f\x02a.v\x01l\x023\x01page\x02v_toggle/a\x01o\x02a:0->1' 0\n"
    (made / "covered.dat").write_text(HEADER + count)
    points = read_points([made / "covered.dat"])
    (made / "covered.info").write_text("".join(tracefile(points)))
    images = ROOT / "docs" / "images"
    return {
        "HARDWARE": [made / "hardware.json"],
        "FRONT": [made / "front.json"],
        "CONTRACT": [made / "contract.json"],
        "PICTURE": [made / "picture.png", images / "arrays.svg", images / "wiring.png"],
        "SENSITIVITY": [made / "sensitivity.json"],
        "LOGITS": [made / "out.npy"],
        "REPORT": [made / "report.html"],
        "CHIP_PAGE": [made / "page.html"],
        "PAGE": [ROOT / "docs" / "accuracy.md"],
        "COVERAGE": [made / "covered.dat", made / "covered.info"],
        "COST_MODEL": [DEFAULT_FIT],
        "COUNTS": [DEFAULT_FIT.with_name("quantities.jsonl")],
    }


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_takes_its_own_files_and_empty_ones_and_no_others(name, examples, tmp_path):
    kind = KINDS[name]
    (tmp_path / file_name(kind)).touch()
    assert kind.path(tmp_path / file_name(kind))
    for other, files in examples.items():
        for file in files:
            copy = tmp_path / f"copy{file.suffix if name == other else file_name(kind).removeprefix('file')}"
            copy.write_bytes(file.read_bytes())
            if name == other:
                assert kind.path(copy) == copy
            else:
                with pytest.raises(typer.BadParameter, match=f"is there already and is no {kind.name}"):
                    kind.path(copy)


def test_a_command_writes_over_what_it_wrote(tmp_path):
    """And over nothing beside it, whatever it is called."""
    mine = [tmp_path / name for name in ("out.npy.part", "out.npy~", ".out.npy")]
    for path in mine:
        path.write_text("precious")
    for tokens in ("1,2", "1,2,3"):
        assert hardloom("logits", DEMO, "--tokens", tokens, "-o", tmp_path / "out.npy").code == 0
    assert (tmp_path / "out.npy").stat().st_size > 3 * 4 * 16
    assert {path.read_text() for path in mine} == {"precious"} and len([*tmp_path.iterdir()]) == 4


def test_the_second_file_of_a_command_is_looked_at_too(tmp_path):
    (tmp_path / "quantities.jsonl").write_text('{"shape": 1, "quantities": 2}\nprecious\n')
    ran = run("bench tiles", "-o", tmp_path / "fit.json")
    assert is_one_sentence(ran, tmp_path / "quantities.jsonl")
    assert is_one_sentence(run("bench tiles", "-o", tmp_path / "link" / "quantities.jsonl"), tmp_path)
