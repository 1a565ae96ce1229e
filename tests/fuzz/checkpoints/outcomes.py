"""What a mutation of a checkpoint says must come of it."""

__all__ = ["LAWFUL", "REFUSED", "SAME"]

SAME = "same"
"""Harmless: accepted, with the meaning that it had."""

REFUSED = "refused"

LAWFUL = "lawful"
"""Refused, or accepted with the meaning that independent readers find."""
