"""The one exception of the readers."""

__all__ = ["ExtractionError"]


class ExtractionError(Exception):
    """Emitted text that is not what the generator writes: names the module, the place and what is wrong there."""
