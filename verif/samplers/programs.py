"""Programs for the sampler's bench: random ones, and some that wander about as samplers do."""

from collections.abc import Callable, Sequence

from hardloom.golden.samplers.machine import POSITIONS, PROMPT_LENGTH, HeadWord, Instruction, Op, Program, Which

__all__ = ["below", "by_count", "fixed_programs", "near_programs", "random_program"]

Draw = Callable[[int, int], int]

PLACE, TOKEN, COUNT = 10, 11, 30
"""Registers of a random program: a position, a token, rounds that are left; 2 to 9 hold anything."""

TWO = (Op.ADD, Op.SUB, Op.MUL, Op.AND, Op.OR, Op.XOR)
JUMPS = (Op.JEQ, Op.JNE, Op.JLT, Op.JGE)
LOADS = (Op.TOKEN, Op.GUESS, Op.SPREAD, Op.NOTE, Op.MEMO)


def random_program(draw: Draw, prompt_length: int, positions: int, vocab_size: int, head: Sequence[int]) -> Program:
    """A body that goes forward, two or three times over; one in a few does what no program may. head: its words."""
    body = [_random(draw, prompt_length, positions, vocab_size, head) for _ in range(draw(12, 40))]
    length = len(body)
    body = [_aimed(draw, one, at + 4, length + 4) for at, one in enumerate(body)]
    begin = [
        Instruction(Op.SET, COUNT, imm=draw(1, 3)),
        Instruction(Op.SET, PLACE, imm=prompt_length),
        Instruction(Op.BLOCK, PROMPT_LENGTH, POSITIONS),
        Instruction(Op.PREDICT if draw(0, 7) else Op.BEGIN),
    ]
    rounds = [Instruction(Op.ADDI, COUNT, COUNT, 0xFFFF), Instruction(Op.JNE, COUNT, 31, 4)]
    end = [Instruction(Op.END)] * (draw(0, 19) != 0)
    return Program.of("random", begin + body + rounds + _shown(prompt_length) + end)


def _shown(prompt_length: int) -> list[Instruction]:
    """Every bit of the registers that hold anything counts for one of two bits that are written as a token."""
    shown = [Instruction(Op.SET, PLACE, imm=prompt_length), Instruction(Op.SET, 12, imm=3)]
    for kept in range(2, 10):
        for bits in (16, 8, 4, 2):
            shown += [Instruction(Op.SHR, 13, kept, bits), Instruction(Op.XOR, kept, kept, 13)]
        shown += [Instruction(Op.AND, TOKEN, kept, 12), Instruction(Op.PUT, TOKEN, PLACE)]
    return shown


def _aimed(draw: Draw, one: Instruction, at: int, end: int) -> Instruction:
    """A jump goes forward, to the end of the body at most."""
    if one.op in (*JUMPS, Op.JUMP, Op.SCAN):
        return Instruction(one.op, one.a, one.b, min(end, at + draw(1, 5)))
    return one


def _random(draw: Draw, prompt_length: int, positions: int, vocab_size: int, head: Sequence[int]) -> Instruction:
    any_one, kept = draw(0, 11), draw(2, 9)
    kind = draw(0, 30)
    if kind == 0 and draw(0, 3) == 0:  # anything at all but to the registers that count rounds
        return Instruction(Op(draw(0, len(Op) - 1)), draw(0, COUNT - 1), draw(0, 31), draw(0, 40))
    if kind < 4:
        return Instruction(Op.SET, PLACE, imm=draw(prompt_length, positions - (draw(0, 5) != 0)))
    if kind < 6:
        return Instruction(Op.SET, TOKEN, imm=draw(0, vocab_size - (draw(0, 5) != 0)))
    if kind < 8:
        return Instruction((Op.SET, Op.UPPER)[draw(0, 1)], kept, imm=draw(0, 0xFFFF))
    if kind < 11:
        return Instruction(TWO[draw(0, len(TWO) - 1)], kept, draw(0, 11), draw(0, 11))
    if kind < 13:
        return Instruction((Op.SHL, Op.SHR)[draw(0, 1)], kept, any_one, draw(0, 31) + (draw(0, 31) == 0))
    if kind < 14:
        return Instruction(Op.ADDI, kept, any_one, draw(0, 0xFFFF))
    if kind < 17:
        return Instruction(JUMPS[draw(0, 3)], any_one, draw(0, 11))
    if kind < 20:
        return Instruction(LOADS[draw(0, 4)], (kept, TOKEN)[draw(0, 7) == 0], PLACE)
    if kind < 22:
        return Instruction(Op.PUT, TOKEN, PLACE)
    if kind < 24:
        return Instruction((Op.SET_NOTE, Op.SET_MEMO)[draw(0, 1)], any_one, PLACE)
    if kind < 25:
        return Instruction(Op.BLOCK, (PROMPT_LENGTH, 31)[draw(0, 1)], POSITIONS)
    if kind < 26:
        return Instruction(Op.BEGIN)
    if kind < 28:
        return Instruction(Op.PREDICT, imm=draw(0, 1))
    if kind < 29:
        return Instruction(Op.HEAD, draw(2, 11), imm=head[draw(0, len(head) - 1)] if draw(0, 9) else draw(0, 10))
    return Instruction(Op.SCAN, PLACE, draw(0, 31))


