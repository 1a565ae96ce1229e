"""Plants faults of every kind in a build and counts those that its checks find."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from hardloom.gen.build.folder import Build
from hardloom.golden.errors import UserError
from hardloom.verif.extract.mac import MacUnit, read_mac
from hardloom.verif.extract.neuron import NeuronCell, read_neuron
from hardloom.verif.faults.bits import flip_rom_bit
from hardloom.verif.faults.ties import plant_ties
from hardloom.verif.faults.wires import change_wire
from hardloom.verif.proof.reading import Reading
from hardloom.verif.proof.static import Reader

__all__ = ["KINDS", "Campaign", "plant"]

Change = Callable[[bytes, random.Random], tuple[bytes, str]]
KINDS = ("wires", "ROM bits", "table bits", "tie rules")


@dataclass
class Campaign:
    """Faults of one kind: how many were planted and found; `missed`: the others in words."""

    kind: str
    planted: int = 0
    found: int = 0
    missed: list[str] = field(default_factory=list)

    def add(self, found: bool, what: str) -> None:
        self.planted += 1
        self.found += found
        if not found:
            self.missed.append(what)


def plant(
    build: Build,
    count: int,
    folder: Path,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Campaign]:
    """`count` random faults of each kind in turn (`KINDS`), each alone, in copies in memory; the build stays as it is.

    Wires and bits are looked for by reading the changed text as `verify --static` does; hashes of the manifest, which
    would betray any change, are not asked. Ties are looked for by simulation in `folder`. Raises `UserError` where the
    build does not pass without a fault.
    """
    build.require_chip()
    reader, rng = Reader(build), random.Random(seed)

    @cache
    def cell(name: str) -> NeuronCell:
        return read_neuron(reader.hierarchy.prefab[f"{name}.v"])

    readings = list(reader.readings())
    tables = [r for r in readings if r.what == "table"]
    roms = [r for r in readings if r.file.startswith("rtl/constants/") and r.what != "table"]
    arrays = [reader.arrays.source.value.reading(facts) for facts in build.arrays]

    @cache
    def unit(name: str) -> MacUnit:
        return read_mac(reader.hierarchy.prefab[f"{name}.v"])

    static: list[tuple[list[Reading], Change]]
    static = [(arrays, partial(_wire, cell, unit)), (roms, flip_rom_bit), (tables, flip_rom_bit)]
    campaigns = []
    for number, (places, change) in enumerate(static):
        progress(number, len(KINDS))
        campaigns.append(_plant_static(KINDS[number], build, places, change, count, rng))
    progress(len(static), len(KINDS))
    campaigns.append(Campaign(KINDS[-1]))
    for found, what in plant_ties(reader.checkpoint.model, build.hardware, count, folder, seed):
        campaigns[-1].add(found, what)
    progress(len(KINDS), len(KINDS))
    return campaigns


def _wire(
    cell: Callable[[str], NeuronCell], unit: Callable[[str], MacUnit], text: bytes, rng: random.Random
) -> tuple[bytes, str]:
    return change_wire(text, cell, unit, rng)


def _plant_static(
    kind: str, build: Build, readings: Sequence[Reading], change: Change, count: int, rng: random.Random
) -> Campaign:
    """`count` faults over the files of `readings`; only the changed file is read again."""
    campaign = Campaign(kind)
    chosen = Counter(rng.choices(range(len(readings)), k=count))
    for number, faults in sorted(chosen.items()):
        reading = readings[number]
        text = build.read(reading.file)
        if _differs(reading, text):
            raise UserError(f"{build.path / reading.file}: is wrong without a fault; see `hardloom verify --static`")
        for _ in range(faults):
            changed, what = change(text, rng)
            campaign.add(_differs(reading, changed), f"{reading.file}: {what}")
    return campaign


def _differs(reading: Reading, text: bytes) -> bool:
    """Whether the static check says that `text` is not as it should be."""
    return reading.compare([text]).first is not None
