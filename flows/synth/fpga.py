"""FPGA families: the command from Verilog to their cells, what these take of a device, and the devices of nextpnr."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hardloom.golden.errors import UserError

__all__ = ["FAMILIES", "RESOURCES", "Device", "Family", "devices", "family_of", "holding", "resources"]

RESOURCES = ("LUT4", "registers", "block RAM", "multipliers")
"""What is counted of a device."""


@dataclass(frozen=True)
class Family:
    """Yosys' command, and what cells take, by the begin of their names: of each resource so many.

    Attributes
    ----------
    name: as `--fpga` has it. command: `{top}` is the module; it flattens, and keeps memories.
    no_multipliers: option of the command that makes logic of all products.
    takes: resources by the begin of a cell's name. carries: begin of the names of carry cells.
    pins: option of nextpnr for ports without a place. models: Verilog that says which pins of its cells are outputs.
    """

    name: str
    command: str
    no_multipliers: str
    takes: Mapping[str, Mapping[str, int]]
    carries: str
    pins: str
    models: str


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "ecp5",
            "synth_ecp5 -noiopad -no-rw-check -nowidelut -top {top}",
            "-nodsp",
            {
                "LUT4": {"LUT4": 1},
                "CCU2C": {"LUT4": 2},
                "TRELLIS_DPR16X4": {"LUT4": 6},  # four that hold the words, and two whose inputs its writing takes
                "TRELLIS_FF": {"registers": 1},
                "DP16KD": {"block RAM": 1},
                "MULT18X18D": {"multipliers": 1},
            },
            "CCU2C",
            "--lpf-allow-unconstrained",
            "+/ecp5/cells_sim.v +/ecp5/cells_bb.v",
        ),
        Family(
            "ice40",
            "synth_ice40 -no-rw-check -top {top}",
            "",
            {"SB_LUT4": {"LUT4": 1}, "SB_DFF": {"registers": 1}, "SB_RAM40_4K": {"block RAM": 1}},
            "SB_CARRY",
            "--pcf-allow-unconstrained",
            "+/ice40/cells_sim.v",
        ),
    )
}
"""On the ECP5 no LUT of more than four inputs is joined of several: that is faster, and up to half as large again.
Multipliers of the iCE40, which the UltraPlus devices alone have, are not used."""


@dataclass(frozen=True)
class Device:
    """A device: `option` of nextpnr with its largest `package`; `has`: of each resource so many; pins: for ports."""

    name: str
    family: str
    option: str
    package: str
    pins: int
    has: Mapping[str, int]


def family_of(name: str) -> Family:
    """The family that `--fpga` names. Raises UserError for another."""
    if name not in FAMILIES:
        raise UserError(f"--fpga: {name!r} is unknown; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


@cache
def devices(family: str) -> tuple[Device, ...]:
    """Devices of a family, the smallest first."""
    tables = tomllib.loads((Path(__file__).parent / "devices.toml").read_text(encoding="utf-8"))[family]
    return tuple(
        Device(
            name, family, fields["option"], fields["package"], fields["pins"], {key: fields[key] for key in RESOURCES}
        )
        for name, fields in tables.items()
    )


def resources(family: Family, cells: Mapping[str, int]) -> dict[str, int]:
    """What cells, by kind, take of a device."""
    total = dict.fromkeys(RESOURCES, 0)
    for kind, count in cells.items():
        for begin, taken in family.takes.items():
            if kind.startswith(begin):
                for name, number in taken.items():
                    total[name] += number * count
    return total


def holding(family: str, needed: Mapping[str, float]) -> tuple[Device, ...]:
    """The devices, the smallest first, that have at least what is needed of each resource."""
    return tuple(device for device in devices(family) if all(device.has[name] >= needed[name] for name in RESOURCES))
