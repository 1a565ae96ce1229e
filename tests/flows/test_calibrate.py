"""`hardloom calibrate`, `sensitivity` and `quantize --method gptq`: what they write, and bad input in one sentence."""

import json

import pytest
import torch

from hardloom.flows.pictures.outliers import rows_of
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.fingerprint import fingerprint
from hardloom.golden.files import sha256
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.activations import ActivationBits
from tests import ROOT
from tests.checkpoints import write_random_checkpoint
from tests.command_line import hardloom

DEMO = ROOT / "checkpoints" / "demo"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A contract of the demonstration model, and what the command printed."""
    folder = tmp_path_factory.mktemp("calibrate")
    (folder / "text").write_text("47+85=132 sort dbca=abcd " * 40)
    (folder / "ids").write_text("1 2 3 " * 200)
    ran = hardloom(
        "calibrate", DEMO, "--text", folder / "text", "-o", folder / "n.json", "--plot", folder / "p.png", "--json"
    )
    assert ran.code == 0, ran.err
    return folder, json.loads(ran.out)


def test_the_contract_is_written_as_printed_and_quantize_stores_it(written, tmp_path):
    folder, printed = written
    assert json.loads((folder / "n.json").read_text()) == printed
    assert {"residual", "norm", "scores", "logits", "swiglu"} <= {r["site"] for r in printed["calibration"]["ranges"]}
    assert (folder / "p.png").stat().st_size > 1000
    ran = hardloom("quantize", DEMO, "-o", tmp_path / "q", "--numerics", folder / "n.json")
    assert ran.code == 0, ran.err
    checkpoint = QuantizedCheckpoint(tmp_path / "q")
    assert checkpoint.numerics.to_json() == printed["numerics"]
    assert checkpoint.quantization["calibration"] == printed["calibration"]


def test_the_picture_has_the_norm_behind_the_layers():
    parts = {("norm", layer): torch.tensor([-1.0 if layer is None else layer]) for layer in (0, 1, None)} | {
        ("swiglu", 0): torch.ones(1)
    }
    assert [row.item() for row in rows_of(parts, "norm")] == [0, 1, -1] and len(rows_of(parts, "swiglu")) == 1


def test_a_contract_of_another_checkpoint_is_refused(written, tmp_path):
    folder, printed = written
    own = fingerprint(Checkpoint(DEMO))
    assert printed["calibration"]["checkpoint"] == own
    other = write_random_checkpoint(tmp_path / "other")
    for command, *options in (
        ("quantize", "-o", tmp_path / "q", "--numerics", folder / "n.json"),
        ("sensitivity", "--tokens", folder / "ids", "--numerics", folder / "n.json"),
    ):
        ran = hardloom(command, other, *options)
        assert ran.code == 1 and len(ran.err.splitlines()) == 1
        assert f"fingerprint {own}, and that of {other} is {fingerprint(Checkpoint(other))}" in ran.err
        assert f"hardloom calibrate {other}" in ran.err
    assert not (tmp_path / "q").exists()
    (folder / "hand.json").write_text(json.dumps({"numerics": printed["numerics"]}))
    ran = hardloom("quantize", other, "-o", tmp_path / "q", "--numerics", folder / "hand.json", "--format", "mxfp4")
    assert ran.code == 0, ran.err
    assert QuantizedCheckpoint(tmp_path / "q").quantization["calibration"] is None


def test_gains_and_bits_of_activations_are_chosen_on_the_command_line(written, tmp_path):
    folder, _ = written
    given = "calibrate", DEMO, "--text", folder / "text", "--most", 600
    ran = hardloom(*given, "-o", tmp_path / "n.json", "--gains", "folded", "--activation-bits", "9", "--margin", "1")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "n.json").read_text())["numerics"]
    assert found["gains"] == "folded" and set(found["activations"].values()) == {9}
    out = tmp_path / "q"
    given = "quantize", DEMO, "-o", out, "--numerics", tmp_path / "n.json"
    ran = hardloom(*given, "--activation-bits", "norm=12,swiglu=6")
    assert ran.code == 0, ran.err
    quantized = QuantizedCheckpoint(out)
    assert quantized.numerics.gains == "folded"
    assert quantized.numerics.activations == ActivationBits(12, 9, 9, 9, 9, 6)
    for options, message in (
        (("--gains", "behind"), "was calibrated with gains folded"),
        (("--gains", "before"), "gains are 'before'; choose one of folded, behind"),
        (("--activation-bits", "13"), "activations of norm have 13 bits; choose a whole number of 4 to 12"),
        (("--activation-bits", "norm=8,norm=9"), "'norm=9' is neither a number nor SITE=BITS"),
        (("--activation-bits", "router=8"), "each site once, of norm, query, key, value, mix, swiglu"),
    ):
        ran = hardloom(*given, *options)
        assert ran.code == 1 and message in ran.err and len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("margin", ["0.999", "0", "-1", "nan"])
def test_a_margin_below_1_is_refused(margin, tmp_path):
    ran = hardloom("calibrate", DEMO, "--text", DEMO / "config.json", "-o", tmp_path / "n", "--margin", margin)
    assert ran.code == 2 and "--margin" in ran.err and len(ran.err.splitlines()) == 1


def test_a_contract_with_a_field_that_is_none_is_refused(written, tmp_path):
    folder, printed = written
    (folder / "more.json").write_text(json.dumps(printed | {"foo": 1}))
    ran = hardloom("quantize", DEMO, "-o", tmp_path / "q", "--numerics", folder / "more.json")
    assert ran.code == 1 and "more.json: a contract has the fields numerics and calibration, and no 'foo'" in ran.err


def test_a_contract_that_does_not_hold_the_checkpoint_is_refused_by_site_and_range(written, tmp_path):
    folder, printed = written
    printed["numerics"]["word"] = {"width": 16, "frac": 15}
    (folder / "narrow.json").write_text(json.dumps(printed))
    ran = hardloom("quantize", DEMO, "-o", tmp_path / "q", "--numerics", folder / "narrow.json")
    assert ran.code == 1 and ran.err.count("\n") <= 1
    assert "word of 16 bits, 15 of them fraction, ends at 1, and residual of layer" in ran.err
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


def test_quantize_by_gptq_takes_a_text_and_leaves_no_journal(written, tmp_path):
    folder, _ = written
    ran = hardloom("quantize", DEMO, "-o", tmp_path / "q", "--method", "gptq", "--calibration", folder / "text")
    assert ran.code == 0, ran.err
    plain = hardloom("quantize", DEMO, "-o", tmp_path / "n")
    assert plain.code == 0
    careful, nearest = (QuantizedCheckpoint(tmp_path / name) for name in "qn")
    same = [
        (careful.matrix(m.name).codes == nearest.matrix(m.name).codes).float().mean() for m in careful.model.matrices()
    ]
    assert same[0] == 1 and all(0.3 < share < 1 for share in same[1:5])
    assert sorted(p.name for p in (tmp_path / "q").iterdir()) == sorted(p.name for p in (tmp_path / "n").iterdir())
    text = {"file": "text", "sha256": sha256(folder / "text"), "tokens": 960, "seed": 0}
    rounding = careful.quantization["rounding"]
    assert rounding == {"method": "gptq", "text": text, "block": 32, "damping": 0.01, "longest": 4.0, "fewest": 0.25}
    assert nearest.quantization["rounding"] == {"method": "nearest"}
    told = hardloom("info", tmp_path / "q", "--no-scan")
    words = " ".join(told.out.split())
    assert "method gptq, text (file text, sha256 " in words and "damping 0.01" in words and "gains behind" in words
    assert (
        json.loads(hardloom("info", tmp_path / "q", "--no-scan", "--json").out)["quantization"]["rounding"] == rounding
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "gptq"), "give a text with --calibration, or token ids with --calibration-tokens"),
        (
            ("--method", "gptq", "--calibration", "README.md", "--calibration-tokens", "README.md"),
            "give a text with --calibration or token ids with --calibration-tokens, one of the two",
        ),
        (("--format", "mxfp7"), "choose one of mxfp4, mxfp6 (which is mxfp6_e2m3), mxfp6_e3m2, int4, int8, ternary"),
        (("--calibration", "README.md"), "nearest calibrates on nothing"),
        (("--method", "magic"), "choose one of nearest, gptq"),
    ],
)
def test_method_and_calibration_go_together(options, message, tmp_path):
    options = [ROOT / option if option == "README.md" else option for option in options]
    ran = hardloom("quantize", DEMO, "-o", tmp_path / "q", *options)
    assert ran.code == 1 and message in ran.err and len(ran.err.splitlines()) == 1
    assert not (tmp_path / "q").exists()


def test_sensitivity_has_a_row_for_every_kind_and_site(written, tmp_path):
    folder, _ = written
    ran = hardloom("sensitivity", DEMO, "--text", folder / "text", "--plot", tmp_path / "s.svg", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    kinds = ["embedding", "q", "k", "v", "o", "router", "gate", "up", "down", "head"]
    assert [cost["kind"] for cost in found["weights"]] == kinds
    assert [cost["kind"] for cost in found["activations"]] == ["norm", "query", "key", "value", "mix", "swiglu"]
    assert all(cost["divergence"] > 0 for cost in found["weights"] + found["activations"])
    assert [path.name for path in tmp_path.iterdir()] == ["s.svg"] and (tmp_path / "s.svg").stat().st_size > 1000
