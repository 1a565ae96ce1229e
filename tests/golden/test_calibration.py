"""Calibration: what is noted is what the float model has, and the contract holds it."""

import json
import math
from dataclasses import replace

import pytest
import torch

from hardloom.golden.calibration.contract import contract_for, limit_of
from hardloom.golden.calibration.measured import Calibration, Source
from hardloom.golden.calibration.ranges import Range, observe
from hardloom.golden.calibration.sequences import masked, sequences_of, token_file
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.fingerprint import fingerprint
from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import Arithmetic, FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import tiny_config, tiny_model, write_random_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration") / "ckpt"
    write_random_checkpoint(folder)
    return Checkpoint(folder)


def tokens(count: int = 12, length: int = 20) -> torch.Tensor:
    return torch.randint(0, 21, (count, length), generator=torch.Generator().manual_seed(3))


class Residuals(Arithmetic):
    """The largest magnitude of each channel of the residual stream, each time that it changes."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.abs().amax((0, 1)))
        return x


@torch.inference_mode()
def test_ranges_are_those_of_the_whole_model(checkpoint):
    model, sequences = FloatModel.from_checkpoint(checkpoint.path), tokens()
    model.arithmetic = noted = Residuals()
    logits = model(sequences)
    ranges = observe(checkpoint, sequences, "folded")
    embedding, *layers = noted.seen
    assert torch.allclose(ranges.channels["residual", None], embedding)
    for layer in range(2):
        expected = torch.maximum(*layers[2 * layer : 2 * layer + 2])
        assert torch.allclose(ranges.channels["residual", layer], expected, rtol=1e-4)
    found = {one.site: one for one in ranges.found()}
    assert found["logits"].largest == pytest.approx(float(logits.abs().max()), rel=1e-4)
    assert found["residual"].largest == pytest.approx(float(torch.stack(noted.seen).max()), rel=1e-4)


@torch.inference_mode()
def test_a_gain_behind_the_norm_is_part_of_its_output(checkpoint):
    folded, behind = (observe(checkpoint, tokens(), gains).channels for gains in ("folded", "behind"))
    gain = checkpoint.tensor("model.norm.weight").float()
    assert torch.allclose(behind["norm", None], folded["norm", None] * gain.abs(), rtol=1e-4)
    assert torch.allclose(behind["logits", None], folded["logits", None], rtol=1e-4)


@pytest.mark.parametrize("largest", [0.0, 0.3, 1.0, 100.0, 24926.0, 40000.0, 1e7])
def test_the_chosen_word_ends_at_the_margin_or_above_with_as_fine_a_step_as_it_has_bits_for(largest):
    ranges = (Range("residual", 3, 5, largest, 1.0), Range("scores", 0, 0, 3 * 2**9, 1.0))
    numerics = contract_for(ranges, Numerics(), margin=2.0)
    word = numerics.word
    assert limit_of(numerics, "residual") >= 2 * largest
    assert limit_of(numerics, "scores") == 4096 and numerics.score == FixedPoint(24, 11)
    finer = replace(numerics, word=FixedPoint(word.width, word.frac + 1))
    assert word.frac == 16 or limit_of(finer, "residual") < 2 * largest
    assert word.width == 28 or (word.frac == 10 and limit_of(finer, "residual") < 2 * largest)


@pytest.mark.parametrize("largest", [2.0**25 + 1, 1e8, 1e12])
def test_a_range_that_no_word_holds_is_named(largest):
    with pytest.raises(
        UserError, match=rf"down of layer 7 reaches {largest:,.6g}, and no word of 37 bits".replace("+", "[+]")
    ):
        contract_for((Range("down", 7, 0, largest, 1.0), Range("scores", 0, 0, 1, 1)), Numerics(), 2.0)
    with pytest.raises(UserError, match=r"scores of layer 0 reaches 1e[+]12, and no word of 37 bits holds 2 times"):
        contract_for((Range("down", 7, 0, 1.0, 1.0), Range("scores", 0, 0, 1e12, 1)), Numerics(), 2.0)


def test_the_widest_contract_is_one():
    ranges = Range("down", 7, 0, 2.0**25, 1.0), Range("scores", 0, 0, 2.0**35, 1)
    found = contract_for(ranges, Numerics(), 2.0)
    assert (found.word, found.score) == (FixedPoint(37, 10), FixedPoint(37, 0))


def saturates(checkpoint: Checkpoint, contract: Numerics, folder) -> bool:
    """Whether the residual stream or a logit reaches the end of the word."""
    quantize_checkpoint(checkpoint.path, folder, "mxfp4", contract)
    seen: list[int] = []

    def record(name: str, x: torch.Tensor) -> None:
        if name.endswith(("residual", "logits")):
            seen.append(int(x.abs().max()))

    IntegerModel(QuantizedCheckpoint(folder)).forward(tokens(), record)
    return max(seen) >= contract.word.max


def test_the_contract_of_a_calibration_does_not_saturate_and_a_narrower_one_does(checkpoint, tmp_path):
    ranges = tuple(observe(checkpoint, tokens(), "folded").found())
    largest = max(one.largest for one in ranges if one.site in ("residual", "logits"))
    whole = math.ceil(math.log2(largest)) + 1
    for held, width in ((True, 24), (False, 20)):
        contract = replace(Numerics(), word=FixedPoint(width, 23 - whole))
        assert saturates(checkpoint, contract, tmp_path / str(width)) != held


RANGES = tuple(Range(site, None, 1, 2.5, 0.5) for site in ("residual", "norm", "scores", "logits"))


def test_a_calibration_survives_its_file():
    calibration = Calibration("0123456789abcdef", Source("book.txt", "ab" * 32, 4096, 0), 2.0, RANGES)
    whole = calibration.to_json()
    assert Calibration.from_json(json.loads(json.dumps(whole))) == calibration
    for broken in (None, {}, {**whole, "ranges": [{"site": "x"}]}, {**whole, "text": {"file": "x"}}, {"margin": 2}):
        with pytest.raises(UserError, match="checkpoint, text, margin and ranges"):
            Calibration.from_json(broken)


@pytest.mark.parametrize(
    ("margin", "ranges", "message"),
    [
        (0, RANGES, "margin is 0; give a number of 1 or more"),
        (0.99, RANGES, "margin is 0.99"),
        (math.nan, RANGES, "margin is nan"),
        ("2", RANGES, "margin is '2'"),
        (2.0, (), "ranges name 'residual' 0 times"),
        (2.0, RANGES[:3], "ranges name 'logits' 0 times"),
        (2.0, (*RANGES, RANGES[1]), "ranges name 'norm' 2 times"),
        (2.0, (*RANGES, Range("down", 1, 0, -3.0, 1.0)), "range of down is -3.0, typically 1.0"),
        (2.0, (*RANGES, Range("down", 1, 0, math.inf, 1.0)), "range of down is inf"),
        (2.0, (*RANGES, Range("down", 1, 0, 3.0, -1.0)), "range of down is 3.0, typically -1.0"),
    ],
)
def test_a_calibration_that_none_can_be_is_refused(margin, ranges, message):
    with pytest.raises(UserError, match=message):
        Calibration("0123456789abcdef", Source("book.txt", "ab" * 32, 4096, 0), margin, ranges)


def test_a_fingerprint_is_of_the_model_and_not_of_its_files(checkpoint, tmp_path):
    own = fingerprint(checkpoint)
    wide = {t.name: checkpoint.tensor(t.name).float() for t in checkpoint.model.tensors()}
    same = write_random_checkpoint(tmp_path / "same", shards=0, replace=wide)
    assert fingerprint(Checkpoint(same)) == own and len(own) == 16
    for name in ("model.norm.weight", "model.layers.1.mlp.experts.3.down_proj.weight"):
        other = write_random_checkpoint(tmp_path / name, replace={name: wide[name] * 1.01})
        assert fingerprint(Checkpoint(other)) != own
    turned = write_random_checkpoint(tmp_path / "turned", tiny_config(rope_theta=10000.0))
    assert fingerprint(Checkpoint(turned)) != own


def test_masks_cover_a_share_drawn_evenly_and_repeat_with_their_seed():
    model = tiny_model()
    plain = torch.zeros(4000, 50, dtype=torch.int64)
    hidden = masked(plain, model, 5) == model.mask_token_id
    assert torch.equal(masked(plain, model, 5) == model.mask_token_id, hidden)
    assert not torch.equal(masked(plain, model, 6) == model.mask_token_id, hidden)
    shares = hidden.float().mean(1)
    for tenth in range(10):
        inside = (shares >= tenth / 10) & (shares < (tenth + 1) / 10)
        assert 0.07 < float(inside.float().mean()) < 0.13
    causal = replace(model, mask_token_id=None)
    assert torch.equal(masked(plain, causal, 5), plain)


def test_tokens_of_another_vocabulary_are_refused(tmp_path):
    file, model = tmp_path / "tokens", tiny_model()
    file.write_text("1, 2 3\n22 " * 150)
    assert token_file(file, model)[:4] == [1, 2, 3, 22]
    assert sequences_of(token_file(file, model), model, file, 10**6).shape == (600 // 64, 64)
    with pytest.raises(UserError, match="--most: 500 tokens are too few; give 512 or more"):
        sequences_of(token_file(file, model), model, file, 500)
    with pytest.raises(UserError, match="500 tokens of it are too few"):
        sequences_of(token_file(file, model)[:500], model, file, 10**6)
    tokens = token_file(file, model)
    tokens[511] = model.mask_token_id
    with pytest.raises(UserError, match=f"has the mask token {model.mask_token_id}; give a text of words"):
        sequences_of(tokens, model, file, 10**6)
    file.write_text("[[1, 2,\n 3], [4]]")
    assert token_file(file, model) == [1, 2, 3, 4]
    for text, message in (("4 23", "token 23 at place 1"), ("4 -1", "'-1' is no token id"), ("4 x", "'x' is no")):
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            token_file(file, model)
