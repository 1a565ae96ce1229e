"""The host's registers as data: hardware, benches and documentation read this table."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from hardloom.golden.shape import ModelShape

__all__ = [
    "ADAPTER_REGISTERS",
    "IDENTIFICATION",
    "REGISTERS",
    "WHOLE",
    "ErrorCode",
    "Field",
    "Register",
    "address",
    "constants",
    "field",
    "registers_of",
]

IDENTIFICATION = 0x484C4D31
"""`HLM1`."""


class ErrorCode(IntEnum):
    """STATUS[15:8], with what each means; 0 while there is no error."""

    doc: str

    def __new__(cls, code: int, doc: str = "") -> Self:
        made = int.__new__(cls, code)
        made._value_, made.doc = code, doc
        return made

    NONE = 0, "no error"
    LENGTH = 1, "a length is zero, or prompt and generation together exceed MAX_POSITIONS"
    PROGRAM = 2, "PROGRAM has no words, or words that PROGRAM_WORD never wrote"
    ILLEGAL = 3, "the program came to an instruction that there is not, or to a word behind its last"
    PROMPT = 4, "the prompt received has another length than PROMPT_LENGTH, or its last token never came; send it again"
    TOKEN = 5, "a prompt token is outside the vocabulary, or the mask token"
    BUSY = 6, "START was written while the slot was busy; its run goes on"
    POSITION = 7, "the program named a position outside the sequence, or of the prompt, or an empty block"
    VOCABULARY = 8, "the program wrote a token outside the vocabulary"
    ENDLESS = 9, "the program does not end: over 1,048,576 instructions a pass, or 65,535 passes"
    EARLY = 10, "the program wrote a token before the first pass"


WHOLE = "VALUE"
"""Name of the one field of a register that is a single number."""


@dataclass(frozen=True)
class Field:
    """Bits of a register. lsb: the lowest of them; width: how many; doc: meaning."""

    name: str
    lsb: int
    width: int
    doc: str

    @property
    def bits(self) -> slice:
        """Those bits of a signal that is the register."""
        return slice(self.lsb, self.lsb + self.width)

    @property
    def mask(self) -> int:
        """The register's value where all of them are 1."""
        return ((1 << self.width) - 1) << self.lsb

    def __str__(self) -> str:
        """As documentation says it: `bit 0 START: starts a run`."""
        where = f"bit {self.lsb}" if self.width == 1 else f"bits {self.lsb + self.width - 1}:{self.lsb}"
        return f"{where} {self.name}: {self.doc}"


