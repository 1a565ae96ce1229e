"""What a section of the page is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Section"]


@dataclass(frozen=True)
class Section:
    """A section, which the template of its name shows.

    Attributes
    ----------
    name: of its template, and its place in the page's address; title: above it.
    commands: that print the same figures.
    held: what its template knows.
    missing: why it shows nothing, and which command makes what it would show; None where it does.
    """

    name: str
    title: str
    commands: tuple[str, ...] = ()
    held: Mapping[str, Any] = field(default_factory=dict)
    missing: str | None = None
