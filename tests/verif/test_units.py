"""Every stream unit in every geometry of its bench: bit for bit its specification under Verilator; clean text."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import hardloom.golden.units as specified
from hardloom.gen.text.waivers import WAIVED
from hardloom.verif.simulators.verilator import lint
from hardloom.verif.streams import bench


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all benches were built and run."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST")  # or else cocotb leaves pytest at the first failure, unnamed
        bench.run([], folder)
    return folder


def test_every_unit_is_its_specification_bit_for_bit(folder: Path) -> None:
    tests = list(ElementTree.parse(folder / "results.xml").getroot().iter("testcase"))
    failures = [f"{test.get('name')}: {f.get('message')}" for test in tests for f in test.iter("failure")]
    assert not failures, "\n".join(failures)
    cases = bench.cases()
    assert len(tests) == 5 * len(cases) + sum(case.alone is not None for case in cases)


def test_emitted_text_is_clean_under_lint(folder: Path) -> None:
    """`-Wall` without what `gen.text.waivers` explains, on every unit in every geometry.

    In a bench all are in one file, and plain outputs are left open.
    """
    assert lint("bench", ["bench.v"], folder, [*WAIVED, "DECLFILENAME", "PINMISSING"]) == ""


def test_every_specification_has_a_bench_of_its_name() -> None:
    specifications = {path.stem for path in Path(specified.__file__).parent.glob("*.py")}
    shared = {
        "__init__",
        "activations",
        "exact",
        "fixed",
        "numerics",
        "rounding",
        "saturations",
        "softmax",
        "table",
    }
    assert specifications - shared <= set(bench.units())


def test_in_a_bench_a_word_that_is_read_as_it_is_written_comes_inverted() -> None:
    text = bench.bench_verilog([bench.cases(["residual"])[0]])
    assert text.count("? ~stored[read_address]") == text.count("module hardloom_ram_1r1w_") > 0


def test_emitted_text_is_the_same_each_time_and_names_no_folder() -> None:
    case = bench.cases(["rope"])[0]
    text = bench.bench_verilog([case])
    assert bench.bench_verilog([case]) == text
    assert str(Path.home()) not in text
    assert ".py" not in text
