"""Sensitivity on the page is the record's, and a record of another model is refused."""

import json

import pytest

from hardloom.flows.report.costs import costs
from hardloom.flows.report.subject import Subject
from tests import DEMO
from tests.command_line import hardloom
from tests.flows.report.conftest import RUN


@pytest.fixture
def recorded(record):
    return json.loads(record.read_text())


def test_every_kind_of_the_record_is_shown_the_most_expensive_first(section, recorded):
    for drawing, name in zip(section("costs").all("svg"), ("weights", "activations"), strict=True):
        ordered = sorted(recorded[name], key=lambda cost: (-cost["divergence"], cost["kind"]))
        assert len(ordered) > 5 and any(cost["divergence"] > 0 for cost in ordered)
        words = [
            text for cost in ordered for text in (f"{cost['kind']}, {cost['rounding']}", f"{cost['divergence']:.4f}")
        ]
        assert [one.text for one in drawing.all("text")] == words
    assert f"is {max(recorded['weights'], key=lambda c: c['divergence'])['kind']}." in section("costs").text


def test_bars_are_as_long_as_costs(chip_build, record, recorded):
    held = costs(Subject.of(chip_build.path), record).held
    lengths = {(title, cost.kind): length for title, rows in held["groups"] for cost, length in rows}
    most = max(cost["divergence"] for name in ("weights", "activations") for cost in recorded[name])
    for title, name in (("matrices", "weights"), ("activations", "activations")):
        for cost in recorded[name]:
            assert lengths[title, cost["kind"]] == pytest.approx(cost["divergence"] / most * held["width"], abs=0.06)


def broken(recorded: dict, change: str) -> object:
    """A record with one thing wrong."""
    first = recorded["weights"][0]
    return {
        "a list": [recorded],
        "without a text": {name: value for name, value in recorded.items() if name != "text"},
        "a field too many": recorded | {"mine": 1},
        "no number": recorded | {"weights": [first | {"divergence": "1"}]},
        "none at all": recorded | {"weights": [first | {"divergence": float("nan")}]},
        "no kinds": recorded | {"weights": []},
        "another kind": recorded | {"weights": [*recorded["weights"][1:], first | {"kind": "gates"}]},
    }[change]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("a list", "holds a JSON list where an object is needed"),
        ("without a text", "is no record of `hardloom sensitivity`"),
        ("a field too many", "is no record of `hardloom sensitivity`"),
        ("no number", "is no record of `hardloom sensitivity`"),
        ("none at all", "which is no JSON number"),
        ("no kinds", "is no record of `hardloom sensitivity`"),
        ("another kind", "names other kinds of matrix"),
    ],
)
def test_what_is_no_record_of_this_model_is_one_sentence_and_no_page(change, said, chip_build, recorded, tmp_path):
    file = tmp_path / "sensitivity.json"
    file.write_text(json.dumps(broken(recorded, change)))
    ran = hardloom("report", chip_build.path, "-o", tmp_path / "report.html", *RUN, "--sensitivity", file)
    assert ran.code == 1 and f"{file}" in ran.err and said in ran.err and len(ran.err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_record_of_another_checkpoint_is_refused(record, tmp_path):
    ran = hardloom("report", DEMO, "-o", tmp_path / "report.html", "--prompt", "1+1=", "--sensitivity", record)
    assert ran.code == 1 and "is of a checkpoint with the fingerprint" in ran.err
    assert not [*tmp_path.iterdir()]
