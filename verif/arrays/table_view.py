"""The table view of a hardwired array: ports and cycles of style `metal`, weights in a file, quick to compile.

What goes into the file is read back from the emitted text of the wiring view (`verif.extract`), so that both views
hold the same weights by construction. The bench of `verif.arrays.bench` runs on either. All arrays of one geometry are
instances of one module, which calls `TABLES` to multiply.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardloom.gen.arrays.ports import PORTS, port_lines, port_widths
from hardloom.gen.arrays.shells import CLOCK_GATE, stream_names
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.text.prefix import prefixed
from hardloom.gen.text.templates import render
from hardloom.golden.files import write_file
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.quantize import Quantize

__all__ = ["TABLES", "TableView", "table_views", "write_weights"]

TABLES = Path(__file__).parent / "tables.cpp"
"""C++ that the simulation of a table view is linked with."""


@dataclass(frozen=True)
class TableView:
    """The geometry of an array: slices, acc_width, activation as in the array's plan, in style metal or packed.

    module_prefix: of all modules of its chip.
    """

    banks: int
    rows: int
    inputs: int
    lanes: int
    slices: int
    acc_width: int
    activation: Quantize
    module_prefix: str = ""

    @classmethod
    def of(cls, facts: ArrayFacts, numerics: Numerics, lanes: int) -> "TableView":
        """Of an array of a build."""
        shape = len(facts.matrices), facts.rows, facts.inputs
        return cls(*shape, lanes, facts.slices, facts.acc_width, facts.activation(numerics), facts.module_prefix)

    @property
    def module(self) -> str:
        """Verilog module of all arrays of this geometry."""
        shape = f"{self.banks}x{self.rows}x{self.inputs}_l{self.lanes}_t{self.slices}_a{self.acc_width}"
        made = f"b{self.activation.width}e{self.activation.scale_width}"
        return prefixed(f"array_table_{shape}_{made}", self.module_prefix)

    @property
    def widths(self) -> dict[str, int]:
        """Bits of its ports that are vectors."""
        return port_widths(self.activation, self.lanes, self.banks, self.acc_width)

    def verilog(self) -> str:
        """Text of `module`, whose parameter FILE names what `write_weights` wrote."""
        steps = self.activation.width * self.slices
        widths = self.activation.width, self.activation.scale_width
        names = stream_names(self.inputs, self.rows, self.lanes, *widths) | {
            "name": self.module,
            "clock_gate": prefixed(CLOCK_GATE.module, self.module_prefix),
            "banks": self.banks,
            "rows": self.rows,
            "slices": self.slices,
            "step_bits": steps.bit_length(),
            "acc_width": self.acc_width,
        }
        return render("array_table", names)

    def array(self, name: str, file: str) -> str:
        """Text of array module `name`: an instance of `module` with the weights of `file`."""
        ports, pins = port_lines(self.widths), ", ".join(f".{pin}({pin})" for pin in PORTS)
        return f'module {name} (\n{ports}\n);\n    {self.module} #("{file}") table_ ({pins});\nendmodule\n'


def table_views(arrays: Mapping[str, TableView], folder: str = "") -> str:
    """Verilog of arrays by name, for Verilator and with `TABLES`; the weights of array NAME are in `folder`NAME.bin."""
    modules = {view.module: view for view in arrays.values()}
    texts = [view.verilog() for view in modules.values()]
    return "\n".join([*texts, *(view.array(name, f"{folder}{name}.bin") for name, view in arrays.items())])


def write_weights(path: Path, rows: Iterable[np.ndarray]) -> None:
    """Write the weights of a table view to `path`: little-endian integers, of 16 bits where they suffice, else of 32.

    rows: consecutive rows, integers [n, inputs], bank after bank, some at a time; iterated again where 16 bits do not
    suffice.
    """
    try:
        write_file(path, _packed(rows, "<i2"))
    except OverflowError:
        write_file(path, _packed(rows, "<i4"))


def _packed(rows: Iterable[np.ndarray], kind: str) -> Iterator[bytes]:
    """Raises OverflowError where an integer does not fit."""
    limits = np.iinfo(kind)
    for block in rows:
        if block.size and not limits.min <= block.min() <= block.max() <= limits.max:
            raise OverflowError
        yield block.astype(kind).tobytes()
