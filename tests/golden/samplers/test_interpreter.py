"""Instructions of the sampler one by one, against values worked out by hand, and the faults that end a run."""

import pytest

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.interpreter import Machine, SamplerFault
from hardloom.golden.samplers.machine import PROGRAM_WORDS, Fault, Instruction, Op, Program, Which, decode
from hardloom.golden.samplers.sampling import Sampling
from tests.golden.samplers.engines import MASK, Scripted, steps_of

A, B, C = 2, 3, 4
WORD = (1 << 32) - 1


def loads(register, value):
    return [Instruction(Op.SET, register, 0, value & 0xFFFF), Instruction(Op.UPPER, register, 0, value >> 16)]


def machine(instructions, limit=1000):
    """On the prompt 7, 8 and four tokens; a pass has predicted everything."""
    one = [Instruction(Op.SET, 31, 0, 0), Instruction(Op.BLOCK, 31, 1), Instruction(Op.PREDICT, imm=1)]
    made = Machine(Program.of("mine", [*one, *instructions]), [7, 8], 4, MASK, 100, limit)
    made.run()
    made.answer([10, MASK, 12, 13], [65536, 70000, 1 << 40, 65536])
    return made


@pytest.mark.parametrize(
    ("instruction", "b", "c", "right"),
    [
        (Instruction(Op.SET, A, 0, 0xFFFF), 0, 0, 0xFFFF),
        (Instruction(Op.UPPER, A, 0, 0x8001), 0, 0, 0x80010001),
        (Instruction(Op.ADDI, A, B, 0x7FFF), WORD, 0, 0x7FFE),
        (Instruction(Op.ADDI, A, B, 0x8000), 5, 0, (5 - 0x8000) & WORD),
        (Instruction(Op.ADD, A, B, C), WORD, 2, 1),
        (Instruction(Op.SUB, A, B, C), 1, 2, WORD),
        (Instruction(Op.MUL, A, B, C), WORD, WORD, (WORD * WORD >> 16) & WORD),
        (Instruction(Op.MUL, A, B, C), 3 << 15, 3, 4),
        (Instruction(Op.AND, A, B, C), 0xFF00FF00, 0x0FF00FF0, 0x0F000F00),
        (Instruction(Op.OR, A, B, C), 0xFF00FF00, 0x0FF00FF0, 0xFFF0FFF0),
        (Instruction(Op.XOR, A, B, C), 0xFF00FF00, 0x0FF00FF0, 0xF0F0F0F0),
        (Instruction(Op.SHL, A, B, 31), 3, 0, 1 << 31),
        (Instruction(Op.SHR, A, B, 31), 3 << 30, 0, 1),
        (Instruction(Op.TOKEN, A, B), 0, 0, 7),
        (Instruction(Op.TOKEN, A, B), 2, 0, MASK),
        (Instruction(Op.GUESS, A, B), 4, 0, 12),
        (Instruction(Op.SPREAD, A, B), 3, 0, 70000),
        (Instruction(Op.SPREAD, A, B), 4, 0, WORD),
        (Instruction(Op.NOTE, A, B), 5, 0, 0),
        (Instruction(Op.MEMO, A, B), 5, 0, 0),
    ],
)
def test_an_instruction_gives_its_value(instruction, b, c, right):
    made = machine([Instruction(Op.SET, A, 0, 1), *loads(B, b), *loads(C, c), instruction, Instruction(Op.END)])
    assert made.run() is False and made.ended
    assert made.registers[A] == right


@pytest.mark.parametrize(
    ("op", "taken"),
    [(Op.JEQ, [0, 1, 0]), (Op.JNE, [1, 0, 1]), (Op.JLT, [1, 0, 0]), (Op.JGE, [0, 1, 1]), (Op.JUMP, [1, 1, 1])],
)
def test_a_jump_is_taken_where_its_condition_holds_without_sign(op, taken):
    for (a, b), right in zip([(1, WORD), (5, 5), (1 << 31, 1)], taken, strict=True):
        jump = [Instruction(op, A, B, 9), Instruction(Op.SET, C, 0, 1), Instruction(Op.END)]
        made = machine([*loads(A, a), *loads(B, b), *jump])
        made.run()
        assert made.registers[C] == 1 - right


@pytest.mark.parametrize(
    ("which", "right"),
    [
        (Which.MASKED, [2, 5, 3, 4]),
        (Which.MASKED | Which.IN_ORDER, [2, 3, 4, 5]),
        (Which.MASKED | Which.GUESSED, [2, 5, 4]),
        (Which.DIFFERS | Which.IN_ORDER, [2, 4, 5]),
        (Which.FILLED, []),
        (Which(0), [2, 5, 3, 4]),
    ],
)
def test_a_scan_meets_positions_in_its_order(which, right):
    scan = [Instruction(Op.SCAN, A, int(which), 7), Instruction(Op.SHL, B, B, 4), Instruction(Op.OR, B, B, A)]
    made = machine([*scan, Instruction(Op.JUMP, imm=3), Instruction(Op.END)])
    made.run()
    assert [int(digit, 16) for digit in f"{made.registers[B]:x}" if made.registers[B]] == right
    assert made.executed[Op.SCAN] == len(right) + 1


