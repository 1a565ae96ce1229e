"""English prose to train on, in the public domain, and its ends, which are held out."""

from pathlib import Path

from hardloom.golden.training.worked_tasks import WORKED_TASKS

__all__ = ["TEXTS", "prose"]

TEXTS = Path(__file__).parent.parent / "texts"
BOOKS = ("moby-dick.txt", "northanger-abbey.txt", "persuasion.txt", "us-constitution.txt")
HELD_OUT = 1500  # characters of each


def prose(held: bool) -> str:
    """All books in lower case, in the characters of the tasks: their last 1,500 characters each, or what is before."""
    parts = []
    for book in BOOKS:
        text = (TEXTS / book).read_text().lower().replace("\n\n", "\n").replace("--", " - ")
        text = "".join(character for character in text if character in WORKED_TASKS.alphabet)
        parts.append(text[-HELD_OUT:] if held else text[:-HELD_OUT])
    return "\n".join(parts)
