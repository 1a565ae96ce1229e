"""The one exception a user's mistake raises."""

__all__ = ["UserError"]


class UserError(Exception):
    """A mistake in what the user gave: one sentence that names the file, the field and the remedy."""
