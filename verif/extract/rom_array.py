"""Reads every weight back out of the connection file of a rom array, knowing nothing of the emitter."""

import re
from collections.abc import Mapping

import numpy as np

from verif.extract.errors import ExtractionError
from verif.extract.prefab import one_line, read_prefab
from verif.extract.rom_unit import RomUnit, read_rom_unit

__all__ = ["read_rom_array"]

SHELL = re.compile(r"array_shell_rom_i(\d+)_r(\d+)_l(\d+)_t(\d+)_f(\d+)_x(\d+(?:_\d+)*)")
UNIT = re.compile(rb"    (\w+) mac_(\d+)_(\d+) \(core_clk, drain, ([^,]*), (\w+), xs((?:, x\d+)+),([^)x]*)\);\n")
STREAM = "clk, rst, in_valid, in_ready, in_data, in_scale, in_last, out_valid, out_ready, out_scale, out_last"


def read_rom_array(head: re.Match, data: bytes, start: int, prefab: Mapping[str, str]) -> np.ndarray:
    """Weights of the array whose ports are in ``head`` and whose units begin at ``start``: int32 [banks, rows, inputs].

    Raises ExtractionError where the text is not a whole and sound array, or an address line is in two nodes of a group.
    """
    name, shell = head["name"], SHELL.fullmatch(head["shell"])
    matches, at = [], start
    while match := UNIT.match(data, at):
        matches.append(match)
        at = match.end()
    if shell is None or not matches:
        raise ExtractionError(f"{name}: its shell or its first unit is malformed")
    inputs, rows, lanes, slices, fold = (int(number) for number in shell.groups()[:5])
    unit = read_prefab(name, "unit", matches[0][1].decode(), prefab, read_rom_unit)
    width = _width(name, unit, prefab)
    ranks = -(-rows // (lanes * unit.fold))
    banks = (int(head["out"]) + 1) // (lanes * width)
    columns = unit.values.shape[1]
    wires = [f"m_{b}_{u}" for b in range(banks) for u in range(ranks * lanes)]
    odds = tuple(map(int, shell[6].split("_")))
    if (fold, odds, columns * slices) != (unit.fold, unit.odds, inputs * fold) or len(matches) != len(wires):
        raise ExtractionError(f"{name}: its units do not fit its shell, or some are missing or too many")
    _check_head(head, unit, slices, (banks, lanes, width), wires)
    ends = [f"m_{b}_{lane}" for b in range(banks) for lane in range(lanes)]
    if b" ".join(data[at:].split()).decode() != f"assign out_data = {{{', '.join(ends[::-1])}}}; endmodule":
        raise ExtractionError(f"{name}: its end is malformed, or out_data is not the first units")
    weights = np.zeros((banks * ranks * lanes, columns, slices), dtype=np.int32)
    for number, match in enumerate(matches):
        bank, place = divmod(number, ranks * lanes)
        chain = f"m_{bank}_{place + lanes}" if place + lanes < ranks * lanes else f"{width}'d0"
        pins = "".join(f", x{odd}" for odd in unit.odds)
        want = (unit.name, str(bank), str(place), chain, wires[number], pins)
        if tuple(part.decode() for part in match.groups()[:6]) != want:
            raise ExtractionError(f"{name}: unit {place} of bank {bank} is connected wrongly")
        weights[number] = _columns(name, match[7], unit, slices)
    return _rows(name, weights.reshape(banks, ranks, lanes, columns, slices), unit.fold, rows)


def _width(name: str, unit: RomUnit, prefab: Mapping[str, str]) -> int:
    """Bits of an accumulator."""
    return int(re.search(r"\[(\d+):0\] chain", prefab[f"{unit.name}.v"])[1]) + 1


def _check_head(head: re.Match, unit: RomUnit, slices: int, shape: tuple[int, int, int], wires: list[str]) -> None:
    """Declarations and the pins of the shell, all of which follow from the geometry; shape: banks, lanes, width."""
    columns, (banks, lanes, width) = unit.values.shape[1], shape
    lines = ", ".join(f"a{i}" for i in range(slices))
    odds = [(f"x{odd}", columns * (127 * odd).bit_length()) for odd in unit.odds]
    local = f"wire core_clk, drain; wire [{columns - 1}:0] xs; "
    local += " ".join(f"wire [{bits - 1}:0] {odd};" for odd, bits in odds)
    local += f" wire {lines}; wire [{width - 1}:0] {', '.join(wires)};"
    pins = f"{STREAM}, core_clk, drain, xs, {', '.join(odd for odd, _ in odds)}, {lines}"
    sound = one_line(head["body"]) == local and " ".join(head["pins"].split()) == pins
    if not sound or (int(head["out"]) + 1, int(head["in"]) + 1) != (banks * lanes * width, 8 * lanes):
        raise ExtractionError(f"{head['name']}: its declarations, ports or the pins of its shell are malformed")


def _columns(name: str, text: bytes, unit: RomUnit, slices: int) -> np.ndarray:
    """Weights [columns, slices] from the pins of one unit's nodes."""
    code = np.frombuffer(text.translate(None, b" \n") + b",", dtype=np.uint8)
    ends = np.flatnonzero((code == ord(",")) | (code == ord("|")))
    starts = np.concatenate([[0], ends[:-1] + 1])
    length = ends - starts
    node = np.cumsum(code[ends] == ord(",")) - (code[ends] == ord(","))
    if node[-1] != len(unit.groups) - 1 or (length < 2).any():
        raise ExtractionError(f"{name}: a unit does not have {len(unit.groups)} nodes")
    wired = code[starts] == ord("a")
    tie = np.frombuffer(b"1'b0", dtype=np.uint8)
    loose = starts[~wired]
    sound = (length[~wired] == 4).all() and (code[loose[:, None] + np.arange(4)] == tie).all()
    starts, length, node = starts[wired], length[wired], node[wired]
    address = np.zeros(len(starts), dtype=np.int64)
    for place in range(1, int(length.max(initial=1))):
        here = np.flatnonzero(length > place)
        digit = code[starts[here] + place] - np.int64(ord("0"))
        sound &= bool(((digit >= 0) & (digit <= 9)).all())
        sound &= place > 1 or bool(((digit > 0) | (length[here] == 2)).all())
        address[here] = address[here] * 10 + digit
    if not sound or (address >= slices).any():
        raise ExtractionError(f"{name}: a node holds neither address lines below {slices} nor 1'b0")
    taken = unit.groups[node] * slices + address
    if len(np.unique(taken)) != len(taken):
        raise ExtractionError(f"{name}: an address line is in two nodes of a group, where their weights would mix")
    columns = np.zeros((unit.values.shape[1], slices), dtype=np.int32)
    for column, values in enumerate(unit.values.T):
        columns[column, address[values[node] != 0]] = values[node][values[node] != 0]
    return columns


def _rows(name: str, units: np.ndarray, fold: int, rows: int) -> np.ndarray:
    """Units [banks, ranks, lanes, columns, addresses] to rows: at address t a unit multiplies inputs columns * (t //
    fold) and on, for the neuron that leaves as the (t % fold)th of its ring."""
    banks, ranks, lanes, columns, slices = units.shape
    parts = units.reshape(banks, ranks, lanes, columns, slices // fold, fold)
    weights = parts.transpose(0, 1, 5, 2, 4, 3).reshape(banks, ranks * fold * lanes, columns * slices // fold)
    if weights[:, rows:].any():
        raise ExtractionError(f"{name}: a neuron behind the last row has weights")
    return np.ascontiguousarray(weights[:, :rows])
