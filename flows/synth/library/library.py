"""Cell libraries: what of them synthesis, timing and power need to know.

Yosys, ABC and OpenSTA read the files themselves; here they are checked before, and their cells are found by what they
do (a full adder, a clock gate), whatever their names are.
"""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from flows.synth.library.boolean import truth_table
from flows.synth.library.cells import default_liberty
from flows.synth.library.liberty import Group, parse_liberty
from golden.errors import UserError
from golden.files import write_file

__all__ = ["Cell", "Library", "read_library"]


@dataclass(frozen=True)
class Pin:
    """capacitance: in the library's unit; function: of the other pins, or of the state, as the library writes it."""

    name: str
    direction: str
    capacitance: float
    function: str


@dataclass(frozen=True)
class Cell:
    """area: in the library's unit; leakage: likewise; group: everything else that the file says."""

    name: str
    area: float
    leakage: float
    pins: tuple[Pin, ...]
    group: Group = field(repr=False, compare=False)

    @property
    def inputs(self) -> list[Pin]:
        return [pin for pin in self.pins if pin.direction == "input"]

    @property
    def outputs(self) -> list[Pin]:
        return [pin for pin in self.pins if pin.direction == "output"]

    @property
    def kind(self) -> str:
        """`flip-flop`, `latch`, `clock gate` or `gate`."""
        if "clock_gating_integrated_cell" in self.group.attributes:
            return "clock gate"
        kinds = {group.kind for group in self.group.groups}
        return "flip-flop" if "ff" in kinds else "latch" if "latch" in kinds else "gate"

    @property
    def usable(self) -> bool:
        return self.group.text("dont_use") != "true"

    def truth(self, inputs: Sequence[str]) -> dict[str, int]:
        """Truth table of every output over `inputs`, as `truth_table` gives it."""
        return {pin.name: truth_table(pin.function, inputs) for pin in self.outputs if pin.function}


@dataclass(frozen=True)
class Adder:
    """cell: name; inputs: its pins; outputs: `carry` or `carry_n` (inverted), `sum` or `sum_n`, to pins."""

    cell: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]


@dataclass(frozen=True)
class ClockGate:
    """cell: name; its pins; test: a scan enable that is tied low, if it has one."""

    cell: str
    clock: str
    enable: str
    output: str
    test: str | None


@dataclass(frozen=True)
class Latch:
    """cell: name; its pins; inverted: transparent while `enable` is low; output_n: the output is inverted."""

    cell: str
    data: str
    enable: str
    output: str
    inverted: bool
    output_n: bool


