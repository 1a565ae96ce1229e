"""Pictures as files: the same bytes for the same picture, without a date or the version of Matplotlib."""

import io
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from hardloom.golden.files import write_file

__all__ = ["INK", "PAPER", "save", "save_png"]

matplotlib.use("Agg")  # no window, wherever it runs

INK, PAPER = "#1b1f24", "#ffffff"
METADATA = {".png": {"Software": None}, ".svg": {"Date": None}}


def save(figure: Figure, *paths: Path, dpi: int, svg_text: bool = False) -> None:
    """Write `figure` to every path, PNG or SVG by its suffix, and close it; svg_text: text stays text in an SVG."""
    rules: Any = {"svg.hashsalt": "hardloom", "svg.fonttype": "none" if svg_text else "path"}
    for path in paths:
        buffer = io.BytesIO()
        with plt.rc_context(rules):
            figure.savefig(buffer, format=path.suffix[1:], dpi=dpi, metadata=METADATA[path.suffix])
        write_file(path, buffer.getvalue())
    plt.close(figure)


def save_png(figure: Figure, path: Path, dpi: int) -> None:
    """Write `figure` as a PNG of 256 colours, a third of the bytes, and close it."""
    buffer, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(256).save(packed, format="png", optimize=True)
    write_file(path, packed.getvalue())
