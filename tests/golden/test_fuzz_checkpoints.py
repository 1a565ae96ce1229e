"""Hostile checkpoints are refused in one sentence, or mean what they say: see `tests.golden.fuzz_checkpoints`.

No traceback, no hang, no more than 4 GiB, no false success. A case is repeated by its seed:
`python -m tests.sandbox tests.golden.fuzz_checkpoints SEED`.
"""

from collections import Counter

import pytest

from tests.sandbox import run_cases, seeds

CASES = "tests.golden.fuzz_checkpoints"


def run(count: int) -> Counter[str]:
    """`count` cases; how many of each outcome. Fails where one is wrong."""
    numbers = seeds(count)
    print(f"{CASES}: seeds {numbers[0]} to {numbers[-1]}")
    outcomes = run_cases(CASES, numbers)
    wrong = [f"seed {seed}: {text}" for seed, word, text in outcomes if word == "failed"]
    assert not wrong, f"{len(wrong)} of {count}; `python -m tests.sandbox {CASES} SEED` repeats one\n" + "\n".join(
        wrong
    )
    return Counter(word.rpartition(" ")[2] for _, word, _ in outcomes)


def test_a_few_hostile_checkpoints() -> None:
    run(40)


@pytest.mark.slow
def test_a_thousand_hostile_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        outcomes = run(1000)
    assert min(outcomes["accepted"], outcomes["refused"]) > 100, "mutations that are all alike find nothing"
