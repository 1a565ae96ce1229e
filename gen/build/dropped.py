"""Texts of arrays that were proven as they were written and then gave way to their hash (`--prove-and-drop`)."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["Dropped", "check_dropped"]

IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Dropped:
    """What is known of an array whose text is gone, as it was read back out of that text.

    Attributes
    ----------
    weights: read, each of them that of the quantized checkpoint, zeros included.
    sampled: of these, read by `verif.crosscheck` as well.
    shell: its module. modules: prefabricated ones that it instantiates, the shell among them, in order.
    ports: bits of its ports for data and scales.
    """

    weights: int
    sampled: int
    shell: str
    modules: tuple[str, ...]
    ports: dict[str, int]

    @classmethod
    def from_json(cls, values: Any) -> "Dropped":
        """From what `to_json` gave. Raises KeyError, TypeError or ValueError where it is something else."""
        found = cls(**{field.name: values[field.name] for field in fields(cls)} | {"modules": (*values["modules"],)})
        numbers = [found.weights, found.sampled, *found.ports.values()]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError("a count of a dropped text is none")
        if not all(isinstance(name, str) and IDENTIFIER.fullmatch(name) for name in [*found.modules, *found.ports]):
            raise ValueError("a name of a dropped text is none")
        if found.to_json() != values or found.shell not in found.modules:
            raise ValueError("what is said of a dropped text is something else")
        return found

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"modules": [*self.modules]}


def check_dropped(dropped: Any, files: dict[str, str]) -> dict[str, Dropped]:
    """Of each dropped file of `files` what `Dropped.to_json` gave. Raises KeyError, TypeError, ValueError or
    AttributeError for anything else."""
    for name in dropped:
        if name not in files or not name.startswith("rtl/arrays/"):
            raise ValueError(f"{name!r:.80} is the text of no array")
    return {name: Dropped.from_json(values) for name, values in dropped.items()}
