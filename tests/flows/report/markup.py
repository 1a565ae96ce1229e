"""Pages as their readers meet them: elements with their attributes and their text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = ["Element", "read_page"]

VOID = {"meta", "input", "img", "br"}
"""Elements that have no end; those of drawings close themselves where they have none."""


@dataclass
class Element:
    """name: of the tag; within: elements and texts in order."""

    name: str
    attributes: dict[str, str]
    within: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Of it and all within, white space as one space."""
        return " ".join("".join(one if isinstance(one, str) else one.text for one in self.within).split())

    def all(self, name: str = "", **attributes: str) -> Iterator["Element"]:
        """Elements within, of a tag where one is named, with these attributes; `_` stands for `-`, `class_` for
        `class`, of which one word is enough."""
        for one in self.within:
            if isinstance(one, Element):
                if name in ("", one.name) and all(one.has(*item) for item in attributes.items()):
                    yield one
                yield from one.all(name, **attributes)

    def has(self, name: str, value: str) -> bool:
        found = self.attributes.get(name.rstrip("_").replace("_", "-"))
        return value in found.split() if name == "class_" and found else found == value

    def rows(self) -> list[list[str]]:
        """Texts of the cells of every row within."""
        cells = ([one for one in row.within if isinstance(one, Element)] for row in self.all("tr"))
        return [[cell.text for cell in row] for row in cells]


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].within.append(found)
        if tag not in VOID:
            self.open.append(found)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].within.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"{tag} ends where {self.open[-1].name} is open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].within.append(data)


def read_page(text: str) -> Element:
    """The page's elements; every one that is opened is closed in order."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root