def test_what_is_written_is_read_back_and_recorded():
    put = [Instruction(Op.SET, A, 0, 5), Instruction(Op.SET, B, 0, 11), Instruction(Op.PUT, B, A)]
    kept = [Instruction(Op.SET_NOTE, B, A), Instruction(Op.SET_MEMO, A, A), Instruction(Op.TOKEN, C, A)]
    made = machine([*put, *kept, Instruction(Op.END)])
    made.run()
    assert made.records == [(5, 11, 65536)] and made.registers[C] == 11
    assert (made.note[5], made.memo[5]) == (11, 5)


FAULTS = [
    ([Instruction(Op.ILLEGAL)], Fault.ILLEGAL),
    ([], Fault.ILLEGAL),
    ([Instruction(Op.JUMP, imm=900)], Fault.ILLEGAL),
    ([Instruction(Op.SHL, A, A, 32)], Fault.ILLEGAL),
    ([Instruction(Op.GUESS, A, A)], Fault.POSITION),
    ([Instruction(Op.TOKEN, A, 1)], Fault.POSITION),
    ([Instruction(Op.PUT, A, 1)], Fault.POSITION),
    ([Instruction(Op.SET_NOTE, A, A)], Fault.POSITION),
    ([Instruction(Op.BLOCK, 1, 1)], Fault.POSITION),
    ([Instruction(Op.BLOCK, 1, A)], Fault.POSITION),
    ([Instruction(Op.ADDI, A, 1, 1), Instruction(Op.BLOCK, B, A)], Fault.POSITION),
    ([Instruction(Op.SET, A, 0, 100), Instruction(Op.PUT, A, 0)], Fault.TOKEN),
    ([Instruction(Op.JUMP, imm=3)], Fault.ENDLESS),
]


@pytest.mark.parametrize(("instructions", "fault"), FAULTS)
def test_what_goes_wrong_ends_the_run_with_its_reason(instructions, fault):
    with pytest.raises(SamplerFault) as caught:
        machine(instructions).run()
    assert caught.value.fault is fault
    assert str(caught.value).startswith("sampler mine, instruction ") and isinstance(caught.value, UserError)


@pytest.mark.parametrize(
    ("instructions", "fault"),
    [([Instruction(Op.PREDICT)], Fault.POSITION), ([Instruction(Op.PUT, A, 0)], Fault.EARLY)],
)
def test_what_a_program_may_not_begin_with(instructions, fault):
    with pytest.raises(SamplerFault) as caught:
        Machine(Program.of("mine", instructions), [7], 2, MASK, 100).run()
    assert caught.value.fault is fault


def test_passes_without_end_are_a_fault(monkeypatch):
    monkeypatch.setattr("hardloom.golden.samplers.interpreter.MAX_FORWARDS", 3)
    made = machine([Instruction(Op.PREDICT), Instruction(Op.JUMP, imm=3)])
    assert made.run() and made.run()
    with pytest.raises(SamplerFault, match="it does not end"):
        made.run()


def test_a_sampler_that_waits_for_what_never_comes_is_an_error_of_its_user(tmp_path, monkeypatch):
    monkeypatch.setattr("hardloom.golden.samplers.interpreter.MAX_FORWARDS", 20)
    file = tmp_path / "idle.sampler"
    file.write_text('"""Idle."""\nblock(prompt_length, positions)\nwhile any(masked):\n    predict(masked)\n')
    engine = Scripted([[1, 2]], [[1.0, 1.0]])
    with pytest.raises(UserError, match=r"sampler idle, instruction \d+: it does not end"):
        steps_of(engine, [[7]], Sampling.of(str(file), 1))


def test_words_are_what_they_encode_and_no_other_is_an_instruction():
    for op in Op:
        one = Instruction(op, 31, 17, 0xFFFF)
        assert decode(one.encode()) == (one if op else Instruction(op, 31, 17, 0xFFFF))
    for word in (31, 1 << 31 | 1):
        assert decode(word).op is Op.ILLEGAL


def test_a_program_that_the_chip_cannot_hold_is_refused():
    Program.of("mine", [Instruction(Op.END)] * PROGRAM_WORDS)
    with pytest.raises(UserError, match="1025 instructions are more than the 1024"):
        Program.of("mine", [Instruction(Op.END)] * (PROGRAM_WORDS + 1))
