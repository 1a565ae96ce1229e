"""Reads the rows of style `cell`: a sum of shifted inputs each, written as an expression."""

import re
from collections.abc import Generator, Mapping

import numpy as np

from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.ports import ArrayPorts
from hardloom.verif.extract.window import Window

__all__ = ["read_cell"]

ROW = re.compile(
    rb"    always @\(posedge core_clk\)\n        if \(!take\) (\w+) <= ([^;]*);\n        else (\w+) <= ([^;]*);\n"
)
TERM = re.compile(rb" ([+-]) (?:x(\d{1,9})|\(x(\d{1,9}) <<< (\d{1,2})\))")


MOST_SHIFT = 24
"""Weights have fewer bits."""


def read_cell(
    window: Window, start: int, ports: ArrayPorts, prefab: Mapping[str, str]
) -> Generator[np.ndarray, None, int]:
    """Weights of the rows from `start` on, int32 [1, inputs], a row at a time; where they end.

    Raises ExtractionError where a row is missing, malformed, chained wrongly, or sums what does not exist, or more than
    goes into its word.
    """
    end = start
    zero = f"{ports.acc_width}'sd0".encode()
    for bank, row in np.ndindex(ports.banks, ports.rows):
        weights = np.zeros((1, ports.inputs), dtype=np.int32)
        end = window.hold(end, b";\n    a")  # another row, or what is assigned behind the last
        match = ROW.match(window.data, end)
        if match is None:
            raise ExtractionError(f"{ports.name}: row {row} of bank {bank} is missing or malformed")
        acc, chain, again, total = match.groups()
        want = ports.wire(bank, row).encode()
        if (acc, again, chain.decode()) != (want, want, ports.wire(bank, row + ports.lanes)):
            raise ExtractionError(f"{ports.name}: row {row} of bank {bank} is chained wrongly")
        terms = TERM.findall(total)
        if not total.startswith(zero) or TERM.sub(b"", total[len(zero) :]):
            raise ExtractionError(f"{ports.name}: row {row} of bank {bank} sums something unknown")
        for sign, plain, shifted, shift in terms:
            if int(plain or shifted) >= ports.inputs:
                raise ExtractionError(f"{ports.name}: row {row} of bank {bank} sums an input that does not exist")
            if int(shift or 0) >= MOST_SHIFT:
                raise ExtractionError(f"{ports.name}: row {row} of bank {bank} shifts further than any weight")
            weights[0, int(plain or shifted)] += (1 if sign == b"+" else -1) << int(shift or 0)
        if ((1 << (ports.width - 1)) - 1) * int(np.abs(weights).sum(dtype=np.int64)) >> (ports.acc_width - 1):
            raise ExtractionError(f"{ports.name}: sums of a row do not go into {ports.acc_width} bits")
        end = match.end()
        yield weights
    return end