@dataclass(frozen=True)
class Library:
    """One or several Liberty files that belong together.

    Attributes
    ----------
    name: of the first file's library group.
    texts: Liberty text of every file.
    cells: by name.
    head: the first file's library group: its units.
    """

    name: str
    texts: tuple[str, ...] = field(repr=False)
    cells: dict[str, Cell] = field(repr=False)
    head: Group = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for text in self.texts:
            digest.update(hashlib.sha256(text.encode()).digest())
        return digest.hexdigest()

    def write(self, folder: Path) -> list[Path]:
        """The texts as plain files in `folder` (kept where they are there), for tools that read Liberty."""
        paths = [folder / f"{self.sha256[:16]}_{number}.lib" for number in range(len(self.texts))]
        for path, text in zip(paths, self.texts, strict=True):
            if not path.exists():
                write_file(path, text)
        return paths

    @cached_property
    def nand2(self) -> Cell:
        """The NAND2 whose area is 1 GE: the smallest."""
        found = [c for c in self._gates(2, 1) if set(c.truth([p.name for p in c.inputs]).values()) == {0b0111}]
        if not found:
            raise UserError(f"library {self.name}: it has no 2-input NAND; give all files that belong together")
        return min(found, key=lambda cell: (cell.area, cell.name))

    def _gates(self, inputs: int, outputs: int) -> list[Cell]:
        """Usable combinational cells whose outputs all have functions."""
        return [
            cell
            for cell in self.cells.values()
            if cell.kind == "gate" and cell.usable and (len(cell.inputs), len(cell.outputs)) == (inputs, outputs)
            and all(pin.function for pin in cell.outputs)
        ]  # fmt: skip

    @cached_property
    def full_adder(self) -> Adder | None:
        """The smallest full adder, or None."""
        carry, total = 0b11101000, 0b10010110
        roles = {carry: "carry", carry ^ 0xFF: "carry_n", total: "sum", total ^ 0xFF: "sum_n"}
        found = []
        for cell in self._gates(3, 2):
            inputs = tuple(pin.name for pin in cell.inputs)
            pins = {roles.get(table, ""): pin for pin, table in cell.truth(inputs).items()}
            if {role.removesuffix("_n") for role in pins} == {"carry", "sum"}:
                found.append((cell.area, cell.name, Adder(cell.name, inputs, pins)))
        return min(found, key=lambda item: item[:2])[-1] if found else None

    @cached_property
    def clock_gate(self) -> "ClockGate | None":
        """The smallest latch-based clock gate with an active-high output, or None."""
        found = []
        for cell in self.cells.values():
            if cell.kind != "clock gate" or not cell.group.text("clock_gating_integrated_cell").startswith(
                "latch_posedge"
            ):
                continue
            roles = {
                key: pin.args[0]
                for pin in cell.group.of("pin")
                for key in pin.attributes
                if key.startswith("clock_gate_")
            }
            if all(key in roles for key in ("clock_gate_clock_pin", "clock_gate_enable_pin", "clock_gate_out_pin")):
                test = roles.get("clock_gate_test_pin")
                gate = ClockGate(
                    cell.name,
                    roles["clock_gate_clock_pin"],
                    roles["clock_gate_enable_pin"],
                    roles["clock_gate_out_pin"],
                    test,
                )
                found.append((test is not None, cell.area, cell.name, gate))
        return min(found)[-1] if found else None

    @cached_property
    def latch(self) -> "Latch | None":
        """The smallest plain latch, or None."""
        found = []
        for cell in self.cells.values():
            states = list(cell.group.of("latch"))
            if cell.kind != "latch" or not states or len(cell.inputs) != 2 or not cell.outputs:
                continue
            enable, data, out = states[0].text("enable"), states[0].text("data_in"), cell.outputs[0]
            names = {pin.name for pin in cell.inputs}
            plain = enable.strip("!()' ")
            if {plain, data} == names and out.function in states[0].args:
                inverted = enable.startswith("!") or enable.endswith("'")
                latch = Latch(cell.name, data, plain, out.name, inverted, out.function == states[0].args[1])
                found.append((latch.inverted + latch.output_n, cell.area, cell.name, latch))
        return min(found)[-1] if found else None

    def check(self) -> None:
        """Raises UserError where synthesis would lack a kind of cell."""
        self.nand2  # noqa: B018
        if not any(cell.kind == "flip-flop" and cell.usable for cell in self.cells.values()):
            raise UserError(
                f"library {self.name}: it has no flip-flop; give the file with its flip-flops by another --liberty"
            )


def read_cell(group: Group) -> Cell:
    """Raises ValueError where the cell has no area or a pin's numbers are none."""
    pins = tuple(
        Pin(pin.args[0], pin.text("direction"), pin.number("capacitance"), pin.text("function"))
        for pin in group.of("pin")
        if pin.args
    )
    return Cell(group.args[0], group.number("area"), group.number("cell_leakage_power"), pins, group)


def read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8", "surrogateescape")
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise UserError(f"{path}: is no complete gzip file; give another --liberty") from error


def read_library(files: Sequence[Path] = ()) -> Library:
    """The library of `files` (plain or gzip), the embedded one by default.

    Raises UserError where a file is no Liberty library, or the whole lacks what every synthesis needs.
    """
    texts = [read_text(path) for path in files] or [default_liberty()]
    heads: list[Group] = []
    cells: dict[str, Cell] = {}
    for number, text in enumerate(texts):
        try:
            heads.append(parse_liberty(text))
            for group in heads[-1].of("cell"):
                cell = read_cell(group)
                cells.setdefault(cell.name, cell)
        except (ValueError, IndexError) as error:
            raise UserError(f"{files[number]}: is no Liberty library ({error}); give another --liberty") from error
    library = Library(" ".join(heads[0].args), tuple(texts), cells, heads[0])
    library.check()
    return library
