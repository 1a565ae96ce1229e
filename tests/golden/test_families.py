"""Every family by its real names and fields: the float model against its published code, the integers against it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.families import Place, family_of, shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import FloatEngine, FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import TensorShape
from hardloom.golden.units.numerics import Numerics
from tests.published_models import DREAM, FAMILIES, LLADA, LLADA2, Weights

POSITIONS = 11


def stored_names(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the family's files; that they are the published ones, the direct computations say."""
    places = (place_of(config, tensor) for tensor in shape_of(config).tensors())
    return {place.stored: place.shape for place in places}


def place_of(config: dict[str, Any], tensor: TensorShape) -> Place:
    return family_of(config).places(tensor, shape_of(config))[0]


def written(folder: Path, config: dict[str, Any], seed: int = 7) -> tuple[Path, Weights]:
    """A checkpoint of random float32 tensors, and what is in it in float64."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, shape in stored_names(config).items():
        noise = torch.randn(shape, generator=generator)
        tensors[name] = noise * shape[1] ** -0.5 if len(shape) == 2 else 1 + noise * 0.1
        if name.endswith("bias"):
            tensors[name] = noise * 0.3
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder, {name: tensor.double() for name, tensor in tensors.items()}


def tokens(positions: int = POSITIONS, seed: int = 3) -> Tensor:
    return torch.randint(0, 35, (positions,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", FAMILIES)
def test_the_float_model_is_the_published_code(tmp_path: Path, name: str, seed: int):
    """Whatever weights, tokens and length; with biases, clipping and shared experts where the family has them."""
    config, direct = FAMILIES[name]
    folder, weights = written(tmp_path / "c", config, seed)
    ids = tokens(1 + 2 * seed, seed)
    with torch.inference_mode():
        found, expected = FloatModel.from_checkpoint(folder)(ids[None])[0].double(), direct(weights, ids)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", FAMILIES)
def test_integers_stay_near_the_weights_they_have(tmp_path: Path, name: str):
    """Against the float model of the dequantized weights: what activations and tables lose alone."""
    config, direct = FAMILIES[name]
    folder, weights = written(tmp_path / "c", config)
    quantize_checkpoint(folder, tmp_path / "q", "mxfp4", numerics=Numerics())
    chip = QuantizedCheckpoint(tmp_path / "q")
    with torch.inference_mode():
        found = IntegerModel(chip).logits(tokens()[None])[0].double()
        for matrix in chip.model.matrices():
            value, place = chip.matrix(matrix.name).dequantize().double(), place_of(config, matrix)
            value = value / (1.0 if matrix.gain is None else weights[gain_name(config, matrix.gain)])
            if place.first is None:
                weights[matrix.name if matrix.kind == "head" and chip.model.tied else place.stored] = value
            else:
                weights[place.stored][place.first : place.first + len(value)] = value
        expected = direct(weights, tokens())
    assert (found - expected).norm() < 0.06 * expected.norm()


def gain_name(config: dict[str, Any], canonical: str) -> str:
    tensor = next(t for t in shape_of(config).tensors() if t.name == canonical)
    return place_of(config, tensor).stored


def test_every_family_reads_each_tensor_from_where_its_files_have_it(tmp_path: Path):
    folder, weights = written(tmp_path / "c", LLADA2)
    checkpoint = Checkpoint(folder)
    fused = weights["model.layers.1.attention.query_key_value.weight"].float()
    for kind, rows in (("q_proj", slice(0, 64)), ("k_proj", slice(64, 96)), ("v_proj", slice(96, 128))):
        assert torch.equal(checkpoint.tensor(checkpoint.model.tensor(kind, 1).name), fused[rows])


@pytest.mark.parametrize("config", [LLADA, DREAM])
def test_the_prediction_of_wanted_positions_is_that_of_all(tmp_path: Path, config: dict[str, Any]):
    """And the head meets no others, in any row: logits shifted by one are those of the positions before."""
    folder, _ = written(tmp_path / "c", config)
    quantize_checkpoint(folder, tmp_path / "q", "mxfp4", numerics=Numerics())
    model, ids = IntegerModel(QuantizedCheckpoint(tmp_path / "q")), torch.stack([tokens(), tokens(seed=4)])
    wanted = torch.arange(POSITIONS).expand(2, -1) % 4 > torch.tensor([[2], [1]])
    seen: dict[str, Tensor] = {}
    some, whole = model.predict(ids, wanted, record=seen.__setitem__), model.predict(ids)
    assert torch.equal(some.tokens[wanted], whole.tokens[wanted])
    assert torch.equal(some.spread[wanted], whole.spread[wanted])
    assert torch.equal(seen["wanted"][..., 0] == 1, wanted.roll(-model.shape.shift, 1))
    meets = seen["wanted"][..., 0] == 1
    assert torch.equal(seen["logits"][0], model.forward(ids)[meets]) and len(seen["argmax.token"][0]) == meets.sum()


def test_logits_shifted_by_one_predict_the_next_position(tmp_path: Path):
    folder, _ = written(tmp_path / "c", DREAM)
    model = FloatModel.from_checkpoint(folder)
    with torch.inference_mode():
        logits, found = model(tokens()[None])[0], FloatEngine(model).predict(tokens()[None])
    shifted = torch.cat([logits[:1], logits[:-1]])
    assert torch.equal(found.tokens[0], shifted.argmax(-1))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("LLaDA2.0", "use_qkv_bias", True),
        ("LLaDA2.0", "score_function", "softmax"),
        ("LLaDA", "alibi", True),
        ("LLaDA", "weight_tying", True),
        ("LLaDA", "embedding_size", 48),
        ("Dream", "use_sliding_window", True),
        ("Llama", "attention_bias", True),
        ("Llama", "rope_scaling", {"rope_type": "llama3", "factor": 8.0}),
        ("LLaDA-MoE", "norm_topk_prob", True),
    ],
)
def test_another_model_is_refused_by_its_field(name: str, field: str, value: Any):
    with pytest.raises(UserError, match=f"^{field} "):
        shape_of(FAMILIES[name][0] | {field: value})


@pytest.mark.parametrize("field", ["n_group", "topk_group", "routed_scaling_factor", "partial_rotary_factor"])
def test_what_no_tensor_shows_of_a_router_or_a_head_is_asked_for(field: str):
    """The published class has defaults for them (8, 4, 2.5 and 0.5), which are not those of a plain model."""
    fields = {name: value for name, value in LLADA2.items() if name != field}
    with pytest.raises(UserError, match=f"field {field} is missing"):
        shape_of(fields)
    if field.endswith("group"):  # unused where blocks share a capacity
        shape_of(fields | {"expert_capacity": LLADA2["num_experts"]})


def test_a_block_may_use_as_many_experts_as_a_token_takes():
    with pytest.raises(UserError, match="expert_capacity is 1 but num_experts_per_tok is 2"):
        shape_of(LLADA2 | {"num_experts_per_tok": 2, "expert_capacity": 1})


def test_a_block_of_attention_is_no_longer_than_a_sequence():
    most = LLADA2["max_position_embeddings"]
    assert shape_of(LLADA2 | {"block_size": most}).layers[0].attention.block_length == most
    with pytest.raises(UserError, match=f"block_size is {2 * most} of max_position_embeddings {most}"):
        shape_of(LLADA2 | {"block_size": 2 * most})


def test_published_totals():
    llada = LLADA | {"d_model": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 32, "mlp_hidden_size": 12288}
    llada |= {"vocab_size": 126464, "embedding_size": 126464, "mask_token_id": 126336, "eos_token_id": 126081}
    assert shape_of(llada).parameters == 8_015_581_184
    dream = DREAM | {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    dream |= {"intermediate_size": 18944, "vocab_size": 152064, "mask_token_id": 151666, "eos_token_id": 151643}
    assert shape_of(dream).parameters == 7_615_616_512
