"""LoRA adapters: read as PEFT writes them, added in float, and in integers bit for bit as docs/numeric.md has it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.lora import LORA_CONFIG, LORA_TENSORS, read_lora
from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.models.integer_parts import as_integers
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.adapter import Adapter
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.numerics import GENERAL, Numerics
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.rescale import Rescale
from tests.adapters import write_adapter
from tests.checkpoints import chip_config, write_chip_checkpoint
from tests.command_line import hardloom
from tests.golden.test_families import tokens, written
from tests.published_models import FAMILIES


def model_of(folder: Path) -> ModelShape:
    return Checkpoint(folder).model


@pytest.mark.parametrize("slow", [False, True], ids=["alpha / r", "alpha / sqrt(r)"])
@pytest.mark.parametrize("name", FAMILIES)
def test_in_float_the_weights_take_in_the_product(tmp_path: Path, name: str, slow: bool) -> None:
    """As the direct computation of the family's published code has it, fused projections among them."""
    config, direct = FAMILIES[name]
    folder, weights = written(tmp_path / "c", config)
    path, held = write_adapter(tmp_path / "a", config, use_rslora=slow)
    for stored, (a, b) in held.items():
        weights[stored] = weights[stored] + b.double() @ a.double() * (6 / 3**0.5 if slow else 2)
    model, plain = FloatModel.from_checkpoint(folder), FloatModel.from_checkpoint(folder)
    model.adapt(read_lora(path, config, model.shape))
    with torch.inference_mode():
        found, before, expected = model(tokens()[None])[0], plain(tokens()[None])[0], direct(weights, tokens())
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (before - expected).norm() > 0.1 * expected.norm()


