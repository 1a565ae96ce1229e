"""The page: sections in their templates, in one file that loads nothing."""

from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

from hardloom.flows.report.section import Section
from hardloom.gen.text.templates import environment

__all__ = ["is_page", "page"]

MARK = '<meta name="generator" content="hardloom report">'
TEMPLATES = "templates"


def is_page(held: bytes) -> bool:
    """Whether a file that holds it is such a page: its head says so."""
    return MARK.encode() in held[:1000]


def page(title: str, sections: Sequence[Section]) -> str:
    """Its text: HTML with its own style and script."""
    room = files(__package__) / TEMPLATES
    own = {name: Markup((room / f"page.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    templates = environment(__package__, TEMPLATES, html=True)
    templates.filters["figure"] = figure
    return templates.get_template("page.html.j2").render(title=title, mark=Markup(MARK), sections=sections, **own)


def figure(value: float) -> str:
    """A number to four digits, in full where it has more before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
