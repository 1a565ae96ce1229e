"""The LLaDA sampler at temperature 0, one implementation for the float model, the integer model and the hardware.

The sequence is the prompt, in which no mask token may be, and `gen_length` mask tokens behind it, cut into blocks of
`block_length`, denoised block after block. In every step the engine predicts a token and its spread for the masked
positions of the current block, and some of them commit to their token, for good:

- by quota (`threshold` None): a block has s = steps / num_blocks steps; with m masked positions at its start, step i
  commits the m // s most confident ones, plus one while i < m % s. The mask token is a token like any other here: a
  position that commits to it stays masked.
- by threshold: every position whose probability exceeds `threshold` commits, or the most confident one if there is
  none. Positions that predict the mask token wait. `steps` does not count; a block takes at most `block_length`.

Spread is S = sum_j exp(l_j - l_max), the reciprocal of the predicted token's probability: smaller is more confident.
Ties go to the lowest position. A block ends early when nothing in it is masked, or when a step by threshold commits
nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from golden.errors import UserError

__all__ = ["Engine", "Prediction", "SamplerParams", "Step", "asked", "check_prompt", "choose", "denoise"]


@dataclass(frozen=True)
class SamplerParams:
    """What a run of the sampler is asked for; `steps` are those of the whole run, `threshold` a probability."""

    gen_length: int
    block_length: int
    steps: int
    threshold: float | None = None

    @property
    def num_blocks(self) -> int:
        return self.gen_length // self.block_length

    @property
    def block_steps(self) -> int:
        """The most steps that a block takes."""
        return self.steps // self.num_blocks if self.threshold is None else self.block_length

    def validate(self) -> None:
        """Raise `UserError` for values that make no sense."""
        for name in ("gen_length", "block_length", "steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; give a positive number")
        if self.gen_length % self.block_length:
            raise UserError(
                f"gen_length {self.gen_length} is no multiple of block_length {self.block_length}; change one of them"
            )
        if self.threshold is None and self.steps % self.num_blocks:
            raise UserError(
                f"steps {self.steps} is not a multiple of the {self.num_blocks} blocks (gen_length / block_length); "
                f"give {self.num_blocks} or a multiple of it"
            )
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UserError(f"threshold is {self.threshold}; give a probability above 0 and at most 1")


@dataclass(frozen=True)
class Prediction:
    """The most probable token of every position (ties to the lowest id), int64 [batch, positions], and its spread.

    `spread` is [batch, positions], float64 or int64 with 16 fraction bits, as the engine has it.
    """

    tokens: Tensor
    spread: Tensor

    def shifted(self, shift: int) -> "Prediction":
        """Each position by the logits `shift` positions before it; the first ones by the first logits."""
        if not shift:
            return self
        by = predictors(self.tokens.shape[1], shift)
        return Prediction(self.tokens[:, by], self.spread[:, by])


def predictors(positions: int, shift: int) -> Tensor:
    """The position whose logits predict each position, int64 [positions]."""
    return (torch.arange(positions) - shift).clamp(min=0)


def asked(wanted: Tensor, shift: int) -> Tensor:
    """Whose logits predict the positions that are `wanted`, bool [batch, positions] like these."""
    by = predictors(wanted.shape[1], shift)
    return torch.zeros(wanted.shape, dtype=torch.int64).index_add(1, by, wanted.long()) > 0


class Engine(Protocol):
    """Anything that predicts a whole sequence at once."""

    def predict(self, tokens: Tensor, wanted: Tensor | None = None) -> Prediction:
        """Token ids int64 [batch, positions] to a prediction of every position.

        wanted: bool [batch, positions], those that somebody looks at; the engine may say anything of others.
        """

    def spread_limit(self, threshold: float) -> float:
        """The spread, in the engine's units, below which a token's probability exceeds `threshold`."""


@dataclass(frozen=True)
class Step:
    """One denoising step.

    `tokens` int64 [batch, positions] after its commits, `committed` bool [batch, positions], and the prediction that
    they come from. `step` counts within the block.
    """

    block: int
    step: int
    tokens: Tensor
    committed: Tensor
    prediction: Prediction


def check_prompt(prompt: Tensor, mask_token_id: int) -> None:
    """Raise `UserError` where `prompt`, int64 of any shape, has the mask token: what is sent once serves many runs."""
    if (prompt == mask_token_id).any():
        raise UserError(
            f"the prompt has the mask token {mask_token_id}, which is filled in answers alone; give a prompt without it"
        )


def denoise(engine: Engine, prompt: Tensor, params: SamplerParams, mask_token_id: int) -> Iterator[Step]:
    """Yield every denoising step of `prompt`, int64 [batch, length]; the last one's `tokens` are the answer.

    Rows do not influence each other; a block ends when all rows are done with it. Raises `UserError` as
    `SamplerParams.validate` and `check_prompt` do.
    """
    params.validate()
    check_prompt(prompt, mask_token_id)
    tokens = torch.nn.functional.pad(prompt, (0, params.gen_length), value=mask_token_id)
    position = torch.arange(tokens.shape[1])
    for block in range(params.num_blocks):
        start = prompt.shape[1] + block * params.block_length
        inside = (position >= start) & (position < start + params.block_length)
        for step in range(params.block_steps):
            candidates = inside & (tokens == mask_token_id)
            if not candidates.any():
                break
            prediction = engine.predict(tokens, candidates)
            committed = choose(engine, prediction, candidates, params, step, mask_token_id)
            tokens = torch.where(committed, prediction.tokens, tokens)
            yield Step(block, step, tokens, committed, prediction)
            if params.threshold is not None and not committed.any():
                break


def choose(
    engine: Engine, prediction: Prediction, candidates: Tensor, params: SamplerParams, step: int, mask_token_id: int
) -> Tensor:
    """Which of the candidates, bool [batch, positions], commit in this step of the block."""
    if params.threshold is None:
        quota, extra = divmod(params.block_length, params.block_steps)
        return most_confident(prediction.spread, candidates, quota + (step < extra))
    eligible = candidates & (prediction.tokens != mask_token_id)
    passing = eligible & (prediction.spread < engine.spread_limit(params.threshold))
    first = most_confident(prediction.spread, eligible, 1)
    return torch.where(passing.any(-1, keepdim=True), passing, first)


def most_confident(spread: Tensor, candidates: Tensor, count: int) -> Tensor:
    """The `count` candidates of each row with the smallest spread, ties to the lowest position, bool like both."""
    by_spread = torch.sort(spread, dim=-1, stable=True).indices
    order = by_spread.gather(-1, torch.sort((~candidates).gather(-1, by_spread).int(), dim=-1, stable=True).indices)
    chosen = torch.zeros_like(candidates).scatter(-1, order[:, :count], True)
    return chosen & candidates