@dataclass(frozen=True)
class Register:
    """One 32-bit register of the AXI4-Lite port.

    name: as in the documentation; address: byte address; access: `rw`, `ro`, or `wo`: a command,
    which is not held; width: bits in use; doc: meaning; split: its fields, where it is not a single number.
    """

    name: str
    address: int
    access: str
    width: int
    doc: str
    split: tuple[Field, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """In the order of their bits; bits in none are read as 0."""
        return self.split or (Field(WHOLE, 0, self.width, self.doc),)

    @property
    def meaning(self) -> str:
        """`doc`, and every field that has a name of its own."""
        return "; ".join([self.doc, *map(str, self.split)])


REGISTERS = (
    Register("ID", 0x00, "ro", 32, f"identification, 0x{IDENTIFICATION:X}"),
    Register(
        "CONTROL",
        0x04,
        "wo",
        2,
        "commands, reads 0",
        (
            Field("START", 0, 1, "starts a run"),
            Field("ACKNOWLEDGE", 1, 1, "the end of the slot's run is known"),
        ),
    ),
    Register(
        "STATUS",
        0x08,
        "ro",
        16,
        "of the latest run of SLOT, cleared by START",
        (
            Field("BUSY", 0, 1, "it goes on"),
            Field("ERROR", 1, 1, "it failed, or a START was refused"),
            Field("DONE", 2, 1, "it has come to its end"),
            Field("CODE", 8, 8, "the reason, an error code; 0 where there is none"),
        ),
    ),
    Register("PROMPT_LENGTH", 0x0C, "rw", 16, "tokens of the prompt"),
    Register("GEN_LENGTH", 0x10, "rw", 16, "tokens to generate"),
    Register(
        "PROGRAM",
        0x14,
        "rw",
        32,
        "the sampler's program",
        (Field("FIRST", 0, 16, "where its first word is"), Field("WORDS", 16, 16, "how many it has")),
    ),
    Register(
        "PROGRAM_ADDRESS", 0x18, "rw", 10, "where the next PROGRAM_WORD goes; each moves it on by one; 0 at reset"
    ),
    Register("PROGRAM_WORD", 0x1C, "wo", 32, "a word into the memory of programs; reads 0"),
    Register("CYCLES", 0x20, "ro", 32, "clock cycles of the current or latest run of SLOT"),
    Register("FORWARDS", 0x24, "ro", 32, "denoising steps of the current or latest run of SLOT"),
    Register(
        "SATURATIONS",
        0x34,
        "ro",
        32,
        "sums of the residual stream outside the word since a START found no slot busy",
    ),
    Register("MAX_POSITIONS", 0x28, "ro", 32, "prompt and generation together, at most"),
    Register("VOCAB_SIZE", 0x2C, "ro", 32, "token ids are below this"),
    Register("MASK_TOKEN", 0x30, "ro", 32, "id of the mask token; of a causal model the one behind its vocabulary"),
    Register("SLOT", 0x38, "rw", 8, "slot that CONTROL, STATUS, CYCLES and FORWARDS are about; below SEQUENCES"),
    Register("SEQUENCES", 0x3C, "ro", 32, "slots: sequences that run at once"),
    Register(
        "ENDED",
        0x40,
        "ro",
        9,
        "whose run has ended, if any",
        (
            Field("SLOT", 0, 8, "the lowest slot whose run has ended"),
            Field("VALID", 8, 1, "a run has ended, and no START or acknowledgement followed"),
        ),
    ),
)

"""Of every chip."""

ADAPTER_REGISTERS = (
    Register(
        "ADAPTER",
        0x44,
        "rw",
        1,
        "adapters, where the hardware has adapter_rank; 0 at reset; while no slot is busy",
        (Field("ENABLE", 0, 1, "projections add what their adapters give"),),
    ),
    Register(
        "ADAPTER_ADDRESS",
        0x48,
        "rw",
        32,
        "where the next ADAPTER_WORD goes; each moves it on by one; there where ADAPTER is",
    ),
    Register(
        "ADAPTER_WORD",
        0x4C,
        "wo",
        32,
        "a word into the memories of adapters, while no slot is busy; reads 0; there where ADAPTER is",
    ),
)
"""Of a chip with adapters, beside the others."""


def registers_of(adapter_rank: int) -> tuple[Register, ...]:
    """Of a chip whose adapters have this rank, 0 where it has none."""
    return (*REGISTERS, *ADAPTER_REGISTERS) if adapter_rank else REGISTERS


def register(name: str) -> Register:
    """That register; KeyError for an unknown one."""
    return {r.name: r for r in (*REGISTERS, *ADAPTER_REGISTERS)}[name]


def address(name: str) -> int:
    """Byte address of register `name`; KeyError for an unknown one."""
    return register(name).address


def constants(model: ModelShape, max_positions: int, sequences: int) -> dict[str, int]:
    """Registers of a chip that always read the same, name to value."""
    return {
        "ID": IDENTIFICATION,
        "MAX_POSITIONS": max_positions,
        "VOCAB_SIZE": model.vocab_size,
        "MASK_TOKEN": model.mask_token,
        "SEQUENCES": sequences,
    }


def field(name: str, part: str) -> Field:
    """Field `part` of register `name`; KeyError for an unknown one."""
    return {one.name: one for one in register(name).fields}[part]
