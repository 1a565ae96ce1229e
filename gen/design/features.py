"""What the chip does not have yet of what the golden models compute."""

from collections.abc import Iterator

from golden.errors import UserError
from golden.shape import ModelShape

__all__ = ["check_features"]


def missing(model: ModelShape) -> Iterator[str]:
    """Features of the model that the chip does not have, in words."""
    if model.shift > 1:
        yield f"a head that predicts {model.shift} positions ahead"


def check_features(model: ModelShape) -> None:
    """Raises UserError that names the first feature of the model that the chip does not have."""
    for feature in missing(model):
        raise UserError(
            f"{model.family}: the chip does not have {feature} yet; quantize and sample --engine golden compute it"
        )
