"""Decision records: numbered without holes, in one form, all of them in the index."""

import re

import pytest

from tests import ROOT

FOLDER = ROOT / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))


def test_numbers_have_no_holes():
    assert [record.name[:5] for record in RECORDS] == [f"{number:04}-" for number in range(1, len(RECORDS) + 1)]


def test_the_index_names_every_record_by_its_title():
    titles = {record.name: record.read_text().splitlines()[0] for record in RECORDS}
    rows = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert {file: f"# {number}: {title}" for number, file, title in rows} == titles
    assert [file for _, file, _ in rows] == list(titles)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name[:4])
def test_a_record_says_its_choice_instead_of_what_and_why(record):
    headings = re.findall(r"^\*\*(.+?)\*\*", record.read_text(), re.MULTILINE)
    assert headings[:3] == ["Choice.", "Instead of", "Why."]
