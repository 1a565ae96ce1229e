"""The table of `hardloom bench llm` in docs/accuracy.md: recipes that are measured get their rows anew."""

from collections.abc import Sequence
from pathlib import Path

from hardloom.flows.bench.llm import QUESTION_TEXT, Figures, Row
from hardloom.flows.bench.llm_recipes import RECIPES
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file

__all__ = ["check_page", "is_page", "write_page"]

START, END = "<!-- rows: written by `hardloom bench llm --page` -->\n", "<!-- end of rows -->\n"
SAYS, SAID = "<!-- answer: written by `hardloom bench llm --page` -->\n", "<!-- end of answer -->\n"
HEAD = (
    "| recipe | predictions | bits of the layers / of all | perplexity, float | float, rounded weights | integers "
    "| KL, rounded weights | KL, integers | saturated |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


def line(row: Row) -> str:
    """A row of the table."""
    bits = "16" if row.bits_layers is None else f"{row.bits_layers:.2f} / {row.bits_per_weight:.2f}"
    text = next(recipe.text for recipe in RECIPES if recipe.name == row.recipe)
    perplexities = [f"{p:.2f} (x {p / row.ppl_float:.3f})" for p in (row.ppl_weights, row.ppl_integer)]
    cells = (f"`{row.recipe}`: {text}", f"{row.tokens:,}", bits, f"{row.ppl_float:.2f}", *perplexities)
    cells = (*cells, f"{row.kl_weights:.4f}", f"{row.kl_integer:.4f}", str(row.saturated))
    return f"| {' | '.join(cells)} |\n"


def rows_of(old: str, rows: Sequence[Row]) -> str:
    """The table with `rows` in place of those of the same recipes in the table `old`, in the order of `RECIPES`."""
    lines = {text.split("`")[1]: text for text in old.splitlines(keepends=True) if text.startswith("| `")}
    lines |= {row.recipe: line(row) for row in rows}
    return HEAD + "".join(lines[recipe.name] for recipe in RECIPES if recipe.name in lines)


def is_page(held: bytes) -> bool:
    """Whether a file that holds it is text with the marks between which figures stand."""
    try:
        text = held.decode()
    except UnicodeDecodeError:
        return False
    return all(text.count(mark) == 1 for mark in (START, END, SAYS, SAID))


def check_page(page: Path) -> str:
    """The text of `page`. `UserError` where it lacks the marks, as `is_page` knows them."""
    if not is_page(held := page.read_bytes()):
        raise UserError(f"{page}: lacks the marks of bench llm, each once; take docs/accuracy.md")
    return held.decode()


def write_page(page: Path, found: Figures) -> None:
    """Put the figures into `page`. Raises `UserError` as `check_page` does."""
    text = check_page(page)
    before, rest = text.split(START)
    old, after = rest.split(END)
    text = before + START + rows_of(old, found.rows) + END + after
    if found.answer is not None:
        before, rest = text.split(SAYS)
        text = f"{before}{SAYS}> {QUESTION_TEXT}\n>\n> {' '.join(found.answer.split())}\n{SAID}{rest.split(SAID)[1]}"
    write_file(page, text)
