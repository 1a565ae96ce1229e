"""A sampler's run on any engine: the float model, the integer model, or what a test makes up.

The sequence is the prompt, in which no mask token may be, and `gen_length` mask tokens behind it. A program of
`golden.samplers.machine` says from pass to pass which of them become what; the chip runs the same one.

Confidence is a prediction's spread, S = sum_j exp(l_j - l_max), the reciprocal of the predicted token's probability, in
integers with 16 fraction bits whatever the engine: smaller is more confident.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.endless import Watch
from hardloom.golden.samplers.interpreter import Machine
from hardloom.golden.samplers.kept import Kept
from hardloom.golden.samplers.machine import Program
from hardloom.golden.samplers.manner import Manner

__all__ = ["CERTAIN", "Denoising", "Engine", "Pass", "Prediction", "Step", "asked", "check_prompt", "spread_limit"]

CERTAIN = 1 << 16
"""The spread of a probability of 1."""


def spread_limit(threshold: float) -> int:
    """What a spread must stay below for a probability above `threshold`; 2**32 - 1 for 0, which all exceed."""
    most = (1 << 32) - 1
    return min(math.ceil(CERTAIN / Fraction(threshold)), most) if threshold else most


@dataclass(frozen=True)
class Prediction:
    """The most probable token of every position (ties to the lowest id), int64 [batch, positions], and its spread.

    `spread` is int64 [batch, positions] with 16 fraction bits; `credits`, where a row has credit, what the pass leaves
    of `Manner.credits`, int64 [batch, positions, pairs, 2].
    """

    tokens: Tensor
    spread: Tensor
    credits: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "Prediction":
        """All that there is, changed alike."""
        credits = None if self.credits is None else change(self.credits)
        return Prediction(change(self.tokens), change(self.spread), credits)

    def shifted(self, shift: int) -> "Prediction":
        """Each position by the logits `shift` positions before it; the first ones by the first logits."""
        if not shift:
            return self
        by = predictors(self.tokens.shape[1], shift)
        return self.each(lambda part: part[:, by])


def predictors(positions: int, shift: int) -> Tensor:
    """The position whose logits predict each position, int64 [positions]."""
    return (torch.arange(positions) - shift).clamp(min=0)


def asked(wanted: Tensor, shift: int) -> Tensor:
    """Whose logits predict the positions that are `wanted`, bool [batch, positions] like these."""
    by = predictors(wanted.shape[1], shift)
    return torch.zeros(wanted.shape, dtype=torch.int64).index_add(1, by, wanted.long()) > 0


class Engine(Protocol):
    """Anything that predicts a whole sequence at once, equal ones in equal manners alike."""

    def predict(
        self,
        tokens: Tensor,
        wanted: Tensor | None = None,
        manners: Sequence[Manner] | None = None,
        kept: Sequence[Kept] | None = None,
    ) -> Prediction:
        """Token ids int64 [batch, positions] to a prediction of every position.

        wanted: bool [batch, positions], those that somebody looks at; the engine may say anything of others.
        manners: of every row; of its logits alone where there are none.
        kept: of every row, what its passes keep; the pass writes it. Without, all positions are computed.
        """


@dataclass(frozen=True)
class Pass:
    """What a pass of one sequence is asked for: `wanted` positions of the block from `start` to before `end`.

    `since` and `span` are as `golden.samplers.interpreter.Machine` has them; `manner`: of its predictions.
    """

    start: int
    end: int
    since: int
    wanted: tuple[int, ...]
    manner: Manner
    span: range | None = None


@dataclass(frozen=True)
class Step:
    """One denoising step: a pass and what the program makes of it, up to the next one.

    Attributes
    ----------
    number: of passes before it; rows that have ended before take no part.
    tokens: int64 [batch, positions], after it; committed: bool [batch, positions], those that it has written.
    prediction: of the pass; says nothing of positions that are not wanted.
    passes: of each row, None where it has ended.
    records: of each row, position, token and spread of everything that it has written, in order.
    """

    number: int
    tokens: Tensor
    committed: Tensor
    prediction: Prediction
    passes: tuple[Pass | None, ...]
    records: tuple[tuple[tuple[int, int, int], ...], ...]


def check_prompt(prompt: Tensor, mask_token_id: int) -> None:
    """Raise `UserError` where `prompt`, int64 of any shape, has the mask token: what is sent once serves many runs."""
    if (prompt == mask_token_id).any():
        raise UserError(
            f"the prompt has the mask token {mask_token_id}, which is filled in answers alone; give a prompt without it"
        )


def marked(rows: Sequence[Sequence[int]], positions: int) -> Tensor:
    """Which of so many positions each row names, bool [rows, positions]."""
    chosen = [set(row) for row in rows]
    return torch.tensor([[position in row for position in range(positions)] for row in chosen])


def of_rows(part: Tensor, rows: Sequence[int], count: int) -> Tensor:
    """What there is of some rows, [rows, ...], in their places among so many; 0 of the others."""
    whole = part.new_zeros(count, *part.shape[1:])
    whole[rows] = part
    return whole


class Denoising:
    """A run of `program` on every row of a prompt; its steps come as it is iterated over, once.

    Rows do not influence each other. Raises `UserError` as `check_prompt` and `Machine.run` do, and where a row comes
    to a state in which it has been: it would never end.

    Parameters
    ----------
    engine: what predicts.
    prompt: int64 [batch, length].
    program: the sampler's.
    gen_length: tokens behind the prompt.
    mask_token_id, vocab_size: of the model.

    Attributes
    ----------
    machines: one a row, as they wait for their next pass.
    """

    def __init__(
        self, engine: Engine, prompt: Tensor, program: Program, gen_length: int, mask_token_id: int, vocab_size: int
    ) -> None:
        check_prompt(prompt, mask_token_id)
        self.engine = engine
        self.machines = [Machine(program, row, gen_length, mask_token_id, vocab_size) for row in prompt.tolist()]
        self._kept = [Kept() for _ in self.machines]
        self._watches = [Watch() for _ in self.machines]
        for machine, watch in zip(self.machines, self._watches, strict=True):
            self._run(machine, watch)

    @staticmethod
    def _run(machine: Machine, watch: Watch) -> None:
        """To the next pass, or the end."""
        if not machine.run():
            return
        if machine.span is not None:
            watch.computes((tuple(machine.tokens), machine.span), len(machine.span) == machine.positions)
        if watch.again(machine.state):
            raise machine.turning()

    @property
    def tokens(self) -> Tensor:
        """Of all rows as they are now, int64 [batch, positions]."""
        return torch.tensor([machine.tokens for machine in self.machines])

    def __iter__(self) -> Iterator[Step]:
        number = 0
        while running := [row for row, machine in enumerate(self.machines) if not machine.ended]:
            passes, prediction = self._predict(running)
            for row, one in enumerate(passes):
                if one:
                    self._answer(row, one, prediction)
                    self._run(self.machines[row], self._watches[row])
            yield self._step(number, passes, prediction)
            number += 1

    def _answer(self, row: int, one: Pass, prediction: Prediction) -> None:
        """Tells a row what a pass predicts of it."""
        wanted = list(one.wanted)
        guesses, spreads = (part[row, wanted].tolist() for part in (prediction.tokens, prediction.spread))
        counted = prediction.credits if one.manner.credit else None
        self.machines[row].answer(guesses, spreads, None if counted is None else counted[row, wanted].tolist())

    def _predict(self, running: Sequence[int]) -> tuple[tuple[Pass | None, ...], Prediction]:
        """A pass of the rows that are running."""
        tokens = self.tokens
        passes: list[Pass | None] = [None] * len(self.machines)
        for row in running:
            machine = self.machines[row]
            passes[row] = Pass(*machine.block, machine.since, tuple(machine.wanted), machine.manner, machine.span)
            self._kept[row].span = machine.span
        sent = [one for one in passes if one]
        wanted = marked([one.wanted for one in sent], tokens.shape[1])
        kept = [self._kept[row] for row in running]
        found = self.engine.predict(tokens[running], wanted, [one.manner for one in sent], kept)
        return tuple(passes), found.each(lambda part: of_rows(part, running, len(tokens)))

    def _step(self, number: int, passes: tuple[Pass | None, ...], prediction: Prediction) -> Step:
        tokens = self.tokens
        records = tuple(tuple(m.records) if one else () for m, one in zip(self.machines, passes, strict=True))
        committed = marked([[position for position, _, _ in written] for written in records], tokens.shape[1])
        return Step(number, tokens, committed, prediction, passes, records)
