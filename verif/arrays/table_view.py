"""The table view of a hardwired array: ports and cycles of style `metal`, weights in a memory; quick to compile.

What goes into the memory is read back from the emitted text of the wiring view (`verif.extract`), so that both views
hold the same weights by construction. The bench of `verif.arrays.bench` runs on either.
"""

from pathlib import Path

import numpy as np

from gen.arrays.ports import stream_names
from gen.text.templates import render
from golden.units.quantize import Quantize

__all__ = ["write_table_view"]

DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def write_table_view(
    folder: Path, name: str, weights: np.ndarray, lanes: int, slices: int, acc_width: int, activation: Quantize
) -> tuple[Path, Path]:
    """Write `name`.v and the memory that it reads, `name`.hex, into `folder`, in which the simulation must run.

    weights: integers [banks, rows, inputs]; slices, acc_width, activation: of the array in style `metal`.
    Returns the paths.
    """
    banks, rows, inputs = weights.shape
    beats = -(-rows // lanes)
    padded = np.zeros((banks, beats * lanes, inputs), dtype=np.int64)  # beats behind the last row are 0
    padded[:, :rows] = weights
    bits = 1 + int(np.abs(padded).max()).bit_length()
    names = stream_names(inputs, rows, lanes, activation) | {
        "name": name,
        "table": f"{name}.hex",
        "banks": banks,
        "rows": banks * beats * lanes,
        "slices": slices,
        "step_bits": (activation.width * slices).bit_length(),
        "acc_width": acc_width,
        "weight_bits": bits,
    }
    text, table = folder / f"{name}.v", folder / f"{name}.hex"
    text.write_text(render("array_table", names))
    table.write_bytes(hexadecimal(padded.ravel(), bits))
    return text, table


def hexadecimal(values: np.ndarray, bits: int) -> bytes:
    """Integers as two's complement of `bits` bits, a line each."""
    shifts = np.arange(4 * (-(-bits // 4) - 1), -1, -4)
    digits = (values[:, None] & ((1 << bits) - 1)) >> shifts & 15
    lines = np.full((len(values), len(shifts) + 1), ord("\n"), dtype=np.uint8)
    lines[:, :-1] = DIGITS[digits]
    return lines.tobytes()
