"""Registered trees: how many values each of their stages leaves."""

__all__ = ["FOLDED", "fold_levels", "is_wide", "tree_levels"]

FOLDED = 8
"""Lanes of a beat that are folded in one cycle, at most: more would take longer than the clock has."""


def is_wide(lanes: int) -> bool:
    """Whether a beat has more lanes than one cycle folds, or chooses one of and still computes with it."""
    return lanes > FOLDED


def tree_levels(count: int, fan_in: int, enough: int = 1) -> list[int]:
    """What each stage, of which one value comes of up to `fan_in`, leaves of so many values, until there are
    `enough`."""
    left = []
    while count > enough:
        left.append(count := -(-count // fan_in))
    return left


def fold_levels(lanes: int, fan_in: int = FOLDED, enough: int = FOLDED) -> list[int]:
    """What each stage of a beat's tree leaves of its lanes: none where one cycle folds them all; `fan_in`, `enough`: as
    of `tree_levels`."""
    return tree_levels(lanes, fan_in, enough) if is_wide(lanes) else []
