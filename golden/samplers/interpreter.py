"""A program of `golden.samplers.machine` on one sequence, instruction by instruction, as the chip's sampler runs it."""

import operator
from collections import Counter
from collections.abc import Callable, Container, Sequence
from functools import lru_cache

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.machine import (
    MAX_FORWARDS,
    MAX_INSTRUCTIONS,
    POSITIONS,
    PROMPT_LENGTH,
    REGISTERS,
    SUPPRESSED,
    Fault,
    HeadWord,
    Instruction,
    Op,
    Program,
    Which,
    decode,
)
from hardloom.golden.samplers.manner import AMOUNT_FRAC, NO_CREDIT, Manner, Pairs

__all__ = ["Machine", "SamplerFault"]

WORD, AMOUNT = (1 << 32) - 1, (1 << 16) - 1
MASKED, FILLED, DIFFERS, GUESSED, IN_ORDER = map(int, Which)  # integers are quicker than their enumerations
PREDICT, END = int(Op.PREDICT), int(Op.END)
VICINITY = int(HeadWord.VICINITY)
Record = tuple[int, int, int]


class SamplerFault(UserError):
    """The run has ended before its program did; `fault` is the chip's reason, `at` the address of the instruction.

    seen: what is said in place of the fault's general reason.
    """

    def __init__(self, name: str, fault: Fault, at: int, seen: str = "") -> None:
        super().__init__(f"sampler {name}, instruction {at}: {seen or FAULTS[fault]}; correct the sampler")
        self.fault, self.at = fault, at


FAULTS = {
    Fault.ILLEGAL: "there is no such instruction",
    Fault.POSITION: "a position outside the sequence, or of the prompt, or no block",
    Fault.TOKEN: "a token outside the vocabulary",
    Fault.EARLY: "a token is written before the first pass",
    Fault.ENDLESS: f"it does not end: over {MAX_INSTRUCTIONS:,} instructions a pass, or {MAX_FORWARDS:,} passes",
}


