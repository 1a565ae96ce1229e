"""The text of a Liberty file as groups of attributes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Group", "parse_liberty"]

TOKEN = re.compile(r'"[^"]*"|[{}();:,]|[^\s{}();:,"]+')
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\\\r?\n", re.DOTALL)


@dataclass
class Group:
    """One `kind (args) { ... }` of a Liberty file; complex attributes (`values (...)`) are lists of strings."""

    kind: str
    args: list[str]
    attributes: dict[str, str | list[str]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def of(self, kind: str) -> Iterator["Group"]:
        """The groups of a kind in this one."""
        return (group for group in self.groups if group.kind == kind)

    def text(self, name: str, default: str = "") -> str:
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else " ".join(value)

    def number(self, name: str, default: float = 0.0) -> float:
        """A simple attribute as a number; `default` where there is none, ValueError where it is no number."""
        value = self.text(name)
        return float(value) if value else default


def parse_liberty(text: str) -> Group:
    """The `library` group of a Liberty text. Raises ValueError with the reason where it is none."""
    tokens = TOKEN.findall(COMMENT.sub(" ", text))
    root, place = Group("", []), 0
    stack = [root]
    while place < len(tokens):
        following = tokens[place + 1] if place + 1 < len(tokens) else ""
        if tokens[place] == ";":
            place += 1
        elif tokens[place] == "}":
            if len(stack) == 1:
                raise ValueError("a '}' too many")
            stack.pop()
            place += 1
        elif following == ":":
            place = read_simple(tokens, place, stack[-1])
        elif following == "(":
            place = read_complex(tokens, place, stack)
        else:
            raise ValueError(f"'{tokens[place][:40]}' is neither attribute nor group")
    if len(stack) > 1:
        raise ValueError("it ends within a group")
    if len(root.groups) != 1 or root.groups[0].kind != "library":
        raise ValueError("it holds no library group")
    return root.groups[0]


def read_simple(tokens: list[str], place: int, group: Group) -> int:
    """`name : value` into `group`; the place behind it. The value ends with its line where the semicolon is missing."""
    last = place + 3
    while last < len(tokens) and tokens[last] not in ";}" and tokens[last + 1 : last + 2] not in ([":"], ["("]):
        last += 1
    group.attributes[tokens[place]] = " ".join(tokens[place + 2 : last]).strip('"')
    return last


def read_complex(tokens: list[str], place: int, stack: list[Group]) -> int:
    """`name (args)` into the innermost group, or, where `{` follows, a new one; the place behind it."""
    try:
        last = tokens.index(")", place)
    except ValueError:
        raise ValueError(f"no ')' behind '{tokens[place]} ('") from None
    args = [arg.strip('"') for arg in tokens[place + 2 : last] if arg != ","]
    if tokens[last + 1 : last + 2] != ["{"]:
        stack[-1].attributes[tokens[place]] = args
        return last + 1
    group = Group(tokens[place], args)
    stack[-1].groups.append(group)
    stack.append(group)
    return last + 2
