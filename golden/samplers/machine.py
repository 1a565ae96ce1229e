"""The sampler's instruction set: what a program of `golden.samplers` is made of, in the integer model and on the chip.

A word has 32 bits: `op` [4:0], `a` [9:5], `b` [14:10], `imm` [30:15]; register `c` is the lowest five bits of `imm`.
Bit 31 is 0. There are 32 registers of 32 bits, all 0 at the start but register 0, which has the prompt's length, and
register 1, which has the number of positions, prompt and generation together. Arithmetic is modulo 2**32, comparisons
are unsigned. A run has besides them a sequence of tokens, of which those behind the prompt may be written; and for
every one behind the prompt the latest prediction of it, a `guess` and its `spread` (0 before the first one), and two
words that the program may keep, `note` and `memo` (0 at the start). Words of the head say how its logits become
predictions: `SUPPRESSED` tokens that are not predicted (none at the start), and the words of `HeadWord` (0).

Where the word VICINITY is below the number of positions, a pass computes the block and so many positions either side of
it, within the sequence; keys and values of the others are those that the pass has left which computed them last. All
positions are computed by the first pass behind a BLOCK, behind a PUT outside the block, and behind a new VICINITY.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from hardloom.golden.errors import UserError

__all__ = [
    "MAX_FORWARDS",
    "MAX_INSTRUCTIONS",
    "POSITIONS",
    "PROGRAM_WORDS",
    "PROMPT_LENGTH",
    "REGISTERS",
    "SUPPRESSED",
    "Fault",
    "HeadWord",
    "Instruction",
    "Op",
    "Program",
    "Which",
    "decode",
]

REGISTERS = 32
PROMPT_LENGTH, POSITIONS = 0, 1
"""Registers that have a value at the start."""

PROGRAM_WORDS = 1024
"""Words of the chip's program memory, which may hold several programs."""

SUPPRESSED = 6
"""Tokens at most that a pass does not predict: the three of Levenshtein's last pass, two eos, and one more."""


class HeadWord(IntEnum):
    """Words of the head behind those of suppressed tokens. A chip takes those that it does not have as ILLEGAL."""

    TEMPERATURE = SUPPRESSED
    """Of 16 bits, 12 of them fraction; so is guidance."""
    SEED = SUPPRESSED + 1
    GUIDANCE = SUPPRESSED + 2
    VICINITY = SUPPRESSED + 3
    """Positions either side of the block that a pass computes besides it; at the start more than there are."""
    CREDIT = SUPPRESSED + 4
    """Of 16 bits, 12 of them fraction; so are the next two, which are at most 1."""
    CREDIT_DECAY = SUPPRESSED + 5
    CREDIT_POWER = SUPPRESSED + 6


MAX_INSTRUCTIONS = 1 << 20
"""From one pass to the next; one more, and the program is taken as one that does not end."""

MAX_FORWARDS = 65_535
"""Passes of a run; one more, and the program is taken as one that does not end."""


class Op(IntEnum):
    """What an instruction does; a, b and c are registers, imm a number of 16 bits."""

    ILLEGAL = 0
    """A fault; so is every number that is not here."""
    END = 1
    """The run is done."""
    SET = 2
    """a = imm."""
    UPPER = 3
    """a = a[15:0] + (imm << 16)."""
    ADDI = 4
    """a = b + imm, which is signed."""
    ADD = 5
    """a = b + c."""
    SUB = 6
    """a = b - c."""
    MUL = 7
    """a = (b * c) >> 16."""
    AND = 8
    """a = b & c."""
    OR = 9
    """a = b | c."""
    XOR = 10
    """a = b ^ c."""
    SHL = 11
    """a = b << imm, imm below 32."""
    SHR = 12
    """a = b >> imm, imm below 32."""
    JUMP = 13
    """Next is the word imm of the program."""
    JEQ = 14
    """Next is the word imm where a == b."""
    JNE = 15
    """Next is the word imm where a != b."""
    JLT = 16
    """Next is the word imm where a < b."""
    JGE = 17
    """Next is the word imm where a >= b."""
    TOKEN = 18
    """a = token of position b."""
    GUESS = 19
    """a = guess of position b."""
    SPREAD = 20
    """a = spread of position b, at most 2**32 - 1."""
    NOTE = 21
    """a = note of position b."""
    MEMO = 22
    """a = memo of position b."""
    PUT = 23
    """Token of position b = a, and the host is told."""
    SET_NOTE = 24
    """Note of position b = a."""
    SET_MEMO = 25
    """Memo of position b = a."""
    BLOCK = 26
    """The block at work is from position a to before position b."""
    PREDICT = 27
    """A pass through the model, and BEGIN. Of the block behind the prompt, all is predicted (imm 1) or masks (0)."""
    BEGIN = 28
    """SCAN begins anew."""
    SCAN = 29
    """a = the next position of the block behind the prompt that is `Which(b)`; the word imm is next if there is none.

    In the order of spread, then of position, of which only those behind the one found before are met.
    """
    HEAD = 30
    """The head's word imm = a, from the next pass on: a token that is suppressed, or none; or `HeadWord`."""


class Which(IntFlag):
    """Positions that SCAN meets: those for which every named condition holds."""

    MASKED = 1
    """Its token is the mask."""
    FILLED = 2
    """Its token is not."""
    DIFFERS = 4
    """Its token is not its guess."""
    GUESSED = 8
    """Its guess is not the mask."""
    IN_ORDER = 16
    """Of position alone is the order."""


class Fault(IntEnum):
    """Why a run ends before its program does."""

    ILLEGAL = 1
    """An instruction that there is not, or a word behind the program's last."""
    POSITION = 2
    """A position outside the sequence; of the prompt where it must be behind it; an empty block, or none at all."""
    TOKEN = 3
    """A token outside the vocabulary."""
    ENDLESS = 4
    """More instructions or passes than the limits above."""
    EARLY = 5
    """A token is written before the first pass."""


@dataclass(frozen=True)
class Instruction:
    """One word; fields that `op` does not use are 0."""

    op: Op
    a: int = 0
    b: int = 0
    imm: int = 0

    def encode(self) -> int:
        """The word."""
        return self.op | self.a << 5 | self.b << 10 | (self.imm & 0xFFFF) << 15


def decode(word: int) -> Instruction:
    """The instruction of a word; ILLEGAL for one that is none."""
    op = word & 31
    if word >> 31 or op >= len(Op):
        return Instruction(Op.ILLEGAL)
    return Instruction(Op(op), word >> 5 & 31, word >> 10 & 31, word >> 15 & 0xFFFF)


@dataclass(frozen=True)
class Program:
    """Words in the order of their addresses; jumps count from the program's own first word.

    Raises UserError where they do not fit into the chip's memory.
    """

    name: str
    words: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.words) > PROGRAM_WORDS:
            raise UserError(
                f"sampler {self.name}: {len(self.words)} instructions are more than the {PROGRAM_WORDS} of the chip's "
                "memory; shorten it"
            )

    @classmethod
    def of(cls, name: str, instructions: Sequence[Instruction]) -> "Program":
        return cls(name, tuple(one.encode() for one in instructions))