BLOCK = Instruction(Op.BLOCK, PROMPT_LENGTH, POSITIONS)


def by_count(count: int) -> Program:
    """Masks by confidence, `count` a pass, until there are none."""
    instructions = [
        BLOCK,
        Instruction(Op.SET, 3, imm=count),
        Instruction(Op.PREDICT),
        Instruction(Op.SET, 2, imm=0),
        Instruction(Op.SCAN, 4, Which.MASKED, 10),
        Instruction(Op.GUESS, 5, 4),
        Instruction(Op.PUT, 5, 4),
        Instruction(Op.ADDI, 2, 2, 1),
        Instruction(Op.JLT, 2, 3, 4),
        Instruction(Op.JUMP, imm=2),
        Instruction(Op.END),
    ]
    return Program.of(f"{count} a pass", instructions)


def below(limit: int) -> Program:
    """One pass; masks whose spread is below `limit`."""
    instructions = [
        BLOCK,
        Instruction(Op.SET, 7, imm=limit & 0xFFFF),
        Instruction(Op.UPPER, 7, imm=limit >> 16),
        Instruction(Op.PREDICT),
        Instruction(Op.SCAN, 4, Which.MASKED, 7),
        Instruction(Op.SPREAD, 6, 4),
        Instruction(Op.JLT, 6, 7, 8),
        Instruction(Op.END),
        Instruction(Op.GUESS, 5, 4),
        Instruction(Op.PUT, 5, 4),
        Instruction(Op.JUMP, imm=4),
    ]
    return Program.of("below", instructions)


def fixed_programs() -> list[Program]:
    """Masks by confidence; guesses that differ, in order; a program without end; one that leaves its words."""
    differs = Which.FILLED | Which.DIFFERS | Which.IN_ORDER
    edits = [
        BLOCK,
        Instruction(Op.SET, 6, imm=4),
        Instruction(Op.PREDICT, imm=1),
        Instruction(Op.SCAN, 4, Which.MASKED | Which.GUESSED, 7),
        Instruction(Op.GUESS, 5, 4),
        Instruction(Op.PUT, 5, 4),
        Instruction(Op.JUMP, imm=3),
        Instruction(Op.BEGIN),
        Instruction(Op.SCAN, 4, differs, 12),
        Instruction(Op.GUESS, 5, 4),
        Instruction(Op.PUT, 5, 4),
        Instruction(Op.JUMP, imm=8),
        Instruction(Op.ADDI, 6, 6, 0xFFFF),
        Instruction(Op.JNE, 6, 31, 2),
        Instruction(Op.END),
    ]
    return [
        by_count(2),
        Program.of("edits", edits),
        Program.of("loop", [BLOCK, Instruction(Op.PREDICT), Instruction(Op.JUMP, imm=2)]),
        Program.of("far", [Instruction(Op.JUMP, imm=0xFFFF)]),
    ]


def near_programs() -> list[Program]:
    """Vicinities of 0 to 15 and of a word: in each passes behind a new block, behind tokens in it, before it and behind
    it, and behind passes that have written nothing."""
    start, end, first, near, done = 2, 3, 4, 5, 6
    within, before, behind = (Instruction(Op.PUT, 31, register) for register in (start, first, end))
    predict, vicinity = Instruction(Op.PREDICT, imm=1), Instruction(Op.HEAD, near, imm=HeadWord.VICINITY)
    passes = [predict, predict, within, predict, before, predict, predict, behind, predict, predict]
    begin = [
        Instruction(Op.ADDI, first, PROMPT_LENGTH),
        Instruction(Op.ADDI, start, POSITIONS, -2 & 0xFFFF),
        Instruction(Op.ADDI, end, POSITIONS, -1 & 0xFFFF),
        Instruction(Op.SET, done, imm=16),
        vicinity,
        Instruction(Op.BLOCK, start, end),
    ]
    rounds = [Instruction(Op.ADDI, near, near, 1), Instruction(Op.JNE, near, done, 4)]
    last = [Instruction(Op.ADDI, near, 31, 0xFFFF), vicinity, predict, predict, Instruction(Op.END)]
    return [Program.of("near", begin + passes + rounds + last)]
