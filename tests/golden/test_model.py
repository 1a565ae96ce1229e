"""The float model against an independent computation, its fake quantization, and training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import linear

import hardloom.golden.training.history as history
import hardloom.golden.training.train as training
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import Arithmetic, FloatModel, MixtureOfExperts, Router
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.models.positions import apply_rotary, rotary_tables
from hardloom.golden.quantization.formats import fake_quantize
from hardloom.golden.shape import ExpertsShape
from hardloom.golden.training.demo import DEMO, masked_loss
from hardloom.golden.training.export import export_checkpoint
from hardloom.golden.training.fake_quant import FakeQuant, quantize_vector
from hardloom.golden.training.recipe import TrainingParams
from hardloom.golden.training.recipes import RECIPES
from hardloom.golden.training.train import train
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.quantize import Quantize
from tests.checkpoints import shapes_of, tiny_config, write_random_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_random_checkpoint(
        tmp_path_factory.mktemp("model") / "tiny", tiny_config(moe_router_enable_expert_bias=True), seed=3
    )


def reference_logits(path, tokens):
    """Float64 NumPy, one token, head and expert at a time; rotary embedding as multiplication of complex numbers."""
    source = Checkpoint(path)
    model = source.model
    w = {tensor.name: source.tensor(tensor.name).double().numpy() for tensor in model.tensors()}

    def norm(x, gain):
        return x / np.sqrt((x * x).mean() + model.rms_norm_eps) * gain

    def rotate(x, position):
        half = len(x) // 2
        turn = np.exp(1j * position * 50000.0 ** (-np.arange(half) / half))
        y = (x[:half] + 1j * x[half:]) * turn
        return np.concatenate([y.real, y.imag])

    def attention(x, base):
        h = [norm(row, w[base + "input_layernorm.weight"]) for row in x]
        q, k, v = ([w[f"{base}self_attn.{n}_proj.weight"] @ row for row in h] for n in "qkv")
        mixed, d = np.zeros_like(x), 20
        for head in range(2):
            part = slice(head * d, (head + 1) * d)
            qs, ks = (
                [rotate(norm(row[part], w[f"{base}self_attn.{n}_norm.weight"]), p) for p, row in enumerate(rows)]
                for n, rows in (("q", q), ("k", k))
            )
            for p, one in enumerate(qs):
                e = np.exp([one @ other / np.sqrt(d) for other in ks])
                mixed[p, part] = sum(share * row[part] for share, row in zip(e / e.sum(), v, strict=True))
        return mixed @ w[base + "self_attn.o_proj.weight"].T

    def experts(row, base):
        h = norm(row, w[base + "post_attention_layernorm.weight"])
        e = np.exp(w[base + "mlp.gate.weight"] @ h)
        p = e / e.sum()
        out = np.zeros_like(row)
        p = p + w[base + "mlp.expert_bias"]
        for expert in np.argsort(-p)[:2]:
            gate, up, down = (w[f"{base}mlp.experts.{expert}.{n}_proj.weight"] for n in ("gate", "up", "down"))
            g = gate @ h
            out += p[expert] * (down @ (g / (1 + np.exp(-g)) * (up @ h)))
        return out

    x = w["model.embed_tokens.weight"][tokens]
    for layer in range(len(model.layers)):
        base = f"model.layers.{layer}."
        x = x + attention(x, base)
        x = x + np.array([experts(row, base) for row in x])
    return np.array([w["lm_head.weight"] @ norm(row, w["model.norm.weight"]) for row in x])


def test_logits_agree_with_an_independent_computation(checkpoint):
    tokens = torch.randint(23, (2, 6), generator=torch.Generator().manual_seed(1))
    logits = FloatModel.from_checkpoint(checkpoint)(tokens)
    assert logits.shape == (2, 6, 23) and logits.dtype == torch.float32
    for row, found in zip(tokens, logits, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), reference_logits(checkpoint, row.numpy()), atol=2e-5)


def test_attention_sees_later_positions(checkpoint):
    model = FloatModel.from_checkpoint(checkpoint)
    tokens = torch.tensor([[1, 2, 3, 4]])
    assert not torch.allclose(model(tokens)[0, 0], model(torch.tensor([[1, 2, 3, 5]]))[0, 0])


def test_tensor_names_are_those_of_the_checkpoints():
    for config in (DEMO.config(), tiny_config(moe_router_enable_expert_bias=True)):
        made = FloatModel(shape_of(config)).state_dict()
        assert {name: tuple(tensor.shape) for name, tensor in made.items()} == shapes_of(config)


def test_rotary_pairs_the_halves_and_leaves_position_zero_alone():
    x = torch.arange(1.0, 5.0).expand(3, 4)
    turned = apply_rotary(x, *rotary_tables(3, 4, 100.0))
    torch.testing.assert_close(turned[0], x[0])
    c, s = np.cos(2), np.sin(2)
    slow_c, slow_s = np.cos(0.2), np.sin(0.2)
    expected = [1 * c - 3 * s, 2 * slow_c - 4 * slow_s, 3 * c + 1 * s, 4 * slow_c + 2 * slow_s]
    torch.testing.assert_close(turned[2], torch.tensor(expected, dtype=torch.float32))


def test_router_weights_are_not_renormalised_and_ties_go_to_the_lowest_expert():
    router = Router(40, ExpertsShape(4, 2, 33), None)
    router.weight.data.zero_()
    router.weight.data[3, 0] = 1.0
    x = torch.eye(1, 40)[None]
    _, chosen, weight = router(x, torch.ones(40), None, Arithmetic())
    assert chosen.tolist() == [[[3, 0]]]
    torch.testing.assert_close(weight, torch.tensor([[[np.e, 1.0]]], dtype=torch.float32) / (np.e + 3))


def test_the_expert_bias_is_in_the_choice_and_in_the_weight():
    router = Router(40, ExpertsShape(4, 2, 33, bias="mixing"), None)
    router.weight.data.zero_()
    x, bias = torch.ones(1, 1, 40), torch.tensor([-9.0, -0.5, -2.0, 1.25])
    _, chosen, weight = router(x, torch.ones(40), bias, Arithmetic())
    assert chosen.tolist() == [[[3, 1]]]
    torch.testing.assert_close(weight, torch.tensor([[[1.5, -0.25]]]))


def published_experts(h, block, top_k):
    """The sparse block of the published code (`LLaDAMoESparseMoeBlock`), in torch: `h` [tokens, hidden_size]."""
    weights = torch.softmax(h @ block.gate.weight.T, dim=1, dtype=torch.float)
    weights = weights + block.expert_bias
    weights, selected = torch.topk(weights, top_k, dim=-1)
    out = torch.zeros_like(h)
    mask = torch.nn.functional.one_hot(selected, len(block.experts)).permute(2, 1, 0)
    for expert, chosen in zip(block.experts, mask, strict=True):
        slot, token = torch.where(chosen)
        gate, up = (linear(h[token], projection.weight) for projection in (expert.gate_proj, expert.up_proj))
        hidden = linear(torch.nn.functional.silu(gate) * up, expert.down_proj.weight)
        out.index_add_(0, token, hidden * weights[token, slot, None])
    return out


@pytest.mark.parametrize("size", [0.01, 0.3, 3.0])
def test_experts_are_mixed_as_the_published_code_mixes_them(size):
    torch.manual_seed(0)
    block = MixtureOfExperts(40, ExpertsShape(6, 3, 33, bias="mixing"), None)
    block.expert_bias.copy_(torch.randn(6) * size)
    x = torch.randn(1, 50, 40)
    with torch.inference_mode():
        found, published = block(x, torch.ones(40), Arithmetic())[0][0], published_experts(x[0], block, 3)
        block.expert_bias.zero_()
        unbiased = block(x, torch.ones(40), Arithmetic())[0][0]
    torch.testing.assert_close(found, published)
    assert (published - unbiased).norm() > size * published.norm() / 10


def test_fake_quantized_activations_are_those_of_the_chip():
    exponents = torch.randint(-14, 5, (500, 1), generator=torch.Generator().manual_seed(0))
    x = torch.randn(500, 24, generator=torch.Generator().manual_seed(1)) * 2.0**exponents
    x[0] = 0
    x[1, :2] = torch.tensor([127.5, -127.5]) * 2.0**-9
    fixed = torch.round(x * 65536).to(torch.int64)
    q, scale = Quantize().compute(fixed)
    scale = scale if scale.dim() == q.dim() else scale[..., None]
    assert torch.equal(quantize_vector(x).double(), q.double() * 2.0 ** (scale - 16))


def test_fake_quantized_matrices_fold_the_gain_and_pass_the_gradient():
    weight = torch.randn(6, 64, requires_grad=True)
    gain = torch.rand(64) + 0.5
    gain.requires_grad_()
    x = torch.randn(3, 64)
    quantized = FakeQuant("mxfp4").matrix(weight, gain)
    stored = weight.bfloat16().float() * gain.bfloat16().float()
    torch.testing.assert_close(quantized, fake_quantize(stored, "mxfp4"))
    linear(x, quantized).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0) * gain.detach() * torch.ones(6, 1))
    torch.testing.assert_close(gain.grad, (x.sum(0) * weight.detach()).sum(0))


@pytest.mark.parametrize("biased", [False, True])
def test_what_training_rounds_is_what_the_chip_computes(tmp_path, biased):
    config = tiny_config(hidden_size=64, expert_intermediate_size=64, moe_router_enable_expert_bias=biased)
    bias = torch.tensor([-0.75, 0.5, 0.0, -0.2])
    biases = {f"model.layers.{n}.mlp.expert_bias": bias for n in range(2 * biased)}
    path = write_random_checkpoint(tmp_path / "c", config, seed=5, replace=biases)
    model, chip = FloatModel.from_checkpoint(path), IntegerModel.from_checkpoint(path, "mxfp4", Numerics())
    tokens = torch.randint(23, (4, 12), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        exact = model(tokens)
        model.arithmetic = FakeQuant("mxfp4")
        rounded = model(tokens)
    error, cost = (rounded - chip.logits(tokens)).abs().median(), (rounded - exact).abs().median()
    assert error < cost / 5


def test_an_exported_model_is_read_back_and_is_the_same_bytes_again(tmp_path):
    torch.manual_seed(0)
    model = FloatModel(shape_of(DEMO.config()))
    for name in ("a", "b"):
        export_checkpoint(model, DEMO.config(), DEMO.tasks.tokenizer(), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert [name for name in files if name.endswith(".safetensors")] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    read = FloatModel.from_checkpoint(tmp_path / "a").state_dict()
    assert all(torch.equal(read[name], tensor.bfloat16().float()) for name, tensor in model.state_dict().items())


def test_loss_counts_masked_tokens_alone_each_by_the_inverse_of_its_rate():
    torch.manual_seed(0)
    model = FloatModel(shape_of(DEMO.config()))
    model.lm_head.weight.data.zero_()  # every token costs log(48)
    prompt, answer = torch.zeros(4096, 3, dtype=torch.long), torch.ones(4096, 4, dtype=torch.long)
    loss, _ = masked_loss(model, prompt, answer, torch.Generator().manual_seed(1))
    assert loss.item() == pytest.approx(np.log(48), abs=0.15)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
class TestTraining:
    """A few steps on few problems."""

    @pytest.fixture
    def params(self, recipe, monkeypatch):
        for module in ("demo", "demo2"):
            monkeypatch.setattr(f"hardloom.golden.training.{module}.POOL", 60)
        monkeypatch.setattr(training, "SAVE_EVERY", 1)
        monkeypatch.setattr(history, "MEAN_OF", 3)
        return replace(recipe.params, steps=6, quantized_from=2, rows=32, warmup=2)

    def test_a_killed_run_ends_with_the_weights_and_the_history_it_would_have_had(self, recipe, params, tmp_path):
        whole, history = train(recipe, params, tmp_path / "whole", lambda step, loss: None)

        def killed(step, loss):
            if step == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(recipe, params, tmp_path / "state", killed)
        seen = []
        resumed, again = train(recipe, params, tmp_path / "state", lambda step, loss: seen.append(step))
        assert seen == [4, 5, 6]
        assert all(
            torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
        )
        assert [entry["step"] for entry in history.entries] == [3, 6]
        assert history == again

    def test_the_state_of_another_run_is_refused(self, recipe, params, tmp_path):
        train(recipe, replace(params, steps=1, quantized_from=1), tmp_path / "state", lambda step, loss: None)
        with pytest.raises(UserError, match="another seed"):
            train(recipe, replace(params, seed=1), tmp_path / "state", lambda step, loss: None)


def test_quantization_comes_in_late_and_leaves_some_steps_exact():
    params = TrainingParams(steps=90, quantized_from=36)
    quantized = [isinstance(params.numerics(step), FakeQuant) for step in range(90)]
    assert not any(quantized[:36])
    assert sum(quantized[36:]) == 36
