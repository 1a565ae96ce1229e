"""The first page: drawing and table of the rooms are what the imports say, and what it names is where it says."""

import re

import pytest

from docs.drawing.page import PAGE, page
from docs.drawing.picture import PICTURE, drawing
from docs.drawing.rooms import direct, read_floors
from tests import ROOT

FLOORS = read_floors()
WHERE = re.findall(r"^\| .+ \| \[(.+?)\]\(\.\./.+?\) \| `(\w+)` \|$", PAGE.read_text(), re.MULTILINE)


def test_the_picture_of_the_rooms_is_the_code_s():
    assert PICTURE.read_text() == drawing(FLOORS), "run `make drawing`"


def test_the_table_of_the_rooms_is_the_code_s():
    assert PAGE.read_text() == page(PAGE.read_text(), FLOORS), "run `make drawing`"


def test_arrows_that_others_imply_are_not_drawn():
    assert direct({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == {("a", "b"), ("b", "c"), ("a", "d")}


@pytest.mark.parametrize(("file", "name"), WHERE)
def test_what_the_page_names_is_in_its_file(file, name):
    assert re.search(rf"\b{name}\b", (ROOT / file).read_text())


def test_the_page_names_a_dozen_places_and_files_that_exist():
    assert len(WHERE) >= 12
    named = re.findall(r"`([\w.]+/[\w./]+)`|\[([\w./]+/[\w./]+)\]", PAGE.read_text())
    assert [name for pair in named for name in pair if name and not (ROOT / name).exists()] == []
