"""Reads every weight back out of an array's connection file, fast, knowing nothing of the emitter.

The whole text must be what an array is made of: a changed character outside the slots is an error, a changed wire is an
error or a changed weight. Which reader reads the cells, the shell says: `metal.py`, `cell.py`, or `serial.py` with
`rom.py` or `shared.py` for the pins of its units.
"""

from collections.abc import Mapping

import numpy as np

from verif.extract.cell import read_cell
from verif.extract.errors import ExtractionError
from verif.extract.instances import instances
from verif.extract.metal import read_metal
from verif.extract.ports import HEAD, read_ports
from verif.extract.serial import read_serial

__all__ = ["read_array"]


def read_array(text: bytes | str, prefab: Mapping[str, str]) -> np.ndarray:
    """Weights of the array in `text`: int32 [banks, rows, inputs].

    prefab: texts of prefabricated files by name, of which the neuron cell is read.
    Raises ExtractionError where the text is not a whole and sound array: wires that do not exist, slots too many or too
    few, two inputs of one slice in a line, rows missing or chained wrongly.
    """
    data = text.encode() if isinstance(text, str) else text
    shell = next(instances(data), None)
    head = HEAD.fullmatch(data[: shell.begin].decode()) if shell else None
    if shell is None or head is None or shell.name != "shell" or data[shell.stop : shell.stop + 1] != b"\n":
        raise ExtractionError("the text does not start like an array module")
    if shell.module.startswith("array_shell_serial_"):
        return read_serial(head, shell, prefab)
    ports = read_ports(head, shell)
    read = read_metal if ports.style == "metal" else read_cell
    weights, end = read(data, shell.stop + 1, ports, prefab)
    lanes = [ports.wire(bank, lane) for bank in range(ports.banks) for lane in range(ports.lanes)]
    if b" ".join(data[end:].split()).decode() != f"assign out_data = {{{', '.join(lanes[::-1])}}}; endmodule":
        raise ExtractionError(f"{ports.name}: its end is malformed, or out_data is not the first neurons")
    return weights
