"""The host's registers as data: hardware, benches and documentation read this table."""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["IDENTIFICATION", "REGISTERS", "ErrorCode", "Register", "address"]

IDENTIFICATION = 0x484C4D31
"""`HLM1`."""


class ErrorCode(IntEnum):
    """STATUS[15:8]; 0 while there is no error."""

    NONE = 0
    LENGTH = 1
    """A length is zero, or prompt and generation together exceed MAX_POSITIONS."""
    PROGRAM = 2
    """PROGRAM has no words, or words that PROGRAM_WORD never wrote."""
    ILLEGAL = 3
    """The program came to an instruction that there is not, or to a word behind its last."""
    PROMPT = 4
    """The prompt received has another length than PROMPT_LENGTH, or its last token never came; send it again."""
    TOKEN = 5
    """A prompt token is outside the vocabulary, or the mask token."""
    BUSY = 6
    """START was written while the slot was busy; its run goes on."""
    POSITION = 7
    """The program named a position outside the sequence, or of the prompt, or an empty block."""
    VOCABULARY = 8
    """The program wrote a token outside the vocabulary."""
    ENDLESS = 9
    """The program does not end: over 1,048,576 instructions a pass, or 65,535 passes."""
    EARLY = 10
    """The program wrote a token before the first pass."""


@dataclass(frozen=True)
class Register:
    """One 32-bit register of the AXI4-Lite port.

    name: as in the documentation; address: byte address; access: `rw`, `ro`, or `wo`: a command,
    which is not held; width: bits in use; doc: meaning.
    """

    name: str
    address: int
    access: str
    width: int
    doc: str


REGISTERS = (
    Register("ID", 0x00, "ro", 32, "identification, 0x484C4D31"),
    Register("CONTROL", 0x04, "wo", 2, "bit 0: write 1 to start; bit 1: write 1 to acknowledge a run's end; reads 0"),
    Register(
        "STATUS", 0x08, "ro", 16, "of SLOT: bit 0 busy, bit 1 error, bit 2 done; bits 15:8 error code; cleared by START"
    ),
    Register("PROMPT_LENGTH", 0x0C, "rw", 16, "tokens of the prompt"),
    Register("GEN_LENGTH", 0x10, "rw", 16, "tokens to generate"),
    Register("PROGRAM", 0x14, "rw", 32, "bits 15:0 first word of the sampler's program; bits 31:16 its words"),
    Register(
        "PROGRAM_ADDRESS",
        0x18,
        "rw",
        10,
        "where the next PROGRAM_WORD goes; each moves it on by one; 0 at reset",
    ),
    Register(
        "PROGRAM_WORD",
        0x1C,
        "wo",
        32,
        "a word into the memory of programs; reads 0",
    ),
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
        "bit 8: a run has ended, and no START or acknowledgement followed; bits 7:0: its slot",
    ),
)


def address(name: str) -> int:
    """Byte address of register `name`; KeyError for an unknown one."""
    return {r.name: r.address for r in REGISTERS}[name]
