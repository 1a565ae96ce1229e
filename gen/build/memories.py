"""The memories of a chip by geometry, as the manifest lists them: what SRAM macros would stand for."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hardloom.gen.text.prefix import prefixed, unprefixed
from hardloom.gen.text.ram import RamGeometry, is_ram

__all__ = ["MemoryFacts", "memories_of"]

INSTANCE = re.compile(r"^  (\w+) \w+ \($", re.MULTILINE)


@dataclass(frozen=True)
class MemoryFacts:
    """Memories of one geometry; count: how many of them the chip has; module_prefix: of their module, as of all."""

    geometry: RamGeometry
    count: int
    module_prefix: str

    @property
    def module(self) -> str:
        return prefixed(self.geometry.module, self.module_prefix)

    @classmethod
    def from_json(cls, values: dict[str, Any], module_prefix: str) -> Self:
        """From what `to_json` gave. Raises KeyError or ValueError where it is something else."""
        facts = cls(RamGeometry.of(unprefixed(values["module"], module_prefix)), values["count"], module_prefix)
        if type(facts.count) is not int or facts.count < 1 or facts.to_json() != values:
            raise ValueError(f"the facts of {values['module']} are those of another memory")
        return facts

    def to_json(self) -> dict[str, Any]:
        return {"module": self.module, **vars(self.geometry), "count": self.count}


def memories_of(folder: Path, files: Iterable[str], top: str, module_prefix: str) -> tuple[MemoryFacts, ...]:
    """Of the chip `top`, whose units are among `files` in `folder`; counted from `top` down."""
    units = {Path(name).stem: folder / name for name in files if name.startswith("rtl/units/")}
    texts = {module: path.read_text(encoding="utf-8", errors="replace") for module, path in units.items()}
    inside = {module: Counter(INSTANCE.findall(text)) for module, text in texts.items()}

    def below(module: str) -> Counter[str]:
        counts = Counter({name: count for name, count in inside[module].items() if name not in inside})
        for name, count in inside[module].items():
            if name in inside:
                counts.update({part: count * number for part, number in below(name).items()})
        return counts

    counts = {unprefixed(name, module_prefix): count for name, count in below(top).items()}
    memories = {RamGeometry.of(name): count for name, count in counts.items() if is_ram(name)}
    return tuple(MemoryFacts(geometry, count, module_prefix) for geometry, count in sorted(memories.items()))
