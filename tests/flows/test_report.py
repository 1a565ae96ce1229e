"""What commands print: figures as JSON, or tables and sentences, and never both."""

import json
from dataclasses import dataclass

import pytest

from hardloom.flows.console.report import Check, Line, facts, show, table, totals


@dataclass(frozen=True)
class Inner:
    number: float | None


class Outer:
    def to_json_dict(self) -> dict:
        return {"name": "outer", "inner": [Inner(1.5), Inner(None)]}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")


def test_figures_are_json_whatever_they_are_made_of(capsys):
    show(Outer(), True, [])
    assert json.loads(capsys.readouterr().out) == {"name": "outer", "inner": [{"number": 1.5}, {"number": None}]}
    show([Inner(2)], True, [], indent=None)
    assert capsys.readouterr().out == '[{"number": 2}]\n'


def test_what_json_does_not_know_is_an_error():
    with pytest.raises(TypeError):
        show({"figure": object()}, True, [])


def test_parts_are_made_only_where_they_are_printed(capsys):
    def parts():
        raise RuntimeError
        yield

    show({}, True, parts())
    with pytest.raises(RuntimeError):
        show({}, False, parts())


def test_sentences_are_broken_on_a_terminal_and_lines_are_not(capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    show({}, False, ["a sentence of words " * 4, Line("a [line] of words " * 4)])
    first, *_, last = capsys.readouterr().out.splitlines()
    assert len(first) <= 40 and last == "a [line] of words " * 4


def test_what_stands_in_brackets_is_printed_as_it_is(capsys):
    """Names of files, libraries and cells may look like rich's markup."""
    text = "X[i] [bold]of [/red]"
    show({}, False, [text, table(["name [b]"], [[text]], title=text), facts([(text, text)])], width=80)
    assert capsys.readouterr().out.count(text) == 5


def test_the_terminal_is_as_wide_as_asked_for(capsys):
    show({}, False, ["word " * 12], width=80)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_numbers_stand_to_the_right(capsys):
    rows = [("short", "1", "left"), ("much longer", "1,000", "right")]
    show({}, False, [table(("name", "number", "side"), rows, left=("name", "side"))])
    cells = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert cells == [[" short       ", "      1 ", " left  "], [" much longer ", "  1,000 ", " right "]]


def test_totals_have_commas_and_facts_no_lines(capsys):
    show({}, False, [totals("title", {"count": 1234567, "word": "none"}), facts([("label", "text")])])
    printed = capsys.readouterr().out
    assert "1,234,567" in printed and printed.splitlines()[-1].split() == ["label", "text"]


def test_a_check_says_whether_it_passed(capsys):
    assert Check({"a": 1}, [Line("text")], passed=True).show(as_json=False)
    assert not Check({"a": 1}, [Line("text")], passed=False).show(as_json=True)
    assert capsys.readouterr().out == 'text\n{\n "a": 1\n}\n'