class Machine:
    """One run, from pass to pass.

    Parameters
    ----------
    program: what to run.
    prompt: token ids, which stay as they are.
    gen_length: mask tokens behind them at the start.
    mask_token_id, vocab_size: of the model.
    limit: instructions from one pass to the next.
    head_words: of the head that there are; a chip has those of suppressed tokens, and may have some of `HeadWord`.

    Attributes
    ----------
    tokens: of the sequence.
    records: position, token and spread of every PUT since the pass before, in order.
    block: the first position of the block at work and the one behind it.
    since: the first position of the block at work, or a lower one from which on no pass has had these tokens yet.
    span: positions that the pass computes, all others' keys and values being kept; None: all, and nothing is kept. With
        a head whose logits are before what they predict, those before them are computed too.
    computed: positions of all spans.
    scanned: positions that SCAN has met since the pass before; jumped: instructions that did not lead to the next one.
    head: its words.
    credits: of every position, where the program asks for credit.
    ended: the program is done.
    """

    def __init__(
        self,
        program: Program,
        prompt: Sequence[int],
        gen_length: int,
        mask_token_id: int,
        vocab_size: int,
        limit: int = MAX_INSTRUCTIONS,
        head_words: Container[int] = range(SUPPRESSED + len(HeadWord)),
    ) -> None:
        self.program, self.mask, self.vocab_size, self.limit = program, mask_token_id, vocab_size, limit
        self.prompt_length, self.positions = len(prompt), len(prompt) + gen_length
        self._code = decoded(program)
        self.tokens: list[int] = [*prompt, *[mask_token_id] * gen_length]
        self.guess: list[int] = [0] * self.positions
        self.spread: list[int] = [0] * self.positions
        self.note: list[int] = [0] * self.positions
        self.memo: list[int] = [0] * self.positions
        self.registers: list[int] = [0] * REGISTERS
        self.registers[PROMPT_LENGTH], self.registers[POSITIONS] = self.prompt_length, self.positions
        self.block, self._everything, self._known, self.since = (0, 0), False, 0, 0
        self.span: range | None = None
        self.computed = 0
        self._anew = True
        self._last: tuple[int, int] | None = None
        self.head = [WORD] * SUPPRESSED + [WORD if word is HeadWord.VICINITY else 0 for word in HeadWord]
        self._words = head_words
        self.credits: list[Pairs] = [NO_CREDIT] * self.positions
        self._at, self.forwards, self.ended = 0, 0, False
        self.records: list[Record] = []
        self._counts = [0] * len(Op)
        self.scanned, self.jumped = 0, 0

    def run(self) -> bool:
        """To the next pass; False where the program is done. Raises SamplerFault where it goes wrong."""
        self.records, self.scanned, self.jumped = [], 0, 0
        code, counts = self._code, [0] * len(Op)
        self._counts = counts
        for _ in range(self.limit):
            if self._at >= len(code):
                raise self._fault(Fault.ILLEGAL)
            op, handler, one = code[self._at]
            counts[op] += 1
            if op == PREDICT:
                self._predict(one)
                return True
            if op == END:
                self.ended = True
                return False
            target = handler(self, one)
            if target is None:
                self._at += 1
            else:
                self._at = target
                self.jumped += 1
        raise self._fault(Fault.ENDLESS)

    @property
    def executed(self) -> Counter[Op]:
        """Instructions, by their `Op`, since the pass before."""
        return Counter({op: self._counts[op] for op in Op if self._counts[op]})

    @property
    def wanted(self) -> list[int]:
        """Positions of which the pass is to predict a token, ascending."""
        behind, tokens, mask = range(max(self.block[0], self.prompt_length), self.block[1]), self.tokens, self.mask
        return list(behind) if self._everything else [p for p in behind if tokens[p] == mask]

    @property
    def manner(self) -> Manner:
        """Of the pass."""
        suppressed = tuple(token for token in self.head[:SUPPRESSED] if token < self.vocab_size)
        words = {word: self.head[word] for word in HeadWord}
        return Manner(
            suppressed,
            words[HeadWord.TEMPERATURE] & AMOUNT,
            words[HeadWord.SEED],
            self.forwards - 1,
            words[HeadWord.GUIDANCE] & AMOUNT,
            self.prompt_length,
            credit=(credit := words[HeadWord.CREDIT] & AMOUNT),
            credit_decay=min(words[HeadWord.CREDIT_DECAY], 1 << AMOUNT_FRAC),
            credit_power=min(words[HeadWord.CREDIT_POWER], 1 << AMOUNT_FRAC),
            credits=tuple(self.credits) if credit else (),
        )

    @property
    def answered(self) -> list[int]:
        """Tokens behind the prompt."""
        return self.tokens[self.prompt_length :]

    @property
    def state(self) -> tuple[object, ...]:
        """At a pass, all that decides what is still to come, if equal passes are answered alike.

        With a temperature that is the number of passes, too: noise is another one in each.
        """
        positions = zip(self.tokens, self.guess, self.spread, self.note, self.memo, self.credits, strict=True)
        place = self._at, self.block, self._everything, self._known, self.since, self.span
        step = self.forwards if self.manner.temperature else None
        return place, step, tuple(self.registers), tuple(self.head), tuple(positions)

    def turning(self) -> SamplerFault:
        """The fault of a run whose state, at this pass, was there before."""
        seen = f"it does not end: pass {self.forwards} begins as an earlier one did, so that all comes again"
        return SamplerFault(self.program.name, Fault.ENDLESS, self._at - 1, seen)

    def answer(
        self, guesses: Sequence[int], spreads: Sequence[int], credits: Sequence[Sequence[Sequence[int]]] | None = None
    ) -> None:
        """The pass's predictions of the wanted positions; spreads with 16 fraction bits.

        credits: what the pass has left of these positions' pairs; None: no pass counts any.
        """
        for number, (p, guess, spread) in enumerate(zip(self.wanted, guesses, spreads, strict=True)):
            self.guess[p], self.spread[p] = guess, spread
            if credits is not None:
                self.credits[p] = tuple((token, credit) for token, credit in credits[number])

    def _fault(self, fault: Fault) -> SamplerFault:
        return SamplerFault(self.program.name, fault, self._at)

    def _predict(self, one: Instruction) -> None:
        if self.block[0] >= self.block[1]:
            raise self._fault(Fault.POSITION)
        if self.forwards == MAX_FORWARDS:
            raise self._fault(Fault.ENDLESS)
        self._everything, self._last = bool(one.imm & 1), None
        self.since = min(self._known, self.block[0])
        self._known = self.block[1]
        self.span, self._anew = self._computed(), False
        self.computed += self.positions if self.span is None else len(self.span)
        self.forwards += 1
        self._at += 1

    def _computed(self) -> range | None:
        """As `span` has it."""
        vicinity = self.head[VICINITY]
        if vicinity >= self.positions:
            return None
        if self._anew:
            return range(self.positions)
        return range(max(0, self.block[0] - vicinity), min(self.block[1] + vicinity, self.positions))

    def _position(self, register: int, behind_prompt: bool = True) -> int:
        position = self.registers[register]
        if not (self.prompt_length if behind_prompt else 0) <= position < self.positions:
            raise self._fault(Fault.POSITION)
        return position

    def _put(self, one: Instruction) -> None:
        position, token = self._position(one.b), self.registers[one.a]
        if not self.forwards:
            raise self._fault(Fault.EARLY)
        if token >= self.vocab_size:
            raise self._fault(Fault.TOKEN)
        self.tokens[position] = token
        self._known = min(self._known, position)
        self._anew |= not self.block[0] <= position < self.block[1]
        self.records.append((position, token, self.spread[position]))

    def _block(self, one: Instruction) -> None:
        start, end = self.registers[one.a], self.registers[one.b]
        if not start < end <= self.positions:
            raise self._fault(Fault.POSITION)
        self.block, self._anew = (start, end), True

    def _head(self, one: Instruction) -> None:
        if one.imm not in self._words:
            raise self._fault(Fault.ILLEGAL)
        self.head[one.imm] = self.registers[one.a]
        self._anew |= one.imm == VICINITY

    def _begin(self, one: Instruction) -> None:
        self._last = None

    def _scan(self, one: Instruction) -> int | None:
        """The address to go on at, None for the next one."""
        first, end, last = max(self.block[0], self.prompt_length), self.block[1], self._last
        if one.b & IN_ORDER:
            first = first if last is None else max(first, last[1] + 1)
            found = next(iter(self._met(one.b, range(first, end))), None)
            self.scanned += max(0, (end if found is None else found + 1) - first)
        else:
            keys = [(self.spread[p], p) for p in self._met(one.b, range(first, end))]
            best = min(keys if last is None else [key for key in keys if key > last], default=None)
            found = None if best is None else best[1]
            self.scanned += max(0, end - first)
        if found is None:
            return one.imm
        self._last = self.spread[found], found
        self.registers[one.a] = found
        return None

    def _met(self, which: int, positions: Sequence[int]) -> Sequence[int]:
        """Those for which every condition of `which` holds, in order."""
        tokens, guess, mask = self.tokens, self.guess, self.mask
        if which & MASKED:
            positions = [p for p in positions if tokens[p] == mask]
        if which & FILLED:
            positions = [p for p in positions if tokens[p] != mask]
        if which & DIFFERS:
            positions = [p for p in positions if tokens[p] != guess[p]]
        if which & GUESSED:
            positions = [p for p in positions if guess[p] != mask]
        return positions


