"""The drawing of the rooms and their table are what the imports say."""

from docs.drawing.page import PAGE, page
from docs.drawing.picture import PICTURE, drawing
from docs.drawing.rooms import direct, read_floors

FLOORS = read_floors()


def test_the_picture_of_the_rooms_is_the_code_s():
    assert PICTURE.read_text() == drawing(FLOORS), "run `make drawing`"


def test_the_table_of_the_rooms_is_the_code_s():
    assert PAGE.read_text() == page(PAGE.read_text(), FLOORS), "run `make drawing`"


def test_arrows_that_others_imply_are_not_drawn():
    assert direct({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == {("a", "b"), ("b", "c"), ("a", "d")}
