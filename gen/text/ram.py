"""The family of memories `hardloom_ram_1r1w`: a prefabricated module for each geometry, which its name tells."""

import re
from dataclasses import dataclass
from typing import Self

from hardloom.gen.text.constant_module import index_width
from hardloom.gen.text.templates import render

__all__ = ["RamGeometry", "is_ram", "ram_texts", "with_rams"]

FAMILY = "hardloom_ram_1r1w"

MODULE = re.compile(rf"{FAMILY}_([1-9]\d*)x([1-9]\d*)(?:_w([1-9]\d*))?")
USED = re.compile(rf"\b{MODULE.pattern}(?= \w+ \()")


@dataclass(frozen=True, order=True)
class RamGeometry:
    """One memory of the family: `depth` words of `width` bits; `write_width` bits of a word are written at once."""

    depth: int
    width: int
    write_width: int

    @classmethod
    def of(cls, module: str) -> Self:
        """That of a module of the family. Raises ValueError where it is none."""
        found = MODULE.fullmatch(module)
        if found is None:
            raise ValueError(f"{module} is no memory of the family {FAMILY}")
        depth, width, write_width = (int(part) if part else None for part in found.groups())
        assert depth is not None and width is not None
        return cls(depth, width, write_width or width)

    @property
    def parts(self) -> int:
        """Parts of a word that can be written apart, and so bits of the write mask; without one where it is 1."""
        return self.width // self.write_width

    @property
    def module(self) -> str:
        return f"{FAMILY}_{self.depth}x{self.width}" + (f"_w{self.write_width}" if self.parts > 1 else "")

    def verilog(self) -> str:
        names = {"name": self.module, "depth": self.depth, "width": self.width, "parts": self.parts}
        return render(FAMILY, names | {"address_width": index_width(self.depth)})


def is_ram(module: str) -> bool:
    """Whether `module` is one of the family."""
    return MODULE.fullmatch(module) is not None


def ram_texts(verilog: str) -> dict[str, str]:
    """Verilog of every memory of the family that `verilog` instantiates, by module."""
    modules = sorted({match[0] for match in USED.finditer(verilog)})
    return {module: RamGeometry.of(module).verilog() for module in modules}


def with_rams(verilog: str) -> str:
    """`verilog` and behind it every memory of the family that it instantiates."""
    return "\n".join([verilog, *ram_texts(verilog).values()])
