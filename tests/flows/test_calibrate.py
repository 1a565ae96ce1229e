"""`hardloom calibrate`: the file that it writes is what `quantize --numerics` takes, and bad input is one sentence."""

import json

import pytest

from golden.quantization.quantized import QuantizedCheckpoint
from tests import ROOT
from tests.command_line import hardloom

DEMO = ROOT / "checkpoints" / "demo"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A contract of the demonstration model, and what the command printed."""
    folder = tmp_path_factory.mktemp("calibrate")
    (folder / "text").write_text("47+85=132 sort dbca=abcd " * 40)
    ran = hardloom(
        "calibrate", DEMO, "--text", folder / "text", "-o", folder / "n.json", "--plot", folder / "p", "--json"
    )
    assert ran.code == 0, ran.err
    return folder, json.loads(ran.out)


def test_the_contract_is_written_as_printed_and_quantize_stores_it(written, tmp_path):
    folder, printed = written
    assert json.loads((folder / "n.json").read_text()) == printed
    assert {"residual", "norm", "scores", "logits", "swiglu"} <= {r["site"] for r in printed["calibration"]["ranges"]}
    assert all((folder / name).stat().st_size > 1000 for name in ("p.png", "p.svg"))
    ran = hardloom("quantize", DEMO, "-o", tmp_path / "q", "--numerics", folder / "n.json")
    assert ran.code == 0, ran.err
    checkpoint = QuantizedCheckpoint(tmp_path / "q")
    assert checkpoint.numerics.to_json() == printed["numerics"]
    assert checkpoint.quantization["calibration"] == printed["calibration"]


def test_a_contract_that_does_not_hold_the_checkpoint_is_refused_by_site_and_range(written, tmp_path):
    folder, printed = written
    printed["numerics"]["word"] = {"width": 12, "frac": 11}
    (folder / "narrow.json").write_text(json.dumps(printed))
    ran = hardloom("quantize", DEMO, "-o", tmp_path / "q", "--numerics", folder / "narrow.json")
    assert ran.code == 1 and ran.err.count("\n") <= 1
    assert "word of 12 bits, 11 of them fraction, ends at 1, and residual of layer" in ran.err
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ("1+1=2", "5 tokens of it are too few"),
        ("Grüße " * 500, "not in the tokenizer's vocabulary"),
        (b"\xff\xfe" * 600, "no text in UTF-8"),
    ],
)
def test_a_bad_text_is_one_sentence(text, message, tmp_path):
    file = tmp_path / "text"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    ran = hardloom("calibrate", DEMO, "--text", file, "-o", tmp_path / "n.json")
    assert ran.code == 1 and message in ran.err and str(file) in ran.err and len(ran.err.splitlines()) == 1
    assert not (tmp_path / "n.json").exists()


def test_one_of_text_and_tokens_is_given(tmp_path):
    ran = hardloom("calibrate", DEMO, "-o", tmp_path / "n.json")
    assert ran.code == 1 and "--text" in ran.err
