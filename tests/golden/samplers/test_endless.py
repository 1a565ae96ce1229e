"""Runs that come to a state again are ended at once; those that only take long are not."""

import itertools

import pytest

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.endless import Watch
from hardloom.golden.samplers.interpreter import Machine, SamplerFault
from hardloom.golden.samplers.machine import Fault, HeadWord
from hardloom.golden.samplers.sampling import Sampling
from tests.golden.samplers.engines import MASK, Scripted, Tokens, steps_of

BEGIN = '"""Mine."""\nblock(prompt_length, positions)\n'
IDLE = "while any(masked):\n    predict(masked)\n"
SAME_AGAIN = "while any(masked):\n    predict(masked)\n    token[1] = guess[1]\n    note[2] = 5\n"
GOES_ROUND = "n = 0\nwhile any(masked):\n    predict(masked)\n    n = n + 1 if n < 6 else 0\n"
"""A register is back after seven passes."""

COUNTS = "n = 0\nwhile n < 40:\n    predict(masked)\n    n += 1\n"
NOTES = "while note[1] < 40:\n    predict(masked)\n    note[1] += 1\n"
MEMOS = "while memo[2] < 40:\n    predict(masked)\n    memo[2] += 1\n"
WRITES = "predict(masked)\ntoken[1] = 0\nwhile token[1] != 40:\n    predict(masked)\n    token[1] += 1\n"
SUPPRESSES = "n = 0\nwhile n < 40:\n    suppressed[0] = n\n    predict(masked)\n    n += 1\n"
BLOCKS = "for n in range(2, 40):\n    block(1, n)\n    predict(everything)\n"
TWICE_ALIKE = "for n in range(0, 2):\n    predict(masked)\n" * 20


def sampling(tmp_path, body, gen_length=3, **values):
    file = tmp_path / "mine.sampler"
    file.write_text(BEGIN + body)
    return Sampling.of(str(file), gen_length, **values)


def run(tmp_path, body, gen_length=3, **values):
    engine = Scripted([[1] * (gen_length + 1)], [[1.0] * (gen_length + 1)])
    try:
        return engine, steps_of(engine, [[7]], sampling(tmp_path, body, gen_length, **values)), None
    except SamplerFault as fault:
        return engine, [], fault


@pytest.mark.parametrize("before", [0, 1, 2, 3, 7, 8, 30])
@pytest.mark.parametrize("around", [1, 2, 3, 8, 9, 50])
def test_a_loop_is_told_soon_and_nothing_else_is(before, around):
    watch = Watch()
    states = (at if at < before else before + (at - before) % around for at in itertools.count())
    told = next(count for count, state in enumerate(states, 1) if watch.again(state))
    assert before + around < told <= 2 * max(before + 1, around) + around
    quiet = Watch()
    assert not any(quiet.again(state) for state in range(500))


@pytest.mark.parametrize(("body", "passes"), [(IDLE, 2), (SAME_AGAIN, 2), (GOES_ROUND, 14)])
def test_a_run_that_is_where_it_was_never_ends(tmp_path, body, passes):
    engine, _, fault = run(tmp_path, body)
    assert fault.fault is Fault.ENDLESS and engine.passes == passes
    assert f"pass {passes + 1} begins as an earlier one did" in str(fault) and isinstance(fault, UserError)


@pytest.mark.parametrize(
    ("body", "passes"),
    [(COUNTS, 40), (NOTES, 40), (MEMOS, 40), (WRITES, 41), (SUPPRESSES, 40), (TWICE_ALIKE, 40)],
)
def test_a_run_that_counts_goes_on_whatever_it_counts_in(tmp_path, body, passes):
    engine, steps, fault = run(tmp_path, body)
    assert fault is None and len(steps) == engine.passes == passes


@pytest.mark.parametrize("part", ["tokens", "guess", "spread", "note", "memo", "registers", "head"])
def test_every_word_counts(tmp_path, part):
    machine = Machine(sampling(tmp_path, IDLE).program(Tokens()), [7], 3, MASK, 100)
    machine.run()
    words, states = getattr(machine, part), {machine.state}
    places = [at for at in range(1, len(words)) if (part, at) != ("head", HeadWord.TEMPERATURE)]
    for at in places:
        words[at] ^= 1
        states.add(machine.state)
        words[at] ^= 1
    assert len(states) == 1 + len(places)


def test_a_block_that_moves_is_another_state(tmp_path):
    engine, _, fault = run(tmp_path, BLOCKS, gen_length=40)
    assert fault is None and engine.passes == 38


def test_noise_is_another_one_in_every_pass(tmp_path, monkeypatch):
    monkeypatch.setattr("hardloom.golden.samplers.interpreter.MAX_FORWARDS", 60)
    engine, _, fault = run(tmp_path, IDLE, temperature=0.5)
    assert engine.passes == 60 and fault.fault is Fault.ENDLESS and "over 1,048,576 instructions" in str(fault)


def test_who_goes_on_to_the_last_pass_ends_with_the_same_code_and_tokens(tmp_path, monkeypatch):
    """As a chip does, which remembers no state."""
    monkeypatch.setattr("hardloom.golden.samplers.interpreter.MAX_FORWARDS", 300)
    _, _, early = run(tmp_path, SAME_AGAIN)
    machine = Machine(sampling(tmp_path, SAME_AGAIN).program(Tokens()), [7], 3, MASK, 100)
    tokens = []
    with pytest.raises(SamplerFault) as late:
        while machine.run():
            machine.answer([1] * len(machine.wanted), [65536] * len(machine.wanted))
            tokens.append(list(machine.tokens))
    assert late.value.fault is early.fault and len(tokens) == 300
    assert all(one == [7, 1, MASK, MASK] for one in tokens[1:])


@pytest.mark.parametrize(
    ("passes", "told"),
    [
        ("A" + "ba" * 200, False),
        ("Ab" + "ab" * 9 + "b" * 40, True),
        ("Abc" * 20, True),
        ("Aa", True),
        ("AbAb" * 4, True),
    ],
)
def test_what_passes_have_left_decides_too(passes, told):
    """In a capital letter all positions are computed; of small ones it counts what came before them since then."""
    watch, seen = Watch(), []
    for one in passes:
        watch.computes(one.lower(), one.isupper())
        seen.append(watch.again(one.lower()))
    assert any(seen) == told


def test_a_row_that_never_ends_is_told_whatever_its_neighbours_do(tmp_path):
    fill = "    for p in in_order(masked):\n        token[p] = guess[p]\n"
    body = f"while token[0] == 7 or any(masked):\n    predict(masked)\n{fill}"
    engine = Scripted([[1] * 4] * 2, [[1.0] * 4] * 2)
    assert len(steps_of(engine, [[8], [9]], sampling(tmp_path, body))) == 1
    with pytest.raises(UserError, match="it does not end"):
        steps_of(engine, [[8], [7]], sampling(tmp_path, body))
