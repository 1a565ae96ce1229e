"""What of a numeric contract the command line chooses by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from hardloom.golden.units.numerics import Numerics

__all__ = ["Choices"]


@dataclass(frozen=True)
class Choices:
    """gains: as of `Numerics`, None: as they are. bits: of activations, of the sites that have others."""

    gains: str | None = None
    bits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def applied(self, numerics: Numerics) -> Numerics:
        """A contract with the choices made. Raises `UserError` for gains or bits that there are none of."""
        return replace(
            numerics, gains=self.gains or numerics.gains, activations=replace(numerics.activations, **self.bits)
        )