def in_words(a: Tensor, b: Tensor, x: Tensor, scale: Tensor, y: Tensor, word: FixedPoint, width: int) -> Tensor:
    """The contract in int64, from the units that the hardware has; a, b: float32 matrices of the adapter."""

    def integers(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        step = (matrix.abs().max() / 127).bfloat16().float()
        codes = torch.zeros_like(matrix) if step == 0 else (matrix / step).round().clamp(-127, 127)
        fraction, exponent = torch.frexp(step)
        return codes.long(), (fraction * 256).long(), (8 - exponent).long()

    (a_codes, a_mant, a_shift), (b_codes, b_mant, b_shift) = integers(a), integers(b)
    rescale = Rescale(word)
    sums = rescale.compute(x @ a_codes.T, a_mant, a_shift, scale)
    p, p_scale = Quantize(word, width).compute(sums)
    return word.saturate(y + rescale.compute(p @ b_codes.T, b_mant, b_shift, p_scale))


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0, 0.0], ids=["small", "usual", "saturating", "zero"])
@pytest.mark.parametrize("rank", [1, 5, 16])
def test_the_unit_is_its_contract(rank: int, size: float) -> None:
    draw, word = torch.Generator().manual_seed(rank), FixedPoint(28, 16)
    a, b = torch.randn(rank, 24, generator=draw) * 0.2, torch.randn(40, rank, generator=draw) * size
    x = torch.randint(-511, 512, (64, 24), generator=draw)
    x[0], x[1] = 511, 0
    scale = torch.randint(0, 18, (64, 1), generator=draw)
    y = torch.randint(word.min, word.max + 1, (64, 40), generator=draw)
    unit, cpu = Adapter(word), torch.device("cpu")
    values = (x * 2.0**scale).float()
    found = unit.compute(y.double(), values, as_integers(a, 511, cpu), as_integers(b, unit.quantize.limit, cpu))
    expected = in_words(a, b, x, scale, y, word, 10)
    assert torch.equal(found.long(), expected)
    assert (size == 0) == torch.equal(expected, y)
    assert size < 30 or int((expected == word.max).sum()) > 3


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny checkpoint, and the same quantized with gains behind its norms."""
    folder = tmp_path_factory.mktemp("lora")
    write_chip_checkpoint(folder / "c", 3)
    quantize_checkpoint(folder / "c", folder / "q", "int8", numerics=GENERAL)
    return folder / "c", folder / "q"


IDS = torch.tensor([[3, 9, 4, 17, 17, 1]])


def probes(model: IntegerModel) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    model.forward(IDS, lambda name, x: found.update({name: x}))
    return found


def test_an_adapter_of_zeros_changes_no_integer(chip: tuple[Path, Path], tmp_path: Path) -> None:
    path, _ = write_adapter(tmp_path / "a", chip_config(), size=0.0)
    checkpoint = QuantizedCheckpoint(chip[1])
    lora = read_lora(path, checkpoint.config, checkpoint.model)
    plain, adapted = probes(IntegerModel(checkpoint)), probes(IntegerModel(checkpoint, lora=lora))
    assert plain.keys() == adapted.keys() and all(torch.equal(plain[name], adapted[name]) for name in plain)


@pytest.mark.parametrize("kind, seen", [("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("o_proj", "o")])
def test_each_projection_takes_its_own(chip: tuple[Path, Path], tmp_path: Path, kind: str, seen: str) -> None:
    """The first integers of the first layer that it changes are those behind its projection."""
    path, _ = write_adapter(tmp_path / "a", chip_config(), kinds=(kind,))
    checkpoint = QuantizedCheckpoint(chip[1])
    lora = read_lora(path, checkpoint.config, checkpoint.model)
    plain, adapted = probes(IntegerModel(checkpoint)), probes(IntegerModel(checkpoint, lora=lora))
    changed = [name for name in plain if not torch.equal(plain[name], adapted[name])]
    assert changed[0] == f"layer.0.{seen}" and f"layer.1.{seen}" in changed and "logits" in changed
    assert not {f"layer.0.{other}" for other in "qkv" if other != seen} & {*changed}


def test_integers_stay_near_the_float_model_with_the_adapter(chip: tuple[Path, Path], tmp_path: Path) -> None:
    config = chip_config()
    path, _ = write_adapter(tmp_path / "a", config)
    lora = read_lora(path, config, model_of(chip[0]))
    model, plain = FloatModel.from_checkpoint(chip[0]), FloatModel.from_checkpoint(chip[0])
    model.adapt(lora)
    with torch.inference_mode():
        expected, without = model(IDS), plain(IDS)
        found = IntegerModel(QuantizedCheckpoint(chip[1]), lora=lora).logits(IDS)
    assert (found - expected).norm() < 0.1 * (without - expected).norm()


@pytest.mark.parametrize("engine", ["float", "golden"])
def test_sample_takes_the_folder(chip: tuple[Path, Path], tmp_path: Path, engine: str) -> None:
    path, _ = write_adapter(tmp_path / "a", chip_config(), size=4.0)
    given = ("sample", chip[engine == "golden"], "--engine", engine, "--prompt-tokens", "3,9,4,1", "--gen-length", 8)
    plain, adapted = hardloom(*given), hardloom(*given, "--adapter", path)
    assert plain.code == adapted.code == 0 and plain.out != adapted.out


def test_gains_that_are_folded_leave_no_place_for_one(chip: tuple[Path, Path], tmp_path: Path) -> None:
    quantize_checkpoint(chip[0], tmp_path / "q", "int8", numerics=Numerics())
    checkpoint = QuantizedCheckpoint(tmp_path / "q")
    for kind in ("q_proj", "o_proj"):
        path, _ = write_adapter(tmp_path / kind, chip_config(), kinds=(kind,))
        lora = read_lora(path, checkpoint.config, checkpoint.model)
        if kind == "o_proj":  # before which there is no norm
            IntegerModel(checkpoint, lora=lora)
        else:
            with pytest.raises(UserError, match=r"q_proj.weight cannot have an adapter; quantize with --gains behind"):
                IntegerModel(checkpoint, lora=lora)


Break = Callable[[dict[str, Any], dict[str, Tensor]], object]
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
UP = FIRST.replace("lora_A", "lora_B")
GATE = "base_model.model.model.layers.0.mlp.gate.lora_A.weight"

BROKEN: dict[str, tuple[Break, str]] = {
    "dora": (lambda c, t: c.update(use_dora=True), "use_dora is True"),
    "another method": (lambda c, t: c.update(peft_type="IA3"), "peft_type is 'IA3'"),
    "biases": (lambda c, t: c.update(bias="all"), "bias is 'all'"),
    "ranks that differ": (lambda c, t: c.update(rank_pattern={"q_proj": 2}), "rank_pattern is"),
    "a large rank": (lambda c, t: c.update(r=17), "r is 17; train an adapter of rank 1 to 16"),
    "no rank": (lambda c, t: c.pop("r"), "r is None"),
    "no number": (lambda c, t: c.update(lora_alpha="much"), "lora_alpha is 'much'"),
    "weights changed too": (lambda c, t: c.update(init_lora_weights="pissa_niter_4"), "init_lora_weights is 'pissa_ni"),
    "half of a pair": (lambda c, t: t.pop(FIRST), "q_proj.lora_A.weight is missing, the other half of a pair"),
    "an expert's": (lambda c, t: t.update({GATE: torch.ones(3, 16)}), "mlp.gate.lora_A.weight is of no q, k, v or o"),
    "a layer too many": (lambda c, t: t.update({FIRST.replace("0", "9"): t[FIRST].clone()}), "layers.9.self_attn.q"),
    "eight bytes": (lambda c, t: t.update({FIRST: t[FIRST].double()}), "dtype F64, and only BF16, F32, F16"),
    "packed bits": (lambda c, t: t.update({FIRST: t[FIRST].byte()}), "dtype U8, and only BF16, F32, F16"),
    "another model's": (lambda c, t: t.update({FIRST: torch.ones(3, 17)}), "is of shape [3, 17]"),
    "infinite": (lambda c, t: t[FIRST].fill_(float("inf")), "not finite"),
    "too large with alpha": (lambda c, t: (t[UP].fill_(1e37), c.update(lora_alpha=4e5)), "not finite, or too large"),
    "nothing": (lambda c, t: t.clear(), "holds no adapter"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_adapter_of_the_model_is_one_sentence(chip: tuple[Path, Path], tmp_path: Path, what: str) -> None:
    change, said = BROKEN[what]
    path, _ = write_adapter(tmp_path / "a", chip_config())
    fields, tensors = json.loads((path / LORA_CONFIG).read_text()), load_file(path / LORA_TENSORS)
    change(fields, tensors)
    (path / LORA_CONFIG).write_text(json.dumps(fields))
    save_file(tensors, path / LORA_TENSORS)
    ran = hardloom("sample", chip[0], "--engine", "float", "--prompt-tokens", "3", "--adapter", path)
    assert ran.code == 1 and ran.err.startswith(f"error: {path}/adapter_") and said in ran.err
    assert ran.err.count("\n") <= 1


def test_a_missing_file_is_named(chip: tuple[Path, Path], tmp_path: Path) -> None:
    path, _ = write_adapter(tmp_path / "a", chip_config())
    for name, said in ((LORA_TENSORS, ""), (LORA_CONFIG, "give --adapter a folder that PEFT has written")):
        (path / name).unlink()
        ran = hardloom("sample", chip[0], "--engine", "float", "--prompt-tokens", "3", "--adapter", path)
        assert ran.code == 1 and str(path / name) in ran.err and said in ran.err
