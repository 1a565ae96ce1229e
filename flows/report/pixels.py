"""Pictures of a pixel a value, within the page."""

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["picture", "shaded"]

COLOUR = (46, 120, 190)
"""Where a value is the largest; what is 0 is see-through, so that light and dark pages serve alike."""


def shaded(values: np.ndarray, most: float) -> str:
    """A picture of `values`, [rows, columns] from 0 to `most`, the more opaque the larger."""
    pixels = np.zeros((*values.shape, 4), np.uint8)
    pixels[..., :3] = COLOUR
    pixels[..., 3] = np.rint(255 * values / max(most, 1))
    return picture(pixels)


def picture(pixels: np.ndarray) -> str:
    """Pixels, uint8 [rows, columns, 4] of red, green, blue and opacity, as the address of a PNG that holds them."""
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
