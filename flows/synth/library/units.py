"""Units of a library, in SI and as the tools that read it understand them."""

import math
import re
from dataclasses import dataclass

from hardloom.flows.synth.library.liberty import Group

__all__ = ["Units", "read_units"]

PREFIX = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0}
DEFAULTS = {"time_unit": "1ns", "capacitive_load_unit": "1pF", "voltage_unit": "1V", "leakage_power_unit": "1nW"}
"""What a library means that does not say."""
WRITTEN = {-12: "1ps", -11: "10ps", -10: "100ps", -9: "1ns"}
"""Units of time that every tool knows, by their power of ten."""
FRACTION = re.compile(r"(\d+(?:\.\d*)?) *([fpnum]?)(\w)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Units:
    """In SI: seconds of a delay, farads of a capacitance, volts of a voltage, watts of a leakage."""

    seconds: float
    farads: float
    volts: float
    watts: float

    @property
    def nanoseconds(self) -> float:
        """Of a delay."""
        return self.seconds / 1e-9

    @property
    def joules(self) -> float:
        """Of an energy table."""
        return self.farads * self.volts**2

    def attributes(self) -> dict[str, str | list[str]]:
        """The two that mapping and timing need, as attributes of a library."""
        return {
            "time_unit": WRITTEN[round(math.log10(self.seconds))],
            "capacitive_load_unit": [f"{self.farads / 1e-15:.12g}", "ff"],
        }


def read_units(library: Group) -> Units:
    """The units of a `library` group. Raises ValueError where one is none, or no tool would know it."""
    values = [fraction(library, name) for name in DEFAULTS]
    if not any(math.isclose(values[0], 10.0**power) for power in WRITTEN):
        raise ValueError(f"its time_unit is {library.text('time_unit')!r} and not one of {', '.join(WRITTEN.values())}")
    return Units(*values)


def fraction(library: Group, name: str) -> float:
    """A unit such as `1pF`, in SI."""
    default = DEFAULTS[name]
    text = library.text(name, default).strip()
    match = FRACTION.fullmatch(text)
    if match is None or match[3].lower() != default[-1].lower() or not 0 < float(match[1]) < 1e6:
        raise ValueError(f"its {name} is {text[:40]!r}, which is no unit like {default}")
    return float(match[1]) * 10.0 ** PREFIX[match[2].lower()]
