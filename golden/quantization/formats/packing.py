"""Codes of a few bits as bytes: one code behind the other, from the lowest bit of a row's first byte on."""

from functools import reduce
from math import gcd

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["pack_codes", "packed_bytes", "unpack_codes"]


def packed_bytes(cols: int, bits: int) -> int:
    """Bytes of a row of `cols` codes."""
    return -(-cols * bits // 8)


def pack_codes(codes: Tensor, bits: int) -> Tensor:
    """Codes of `bits` bits, uint8 [..., cols], to uint8 [..., `packed_bytes`].

    Bit b of code k is bit `bits` * k + b of the row, which is bit n % 8 of byte n // 8; the last byte is filled with 0.
    """
    if bits == 8:
        return codes
    cols, group = codes.shape[-1], 8 // gcd(8, bits)  # a group of codes fills whole bytes
    parts = pad(codes, (0, -cols % group)).unflatten(-1, (-1, group)).unbind(-1)
    packed = [_joined(parts, bits, 8 * byte, 8) for byte in range(group * bits // 8)]
    return torch.stack(packed, dim=-1).flatten(-2)[..., : packed_bytes(cols, bits)].contiguous()


def unpack_codes(packed: Tensor, cols: int, bits: int) -> Tensor:
    """The inverse of `pack_codes`: uint8 [..., cols]."""
    if bits == 8:
        return packed
    group = 8 // gcd(8, bits)
    size = group * bits // 8
    parts = pad(packed, (0, -packed.shape[-1] % size)).unflatten(-1, (-1, size)).unbind(-1)
    codes = [_joined(parts, 8, bits * code, bits) & ((1 << bits) - 1) for code in range(group)]
    return torch.stack(codes, dim=-1).flatten(-2)[..., :cols].contiguous()


def _joined(parts: tuple[Tensor, ...], width: int, start: int, count: int) -> Tensor:
    """Bits `start` to `start + count` of a string of `parts`, of `width` bits each, in the low bits of a byte."""
    places = [(part, width * number - start) for number, part in enumerate(parts)]
    moved = [part << place if place >= 0 else part >> -place for part, place in places if -width < place < count]
    return reduce(torch.bitwise_or, moved)
