"""What every weight format is able to do."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from hardloom.golden.quantization.integers import IntegerMatrix

__all__ = ["Format", "sum_of_squares"]


class Format(ABC):
    """Rules of one weight format: codes of a few bits, and scales that several of them share.

    Attributes
    ----------
    name: as on the command line
    bits: of a stored code: 4, 6 or 8
    largest: largest magnitude of an element, before scaling; units: the same as an integer, of the smallest magnitude
    block: neighbouring columns of a row that share a scale; None: all of them
    scale_dtype: torch dtype of the stored scales
    values: float32 [2^bits], the element that each code stands for
    """

    name: str
    bits: int
    largest: float
    units: int
    block: int | None
    scale_dtype: torch.dtype
    values: Tensor

    @abstractmethod
    def scales(self, w: Tensor) -> Tensor:
        """The scales (`scale_shape`) that finite float32 [..., rows, cols] gets."""

    @abstractmethod
    def encode(self, w: Tensor, scales: Tensor) -> Tensor:
        """Codes (uint8, shape of `w`) of the elements nearest to finite float32 `w` over `scales`, saturating."""

    @abstractmethod
    def scale_shape(self, rows: int, cols: int) -> tuple[int, ...]:
        """Shape of the scales of a matrix."""

    @abstractmethod
    def scale_values(self, scales: Tensor, cols: int) -> Tensor:
        """The scales as float32 that broadcasts with [..., rows, cols]."""

    @abstractmethod
    def integers(self, codes: Tensor, scales: Tensor) -> IntegerMatrix:
        """Codes [rows, cols] and scales as integers; `UserError` where the hardware cannot hold them."""

    @abstractmethod
    def problem(self, codes: Tensor, scales: Tensor) -> str | None:
        """What is invalid about codes and scales read from a file, or None."""

    def quantize(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Finite float32 [..., rows, cols] to codes (uint8, same shape) and scales (`scale_shape`)."""
        scales = self.scales(w)
        return self.encode(w, scales), scales

    def dequantize(self, codes: Tensor, scales: Tensor) -> Tensor:
        """Codes and scales to float32; exact (scales above 2^123, which `quantize` never makes, may give infinity)."""
        elements = self.values.to(codes.device).index_select(0, codes.int().flatten()).view(codes.shape)
        return elements * self.scale_values(scales, codes.shape[-1])


def sum_of_squares(x: Tensor) -> Tensor:
    """Of float32 [..., n] over the last dimension: halves are added up, so that the order never depends on the shape
    of the rest."""
    x = x.square()
    while (n := x.shape[-1]) > 1:
        half = (n + 1) // 2
        both = x[..., :half].clone()
        both[..., : n - half] += x[..., half:]
        x = both
    return x[..., 0]
