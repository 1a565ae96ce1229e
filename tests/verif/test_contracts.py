"""Small chips of several numeric contracts: generated, read back, simulated, bit for bit their integer models."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hardloom.flows.bench.cycles import modelled
from hardloom.gen.build.generate import build_chip
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.units.activations import ActivationBits
from hardloom.golden.units.fixed import SCORE, FixedPoint
from hardloom.golden.units.numerics import GENERAL, Numerics
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.proof.static import recover
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.samplers import by_quota

SIZES = {
    "vocab_size": 11,
    "mask_token_id": 9,
    "eos_token_id": [10, 0, 1, 2, 4, 5],
    "hidden_size": 8,
    "expert_intermediate_size": 8,
}
CONFIG = tiny_config(**SIZES, num_hidden_layers=1, num_experts=2)
HARDWARE = HardwareConfig(lanes=2, max_positions=8)
SERIAL = {"qkv": "rom", "o": "shared", "router": "cell", "gate_up": "packed", "down": "shared", "head": "rom"}
SERIAL_SLICES = {"qkv": 8, "o": 8, "router": 1, "gate_up": 2, "down": 4, "head": 8}
RUNS = [
    Run([3, 8, 2, 5], Sampling.of("llada", 3, block_length=3, steps=2, suppress_eos=1)),
    Run([7], by_quota(1, 1, 1)),
]


def contract(width: int, frac: int, bits: ActivationBits | int, gains: str, score: FixedPoint = SCORE) -> Numerics:
    sites = ActivationBits(*[bits] * 6) if isinstance(bits, int) else bits
    return Numerics(FixedPoint(width, frac), score, sites, gains)


BY_SITE = contract(
    24, 23, ActivationBits(norm=6, query=10, key=7, value=5, mix=9, swiglu=12), "behind", FixedPoint(22, 10)
)
WIDE = contract(36, 16, 10, "folded", FixedPoint(20, 9))


def check(numerics: Numerics, folder: Path, **changes: Any) -> int:
    """Generate, read back, simulate and compare the chip of `numerics`; `changes`: of its hardware.

    Returns how many sums of the residual stream saturated.
    """
    write_random_checkpoint(folder / "ckpt", CONFIG, seed=4, dtype=torch.float32)
    quantize_checkpoint(folder / "ckpt", folder / "quantized", "mxfp4", numerics)
    quantized = QuantizedCheckpoint(folder / "quantized")
    hardware = HardwareConfig.from_json_dict(HARDWARE.to_json_dict() | changes)
    build = build_chip(quantized, folder / "chip", hardware)
    recovery = recover(build)
    assert recovery.complete, recovery.first
    model = IntegerModel(quantized, watched=True)
    result = compare_runs(SimulatedChip(build, QUICK_BUILD), model, RUNS, folder / "taps")
    assert result.scoreboard.mismatches == 0, str(result.scoreboard.first)
    assert result.tokens == result.expected and result.scoreboard.compared > 1_000
    added = sum(count for site, count in model.saturations.items() if site.endswith("residual"))
    assert sum(run.saturations for run in result.runs) == added
    for run in result.runs:  # of a few hundred cycles, in which serial arrays are modelled less closely
        near = pytest.approx(run.cycles, rel=0.1 if changes else 0.05)
        assert modelled(build, [run]) == [near]
    return added


def test_one_of_them_is_like_no_default_at_any_site() -> None:
    for default in (Numerics(), GENERAL):
        for name, value in default.to_json()["activations"].items():
            assert getattr(BY_SITE.activations, name) != value
        assert BY_SITE.word.width != default.word.width and BY_SITE.word.frac != default.word.frac
        assert BY_SITE.score.width != default.score.width and BY_SITE.score.frac != default.score.frac
    assert BY_SITE.gains != Numerics().gains and len(set(vars(BY_SITE.activations).values())) == 6


def test_narrow_words_bits_by_site_and_gains_behind_norms(tmp_path: Path) -> None:
    assert check(BY_SITE, tmp_path) > 0, "a word that ends at 1 saturates, and the chip counts it"


def test_wide_words_and_activations_of_10_bits_in_serial_arrays(tmp_path: Path) -> None:
    check(WIDE, tmp_path, style=SERIAL, slices=SERIAL_SLICES)


@pytest.mark.slow
@pytest.mark.parametrize("gains", ["folded", "behind"])
@pytest.mark.parametrize("bits", [6, 8, 10])
@pytest.mark.parametrize("word", [(24, 12), (28, 12), (28, 16), (36, 16)])
def test_every_contract_is_its_integer_model(word: tuple[int, int], bits: int, gains: str, tmp_path: Path) -> None:
    check(contract(*word, bits, gains), tmp_path)
