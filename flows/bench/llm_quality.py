"""How far a model's predictions of a text are from those of the float model: perplexity and divergence."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.calibration.sensitivity import divergence
from hardloom.golden.models.float_model import FloatModel

__all__ = ["Quality", "Reference"]


@dataclass(frozen=True)
class Quality:
    """perplexity: of the text; divergence: mean KL from the float model, nats a token."""

    perplexity: float
    divergence: float


class Reference:
    """The float model's predictions of `sequences`, int64 [sequences, positions]: every token but the first.

    Attributes
    ----------
    perplexity: of the text; log_probabilities: float32 [positions - 1, vocabulary] a sequence.
    """

    def __init__(self, model: FloatModel, sequences: Tensor) -> None:
        self.sequences = sequences
        self.log_probabilities = [self.predicted(model, sequence) for sequence in sequences]
        nats = sum(map(loss, self.log_probabilities, sequences))
        self.perplexity = math.exp(nats / self.tokens)

    @property
    def tokens(self) -> int:
        return self.sequences[:, 1:].numel()

    @staticmethod
    @torch.inference_mode()
    def predicted(logits: Callable[[Tensor], Tensor], sequence: Tensor) -> Tensor:
        return logits(sequence[None])[0, :-1].float().log_softmax(-1)

    def compare(self, logits: Callable[[Tensor], Tensor]) -> Quality:
        """Another model; logits: tokens [1, positions] to float32 [1, positions, vocabulary]."""
        nats = divergent = 0.0
        for sequence, expected in zip(self.sequences, self.log_probabilities, strict=True):
            found = self.predicted(logits, sequence)
            nats += loss(found, sequence)
            divergent += divergence(expected, found)
        return Quality(math.exp(nats / self.tokens), divergent / self.tokens)


def loss(log_probabilities: Tensor, sequence: Tensor) -> float:
    """Negative log-likelihood of all tokens but the first, in nats."""
    return -float(log_probabilities.gather(-1, sequence[1:, None]).sum(dtype=torch.float64))
