"""The text of a Liberty file as groups of attributes, and such groups as text again."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

__all__ = ["Attributes", "Group", "group_lines", "number", "parse_liberty"]

Attributes = dict[str, str | list[str]]
"""Simple attributes are strings, complex ones (`values (...)`) lists of strings."""

TOKEN = re.compile(
    r"""/\*.*?\*/|//[^\n]*      # comments, to be dropped
    |"[^"]*"                    # a comment's mark within a string is none
    |[{}();:,]
    |(?:[^\s{}();:,"/]|/(?![*/]))+
    |\S                         # an opening quote or comment that nothing closes""",
    re.DOTALL | re.VERBOSE,
)
CONTINUED = re.compile(r"\\(?=\r?\n)")
COMMENT = ("/*", "//")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass
class Group:
    """One `kind (args) { ... }` of a Liberty file."""

    kind: str
    args: list[str]
    attributes: Attributes = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def of(self, *kinds: str) -> Iterator["Group"]:
        """The groups of some kinds in this one."""
        return (group for group in self.groups if group.kind in kinds)

    def text(self, name: str, default: str = "") -> str:
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else " ".join(value)

    def says(self, name: str) -> bool:
        """Whether a flag is set: it is there, and is none of the spellings of false."""
        return self.text(name, "false").strip().lower() not in ("false", "f", "0", "no", "n", "off")

    def number(self, name: str) -> float | None:
        """A simple attribute as a number, None where it is not there. Raises ValueError where it is no number."""
        if name not in self.attributes:
            return None
        try:
            return number(self.text(name))
        except ValueError as error:
            raise ValueError(f"its {name} {error}") from None


def number(text: str) -> float:
    """A finite number as Liberty writes it. Raises ValueError where it is none."""
    if not NUMBER.fullmatch(text.strip()) or math.isinf(value := float(text)):
        raise ValueError(f"is {text.strip()[:40]!r}, which is no number")
    return value


def parse_liberty(text: str) -> Group:
    """The `library` group of a Liberty text. Raises ValueError with line and reason where it is none."""
    text = CONTINUED.sub(" ", text)
    tokens = [token for token in TOKEN.findall(text) if not token.startswith(COMMENT)]
    root, place = Group("", []), 0
    stack = [root]
    while place < len(tokens):
        try:
            place = read_statement(tokens, place, stack)
        except ValueError as error:
            raise ValueError(f"line {line_of(text, place)}: {error}") from None
    if len(stack) > 1:
        raise ValueError(f"it ends within the group {stack[-1].kind} ({', '.join(stack[-1].args)[:40]})")
    if [group.kind for group in root.groups] != ["library"]:
        raise ValueError(f"it holds {len(list(root.of('library')))} library groups and not one")
    return root.groups[0]


def line_of(text: str, place: int) -> int:
    """The line of the token at `place`."""
    starts = (match.start() for match in TOKEN.finditer(text) if not match[0].startswith(COMMENT))
    return text.count("\n", 0, next(islice(starts, place, None))) + 1


def read_statement(tokens: list[str], place: int, stack: list[Group]) -> int:
    """One attribute, the head of a group, or the end of one; the place behind it."""
    following = tokens[place + 1] if place + 1 < len(tokens) else ""
    if tokens[place] == ";":
        return place + 1
    if tokens[place] == "}":
        if len(stack) == 1:
            raise ValueError("a '}' too many")
        stack.pop()
        return place + 1
    if following == ":":
        return read_simple(tokens, place, stack[-1])
    if following == "(":
        return read_complex(tokens, place, stack)
    raise ValueError(f"{tokens[place][:40]!r} is neither attribute nor group")


def read_simple(tokens: list[str], place: int, group: Group) -> int:
    """`name : value` into `group`; the place behind it. The value ends with its line where the semicolon is missing."""
    last = place + 3
    if place + 2 >= len(tokens) or tokens[place + 2] in (*";{}:,",):
        raise ValueError(f"no value behind '{tokens[place][:40]} :'")
    while last < len(tokens) and tokens[last] not in (";", "}") and tokens[last + 1 : last + 2] not in ([":"], ["("]):
        last += 1
    group.attributes[tokens[place]] = " ".join(tokens[place + 2 : last]).strip('"')
    return last


def read_complex(tokens: list[str], place: int, stack: list[Group]) -> int:
    """`name (args)` into the innermost group, or, where `{` follows, a new one; the place behind it."""
    last = place + 2
    while last < len(tokens) and tokens[last] not in (*"(){};",):
        last += 1
    if tokens[last : last + 1] != [")"]:
        raise ValueError(f"no ')' behind '{tokens[place][:40]} ('")
    args = [arg.strip('"') for arg in tokens[place + 2 : last] if arg != ","]
    if tokens[last + 1 : last + 2] != ["{"]:
        stack[-1].attributes[tokens[place]] = args
        return last + 1
    group = Group(tokens[place], args)
    stack[-1].groups.append(group)
    stack.append(group)
    return last + 2


def group_lines(group: Group, indent: str = "") -> Iterator[str]:
    """The group as Liberty text; what is no number is quoted."""
    yield f"{indent}{group.kind} ({', '.join(map(quoted, group.args))}) {{"
    for name, value in group.attributes.items():
        held = f": {quoted(value)}" if isinstance(value, str) else f"({', '.join(map(quoted, value))})"
        yield f"{indent}  {name} {held};"
    for part in group.groups:
        yield from group_lines(part, indent + "  ")
    yield f"{indent}}}"


def quoted(text: str) -> str:
    return text if NUMBER.fullmatch(text) else f'"{text}"'
