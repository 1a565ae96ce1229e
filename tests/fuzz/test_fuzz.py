"""What is hostile is refused in one sentence, or means what it says: checkpoints and build folders, a seed each.

No traceback, no hang, no more than 4 GiB, no false success. A case is repeated by its seed:
`python -m tests.fuzz.sandbox tests.fuzz.checkpoints.cases SEED`.
"""

from collections import Counter
from pathlib import Path

import pytest

from hardloom.gen.build.folder import Build
from tests.fuzz.sandbox import run_cases, seeds

CHECKPOINTS, BUILDS = "tests.fuzz.checkpoints.cases", "tests.fuzz.builds.cases"


def run(cases: str, count: int, given: Path | None = None) -> Counter[str]:
    """`count` cases; how many of each outcome. Fails where one is wrong."""
    numbers = seeds(count)
    print(f"{cases}: seeds {numbers[0]} to {numbers[-1]}")
    outcomes = run_cases(cases, numbers, given)
    wrong = [f"seed {seed}: {text}" for seed, word, text in outcomes if word == "failed"]
    assert not wrong, f"{len(wrong)} of {count}; `python -m tests.fuzz.sandbox {cases} SEED` repeats one\n" + "\n".join(
        wrong
    )
    return Counter(word for _, text, _ in outcomes for word in text.partition(": ")[2].split(", "))


def test_a_few_hostile_checkpoints() -> None:
    run(CHECKPOINTS, 40)


def test_a_few_hostile_builds(tiny_build: Build) -> None:
    run(BUILDS, 40, tiny_build.path)


@pytest.mark.slow
def test_a_thousand_hostile_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        outcomes = run(CHECKPOINTS, 1000)
    assert min(outcomes["accepted"], outcomes["refused"]) > 100, "mutations that are all alike find nothing"


@pytest.mark.slow
def test_a_thousand_hostile_builds(tiny_build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        outcomes = run(BUILDS, 1000, tiny_build.path)
    assert min(outcomes["proven"], outcomes["seen"], outcomes["mended"]) > 30, (
        "mutations that are all alike find nothing"
    )
