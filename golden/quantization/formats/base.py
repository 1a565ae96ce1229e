"""What every weight format is able to do."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from golden.quantization.integers import IntegerMatrix

__all__ = ["Format", "pack_codes", "unpack_codes"]


class Format(ABC):
    """Rules of one weight format: 4-bit codes, and scales that several of them share.

    Attributes
    ----------
    name: as on the command line
    largest: largest magnitude of an element, before scaling
    scale_dtype: torch dtype of the stored scales
    values: float32 [16], the element that each code stands for
    """

    name: str
    largest: float
    scale_dtype: torch.dtype
    values: Tensor

    @abstractmethod
    def quantize(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Finite float32 [..., rows, cols] to codes (uint8, same shape) and scales (`scale_shape`)."""

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

    def dequantize(self, codes: Tensor, scales: Tensor) -> Tensor:
        """Codes and scales to float32; exact (scales above 2^125, which `quantize` never makes, may give infinity)."""
        elements = self.values.to(codes.device).index_select(0, codes.int().flatten()).view(codes.shape)
        return elements * self.scale_values(scales, codes.shape[-1])


def pack_codes(codes: Tensor) -> Tensor:
    """4-bit codes uint8 [..., cols] two a byte, low nibble first: uint8 [..., ceil(cols / 2)], padded with code 0."""
    if codes.shape[-1] % 2:
        codes = torch.nn.functional.pad(codes, (0, 1))
    return codes[..., 0::2] | codes[..., 1::2] << 4


def unpack_codes(packed: Tensor, cols: int) -> Tensor:
    """The inverse of `pack_codes`: uint8 [..., cols]."""
    return torch.stack((packed & 15, packed >> 4), dim=-1).flatten(-2)[..., :cols].contiguous()
