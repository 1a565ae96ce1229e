"""A memory of a unit: an instance of a prefabricated module, for which an SRAM macro may stand."""

from amaranth.hdl import ClockSignal, Elaboratable, Instance, Shape, ShapeLike, Signal, Value

from hardloom.gen.text.constant_module import index_width
from hardloom.gen.text.ram import RamGeometry

__all__ = ["Ram"]


class Ram(Elaboratable):
    """`depth` words of `shape` in a module of the family `gen.text.ram`: one write port, one read port.

    Whatever a unit stores by address is one of these, however small; single words, and rings whose words move on at
    each step, are registers. A read takes one cycle, and what was read stays until the next read. No unit depends on a
    word that it reads and writes in the same cycle, or that it never wrote: both are undefined.

    Parameters
    ----------
    shape: of a word.
    depth: words, at least 1.
    parts: of a word, of equal width, that can be written apart.
    name: what the names of its signals start with, where a unit has several memories.

    Attributes
    ----------
    write_enable, write_address, write_data, write_mask (a bit a part; there where `parts` > 1): driven by the unit.
    read_enable, read_address: driven by the unit; read_data: the word last read.
    """

    def __init__(self, shape: ShapeLike, depth: int, parts: int = 1, name: str = "") -> None:
        prefix, width = f"{name}_" if name else "", Shape.cast(shape).width
        self.geometry = RamGeometry(depth, width, width // parts)
        address = index_width(depth)
        self.write_enable = Signal(name=f"{prefix}write_enable")
        self.write_address = Signal(address, name=f"{prefix}write_address")
        self.write_data = Signal(shape, name=f"{prefix}write_data")
        self.write_mask = Signal(parts, name=f"{prefix}write_mask")
        self.read_enable = Signal(name=f"{prefix}read_enable")
        self.read_address = Signal(address, name=f"{prefix}read_address")
        self.read_data = Signal(shape, name=f"{prefix}read_data")

    def elaborate(self, platform) -> Instance:
        mask = {"i_write_mask": self.write_mask} if self.geometry.parts > 1 else {}
        return Instance(
            self.geometry.module,
            i_clk=ClockSignal(),
            i_write_enable=self.write_enable,
            i_write_address=self.write_address,
            i_write_data=Value.cast(self.write_data),
            **mask,
            i_read_enable=self.read_enable,
            i_read_address=self.read_address,
            o_read_data=Value.cast(self.read_data),
        )
