"""Reads the neuron cells of styles `metal` and `packed`: in which slot of which cell an input's wire is.

What a wire in a slot is worth, the cell's own text says (`verif.extract.neuron`).
"""

from collections.abc import Generator, Mapping

import numpy as np

from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import instance_at
from hardloom.verif.extract.neuron import CONTROL, NeuronCell, read_neuron
from hardloom.verif.extract.ports import ArrayPorts
from hardloom.verif.extract.prefab import read_prefab
from hardloom.verif.extract.slots import FAULTS, read_slots
from hardloom.verif.extract.window import Window

__all__ = ["read_metal"]

CONTROLLED = {"clk": "core_clk"} | {port: port for port in ("clear", "drain", "shift", "negate")}


def read_metal(
    window: Window, start: int, ports: ArrayPorts, prefab: Mapping[str, str]
) -> Generator[np.ndarray, None, int]:
    """Weights of the cells from `start` on, int32 [rows, inputs], a rank of cells at a time; where they end.

    Raises ExtractionError where a cell is missing, malformed, chained wrongly, or has wires it cannot have.
    """
    end, cells = start, dict[str, NeuronCell]()
    slice_of = np.arange(ports.inputs * ports.fold, dtype=np.int32) % ports.slices
    ring = np.zeros((ports.inputs, ports.fold), dtype=np.int32)
    rank = np.zeros((ports.fold, ports.lanes, ports.inputs), dtype=np.int32)
    for bank, place in np.ndindex(ports.banks, ports.cells):
        end = window.hold(end, b");\n")
        neuron = instance_at(window.data, end)
        if neuron is None or neuron.name != f"neuron_{bank}_{place}":
            raise ExtractionError(f"{ports.name}: cell {place} of bank {bank} is missing or malformed")
        pins, slots = neuron.leading(CONTROL)
        if pins != CONTROLLED | {"chain": ports.wire(bank, place + ports.lanes), "acc": ports.wire(bank, place)}:
            raise ExtractionError(f"{ports.name}: cell {place} of bank {bank} is chained wrongly")
        if neuron.module not in cells:
            cells[neuron.module] = _neuron_cell(ports, neuron.module, prefab)
        cell, code = cells[neuron.module], np.frombuffer(window.data, dtype=np.uint8)
        end, fault = read_slots(code, slots, cell.values, slice_of, ports.slices, cell.most, ring)
        if fault or window.data[end : end + 2] != b";\n":
            what = FAULTS[fault].format(len(slice_of)) if fault else "its end is malformed"
            raise ExtractionError(f"{ports.name}: cell {place} of bank {bank}: {what}")
        end += 2
        lane = place % ports.lanes
        rank[:, lane] = ring.T
        if lane == ports.lanes - 1 or place == ports.cells - 1:
            yield _rows(ports, place // ports.lanes, rank)
            rank = np.zeros_like(rank)
    return end


def _rows(ports: ArrayPorts, number: int, rank: np.ndarray) -> np.ndarray:
    """The rows of rank `number` of cells, int32 [n, inputs]; rank: int32 [fold, lanes, inputs]."""
    rows = ports.rows - number * ports.lanes * ports.fold
    flat = rank.reshape(-1, ports.inputs)
    if flat[rows:].any():
        raise ExtractionError(f"{ports.name}: a neuron behind the last row has weights")
    return flat[:rows]


def _neuron_cell(ports: ArrayPorts, module: str, prefab: Mapping[str, str]) -> NeuronCell:
    """A neuron cell of an array, of whose turns, steps and widths it must be."""
    cell = read_prefab(ports.name, "neuron cell", module, prefab, read_neuron)
    wanted = (ports.slices, ports.fold, ports.width, ports.acc_width)
    if (cell.slices, cell.fold, cell.planes, cell.acc_width) != wanted:
        raise ExtractionError(f"{ports.name}: its neuron cell {module} does not fit its shell")
    return cell
