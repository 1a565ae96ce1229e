"""Writes both."""

from docs.drawing.page import PAGE, page
from docs.drawing.picture import PICTURE, drawing
from docs.drawing.rooms import read_floors

floors = read_floors()
PICTURE.write_text(drawing(floors))
PAGE.write_text(page(PAGE.read_text(), floors))
