"""Depths of the queues that decide throughput."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from hardloom.gen.design.lanes import MOST_POSITIONS
from hardloom.golden.errors import UserError

__all__ = ["Queues", "check_positive"]

MAY_BE_0 = ("packets", "results")


def check_positive(name: str, value: Any) -> None:
    """Raises UserError where field `name` holds no integer of at least 1."""
    check_integer(name, value, 1)


def check_integer(name: str, value: Any, least: int) -> None:
    """Raises UserError where field `name` holds no integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"hardware config, {name}: {value!r} must be an integer of at least {least}")


@dataclass(frozen=True)
class Queues:
    """Depths, in tokens, of the queues around a layer's experts: how many tokens are under way at once.

    At any depth nothing is lost and nothing stands still for good; shallow queues cost throughput.

    Parameters
    ----------
    residual: tokens whose residual waits while they are with the experts.
    routing: tokens whose packet waits for the router's choice.
    jobs: tokens whose jobs wait at each place along the experts' path.
    sums: tokens whose sum over a group of experts waits for those of other groups, where there are several.
    packets: tokens whose packet waits before each array of each expert, so that others' packets pass it; may be 0.
    results: tokens whose sums wait behind each of them for their turn, so that the array goes on; may be 0.
    """

    residual: int = 8
    routing: int = 4
    jobs: int = 4
    sums: int = 4
    packets: int = 0
    results: int = 0

    def __post_init__(self) -> None:
        for name, depth in asdict(self).items():
            check_integer(f"queues.{name}", depth, 0 if name in MAY_BE_0 else 1)
            if depth > MOST_POSITIONS:  # more tokens than a pass has
                raise UserError(f"hardware config, queues.{name}: {depth} exceeds {MOST_POSITIONS}; give fewer tokens")

    @classmethod
    def from_json(cls, values: Any) -> "Queues":
        """From a JSON object; depths that it does not name keep their defaults."""
        names = [f.name for f in fields(cls)]
        if not isinstance(values, dict) or not set(values) <= set(names):
            raise UserError(f"hardware config, queues: give an object with any of {', '.join(names)}")
        return cls(**values)
