"""Comments of emitted text: sentences for people, none that a tool obeys.

Readers prove the code and pass over its comments, so a comment must not change what a tool reads: Yosys leaves out the
lines behind `// synthesis translate_off`, and others have words of their own for it. No list of such words is whole;
all are written small. What hardloom writes begins with a capital, or with the name of a module and a colon.
"""

import re

from hardloom.verif.extract.errors import ExtractionError

__all__ = ["check_comments", "one_line"]

COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
SENTENCE = re.compile(r"// (?:[A-Z]|[a-z]\w*: )[^\n]*(?<!\\)", re.ASCII)
OWN = re.compile(
    r"/\* verilator (?:inline_module|lint_(?:off|on) (?:WIDTHEXPAND|UNUSEDSIGNAL)) \*/|// synopsys parallel_case"
)
"""How Verilator compiles a module and what it warns of; and what Yosys writes behind a choice of one of many."""

UNPRINTED = re.compile(r"[^\n -~]")
"""Line ends that only some tools take for one are among it, and what looks like other characters."""


LONG = re.compile(r"(?<![0-9A-Fa-fh])\d{19}")
"""A number that no width, place or sum is as large as."""


def check_comments(text: str) -> None:
    """Raise ExtractionError where a comment of `text` is neither a sentence nor `OWN`, or a character no plain one."""
    if strange := UNPRINTED.search(text):
        raise ExtractionError(f"has the character {strange[0]!a}, which hardloom does not write")
    for comment in COMMENT.findall(text):
        if not (SENTENCE.fullmatch(comment) or OWN.fullmatch(comment)):
            raise ExtractionError(f"a tool might obey its comment {comment[:60]!r}")


def one_line(text: str) -> str:
    """`text` without comments, each run of blanks and line ends one blank.

    Raises ExtractionError as `check_comments` does, and for numbers that no text of hardloom has.
    """
    check_comments(text)
    code = " ".join(COMMENT.sub(" ", text).split())
    if LONG.search(code):
        raise ExtractionError("has a number of more than 18 digits")
    return code