Handler = Callable[[Machine, Instruction], int | None]


def _value(function: Callable[[Machine, Instruction], int]) -> Handler:
    """Register a becomes a value."""

    def handler(m: Machine, one: Instruction) -> None:
        m.registers[one.a] = function(m, one) & WORD

    return handler


def _two(function: Callable[[int, int], int]) -> Handler:
    return _value(lambda m, one: function(m.registers[one.b], m.registers[one.imm & (REGISTERS - 1)]))


def _branch(function: Callable[[int, int], bool]) -> Handler:
    return lambda m, one: one.imm if function(m.registers[one.a], m.registers[one.b]) else None


def _store(kept: Callable[[Machine], list[int]]) -> Handler:
    def handler(m: Machine, one: Instruction) -> None:
        kept(m)[m._position(one.b)] = m.registers[one.a]

    return handler


def _illegal(m: Machine, one: Instruction) -> None:
    raise m._fault(Fault.ILLEGAL)


def _shift(m: Machine, one: Instruction, left: bool) -> int:
    if one.imm >= 32:
        raise m._fault(Fault.ILLEGAL)
    value = m.registers[one.b]
    return value << one.imm if left else value >> one.imm


HANDLERS: dict[Op, Handler] = {
    Op.ILLEGAL: _illegal,
    Op.SET: _value(lambda m, one: one.imm),
    Op.UPPER: _value(lambda m, one: (m.registers[one.a] & 0xFFFF) | one.imm << 16),
    Op.ADDI: _value(lambda m, one: m.registers[one.b] + (one.imm ^ 0x8000) - 0x8000),
    Op.ADD: _two(operator.add),
    Op.SUB: _two(operator.sub),
    Op.MUL: _two(lambda b, c: b * c >> 16),
    Op.AND: _two(operator.and_),
    Op.OR: _two(operator.or_),
    Op.XOR: _two(operator.xor),
    Op.SHL: _value(lambda m, one: _shift(m, one, True)),
    Op.SHR: _value(lambda m, one: _shift(m, one, False)),
    Op.JUMP: lambda m, one: one.imm,
    Op.JEQ: _branch(operator.eq),
    Op.JNE: _branch(operator.ne),
    Op.JLT: _branch(operator.lt),
    Op.JGE: _branch(operator.ge),
    Op.TOKEN: _value(lambda m, one: m.tokens[m._position(one.b, False)]),
    Op.GUESS: _value(lambda m, one: m.guess[m._position(one.b)]),
    Op.SPREAD: _value(lambda m, one: min(m.spread[m._position(one.b)], WORD)),
    Op.NOTE: _value(lambda m, one: m.note[m._position(one.b)]),
    Op.MEMO: _value(lambda m, one: m.memo[m._position(one.b)]),
    Op.PUT: Machine._put,
    Op.SET_NOTE: _store(lambda m: m.note),
    Op.SET_MEMO: _store(lambda m: m.memo),
    Op.BLOCK: Machine._block,
    Op.BEGIN: Machine._begin,
    Op.SCAN: Machine._scan,
    Op.HEAD: Machine._head,
}


@lru_cache(maxsize=64)
def decoded(program: Program) -> tuple[tuple[int, Handler, Instruction], ...]:
    """Of every word the operation's number, its handler and the instruction; PREDICT and END have none of their own."""
    code = [decode(word) for word in program.words]
    return tuple((int(one.op), HANDLERS.get(one.op, _illegal), one) for one in code)
