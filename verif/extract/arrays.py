"""Reads every weight back out of an array's connection file, fast, knowing nothing of the emitter.

The whole text must be what an array is made of: a changed character outside the slots is an error, a changed wire is an
error or a changed weight. Which reader reads the cells, the shell says: `metal.py`, `cell.py`, or `serial.py` with
`rom.py` or `shared.py` for the pins of its units.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from hardloom.verif.extract.cell import read_cell
from hardloom.verif.extract.comments import check_comments
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import instances
from hardloom.verif.extract.metal import read_metal
from hardloom.verif.extract.ports import HEAD, ArrayPorts, read_ports
from hardloom.verif.extract.prefab import Prefab
from hardloom.verif.extract.serial import SerialArray, serial_array
from hardloom.verif.extract.window import Window

__all__ = ["ArrayRows", "read_array"]


class ArrayRows:
    """The rows of the array whose text `pieces` are, bank after bank, read as they are asked for.

    prefab: texts of prefabricated files by name, of which the neuron cell is read.
    Making one and iterating raise ExtractionError where the text is not a whole and sound array: wires that do not
    exist, slots too many or too few, two inputs of one slice in a line, rows missing or chained wrongly.

    Attributes
    ----------
    name: of the module. shape: banks, rows of a bank, inputs. width: bits of an input; scale_width: of its packet's
        scale; acc_width: of a result. kind: of its shell, `metal`, `cell` or `serial`.
    lanes: elements of a beat, and of each bank in a beat of results; slices: parts of the inputs, 1 of kind `cell`.
    shell: its module. modules: prefabricated ones that it instantiates, the shell among them, as far as it is read.
    """

    def __init__(self, pieces: Iterable[bytes], prefab: Mapping[str, str]) -> None:
        self._window, self._prefab = Window(pieces), Prefab(prefab)
        while (shell := next(instances(self._window.data), None)) is None and self._window.grow():
            pass
        head = HEAD.fullmatch(self._window.data[: shell.begin].decode()) if shell else None
        if shell is None or head is None or shell.name != "shell" or shell.text[shell.stop : shell.stop + 1] != b"\n":
            raise ExtractionError("the text does not start like an array module")
        check_comments(head["comments"])
        self._start, self.shell = shell.stop + 1, shell.module
        serial = "array_shell_serial_" in shell.module
        self._array: SerialArray | ArrayPorts = (
            serial_array(head, shell, self._window, self._prefab) if serial else read_ports(head, shell)
        )
        self.name = self._array.name
        self.shape = self._array.banks, self._array.rows, self._array.inputs
        self.width, self.scale_width = self._array.width, int(head["scale"]) + 1
        self.lanes, self.slices = self._array.lanes, self._array.slices
        self.kind = self._array.style if isinstance(self._array, ArrayPorts) else "serial"
        self.acc_width = self._array.acc_width

    @property
    def modules(self) -> set[str]:
        return {self.shell, *self._prefab.asked}

    def __iter__(self) -> Iterator[np.ndarray]:
        """Consecutive rows, int32 [n, inputs], some at a time; once."""
        array, window = self._array, self._window
        if isinstance(array, SerialArray):
            end = yield from array.read()
        else:
            read = read_metal if array.style == "metal" else read_cell
            end = yield from read(window, self._start, array, self._prefab)
        lanes = [array.wire(bank, lane) for bank in range(array.banks) for lane in range(array.lanes)]
        if b" ".join(window.rest(end).split()).decode() != f"assign out_data = {{{', '.join(lanes[::-1])}}}; endmodule":
            raise ExtractionError(f"{array.name}: its end is malformed, or out_data is not the first neurons")


def read_array(text: bytes | str, prefab: Mapping[str, str]) -> np.ndarray:
    """Weights of the array in `text`: int32 [banks, rows, inputs]; else as `ArrayRows`."""
    rows = ArrayRows([text.encode() if isinstance(text, str) else text], prefab)
    return np.concatenate(list(rows)).reshape(rows.shape)
