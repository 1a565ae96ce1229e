"""Reads the rows of style `cell`: a sum of shifted inputs each, written as an expression."""

import re
from collections.abc import Mapping

import numpy as np

from verif.extract.errors import ExtractionError
from verif.extract.ports import ArrayPorts

__all__ = ["read_cell"]

ROW = re.compile(
    rb"    always @\(posedge core_clk\)\n        if \(!take\) (\w+) <= ([^;]*);\n        else (\w+) <= ([^;]*);\n"
)
TERM = re.compile(rb" ([+-]) (?:x(\d+)|\(x(\d+) <<< (\d+)\))")


def read_cell(data: bytes, start: int, ports: ArrayPorts, prefab: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """Weights of the cells from `start` on, int32 [banks, rows, inputs], and where they end.

    Raises ExtractionError where a row is missing, malformed, chained wrongly, or sums what does not exist.
    """
    weights = np.zeros((ports.banks, ports.rows, ports.inputs), dtype=np.int32)
    end = start
    zero = f"{ports.acc_width}'sd0".encode()
    for bank, row in np.ndindex(ports.banks, ports.rows):
        match = ROW.match(data, end)
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
            weights[bank, row, int(plain or shifted)] += (1 if sign == b"+" else -1) << int(shift or 0)
        end = match.end()
    return weights, end
