"""A table of constants in units: an instance of a constant module, one for all units that have the same table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable, Instance, ShapeLike, Signal, Value

from hardloom.gen.text.constant_module import emit_constants, index_width
from hardloom.gen.text.provenance import digest

__all__ = ["ConstantTable", "is_table"]

PREFIX = "table_"


class ConstantTable(Elaboratable):
    """Words that a specification fixes, whatever the checkpoint is. Latency 0; an index past the last word gives 0.

    Parameters
    ----------
    name: what the table is of. shape: of a word.
    words: elements of each word, the lowest bits first. width: bits of an element, 1 to 63; signed: as it is.

    Attributes
    ----------
    module: its Verilog module, whose name tells its contents: `table_exp2_64x28_1f3a5c7e`.
    index: driven by the unit; data: the word.
    """

    def __init__(self, name: str, words: Sequence[Sequence[int]], width: int, signed: bool, shape: ShapeLike) -> None:
        self.words, self.width, self.signed = np.array(words, dtype=np.int64), width, signed
        depth, elements = self.words.shape
        self.module = f"{PREFIX}{name}_{depth}x{elements * width}_{digest(self.words)[:8]}"
        self.index = Signal(index_width(depth), name=f"{name}_index")
        self.data: Any = Signal(shape, name=f"{name}_data")

    def elaborate(self, platform) -> Instance:
        return Instance(self.module, i_index=self.index, o_data=Value.cast(self.data))

    def verilog(self) -> str:
        """Text of its module."""
        return b"".join(emit_constants(self.module, self.words, self.width, self.signed)).decode()


def is_table(module: str) -> bool:
    """Whether `module`, without a build's prefix, is a table's: no unit and no other constant is called so."""
    return module.startswith(PREFIX)
