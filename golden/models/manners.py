"""Manners of passes as tensors, for models of any kind of arithmetic."""

from collections.abc import Sequence

import torch
from torch import Tensor

from golden.samplers.manner import Manner

__all__ = ["suppressed_tokens"]


def suppressed_tokens(manners: Sequence[Manner] | None, vocab_size: int) -> Tensor | None:
    """Which tokens each row does not predict, bool [rows, vocab_size]; None where no row suppresses any."""
    if not any(manner.suppressed for manner in manners or ()):
        return None
    off = torch.zeros(len(manners or ()), vocab_size, dtype=torch.bool)
    for row, manner in enumerate(manners or ()):
        off[row, [token for token in manner.suppressed if token < vocab_size]] = True
    return off
