"""What a shell sees of the command: how it is called, its exit codes, what is piped, and completion."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from hardloom.flows.console.report import PIPED, show, table
from tests import DEMO, ROOT
from tests.command_line import hardloom


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m hardloom` in a process of its own, whose output is piped."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | variables
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run([sys.executable, "-m", "hardloom", *words], env=environment, capture_output=True, text=True)


def test_python_runs_the_package() -> None:
    ran = run("--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"hardloom {version('hardloom')}\n", "")


@pytest.mark.parametrize("words", [(), ("sample",), ("bench",), ("bench", "tiles")], ids=" ".join)
def test_h_is_help(words: tuple[str, ...]) -> None:
    short, long = hardloom(*words, "-h"), hardloom(*words, "--help")
    assert short == long and short.code == 0 and "Usage: hardloom" in short.out


@pytest.mark.parametrize(
    "words",
    [
        ("weave",),
        ("sample",),
        ("sample", "x", "--gen-length", "0"),
        ("info", ".", "--warp"),
        ("estimate", "--head-lanes", "x"),
        ("bench", "x"),
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_is_exit_code_2(words: tuple[str, ...]) -> None:
    ran = hardloom(*words)
    assert ran.code == 2 and ran.err.startswith("error: ") and ran.err.count("\n") == 1 and ran.out == ""


def test_what_a_command_refuses_is_exit_code_1() -> None:
    assert hardloom("estimate", "--like", "nothing").code == 1


def test_a_table_that_is_piped_is_not_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cells = [f"{'x' * 60}{number}" for number in range(4)]
    show(None, False, [table(["a", "b", "c", "d"], [cells]), "word " * 100])
    lines = capsys.readouterr().out.splitlines()
    assert all(any(cell in line for line in lines) for cell in cells)
    assert lines[-1].strip() == ("word " * 100).strip() and max(map(len, lines)) < PIPED


def test_the_shell_completes_commands_and_options() -> None:
    def completed(text: str, word: int) -> str:
        ran = run(_HARDLOOM_COMPLETE="complete_bash", COMP_WORDS=text, COMP_CWORD=str(word))
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert completed("hardloom quan", 1).split() == ["quantize"]
    assert "--activation-bits" in completed("hardloom quantize --act", 2)


def test_the_shell_is_told_how_to_complete() -> None:
    ran = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert ran.returncode == 0 and "_HARDLOOM_COMPLETE=complete_bash" in ran.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("info", str(DEMO), "--config-only"), ("--help",)], ids=" ".join)
def test_a_full_disk_behind_standard_output_is_one_sentence(words: tuple[str, ...], unbuffered: str) -> None:
    command = [sys.executable, "-m", "hardloom", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        ran = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    said = "error: standard output: No space left on device; check the path, its permissions and space\n"
    assert (ran.returncode, ran.stderr) == (1, said)
