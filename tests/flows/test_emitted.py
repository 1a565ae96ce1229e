"""Cycles of a pass on the emitted chip: counted from its units, and measured."""

from dataclasses import replace

import pytest
import torch

from flows.design.cost.model import CostModel
from flows.design.cost.shapes import ArrayShape
from flows.design.estimate.emitted import Emitted
from gen.build.folder import Build
from gen.design.hardware import HardwareConfig
from golden.checkpoints.config import read_config
from golden.samplers.denoise import SamplerParams
from tests import DEMO, ROOT
from verif.chip.compare import simulate_runs
from verif.chip.simulation import Run, SimulatedChip


def of_build(build: Build) -> Emitted:
    """By the arrays of a build."""
    shape = build.checkpoint().model
    packets = {array.kind: array.cycles_per_packet for array in build.arrays}
    return Emitted(shape, build.hardware.lanes, packets, 0.5)


@pytest.mark.parametrize("prompt, within", [(2, 0.1), (20, 0.05)])
def test_a_small_chip_takes_the_cycles_that_are_counted(tiny_chip: SimulatedChip, prompt, within):
    params = SamplerParams(gen_length=8, block_length=4, steps=4)
    draw = torch.Generator().manual_seed(prompt)
    run = Run(torch.randint(15, (prompt,), generator=draw).tolist(), params)
    measured = simulate_runs(tiny_chip, [run], None).cycles_per_forward
    counted = of_build(tiny_chip.build).forward_cycles(prompt + params.gen_length, params.block_length, 2)
    assert counted == pytest.approx(measured, rel=within)


@pytest.mark.parametrize("positions, cycles", [(22, 5_005), (28, round(1.197 * 2 * 28 * 4 * 28))])
def test_the_demonstration_chip_takes_the_cycles_that_were_measured(positions, cycles):
    """The figures of docs/benchmarks.md, by `hardloom bench chip`: 8 lanes, two tokens a pass."""
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert "5,005" in text and "| the same at 28 positions | 1.197 |" in text
    _, shape = read_config(DEMO / "config.json")
    hardware = HardwareConfig.default(shape)
    model = CostModel.read()
    packets = {
        kind.kind: model.cost(
            ArrayShape("metal", kind.rows, kind.inputs, hardware.slices[kind.kind], hardware.lanes, kind.banks)
        ).packet_cycles
        for kind in shape.kinds()
    }
    counted = Emitted(shape, hardware.lanes, packets, 0.34).forward_cycles(positions, 8, 2)
    assert counted == pytest.approx(cycles, rel=0.03)


def test_no_unit_is_forgotten():
    """Whichever unit is slow, it holds the pass; twice the positions take four times the attention."""
    packets = dict.fromkeys(("qkv", "o", "router", "gate_up", "down", "head"), 10.0)
    _, shape = read_config(DEMO / "config.json")
    chip = Emitted(shape, 8, packets, 0.25)
    base = chip.forward_cycles(64, 8, 2)
    for kind in packets:
        assert replace(chip, packet_cycles=packets | {kind: 10_000.0}).forward_cycles(64, 8, 2) > 5 * base
    assert chip.forward_cycles(2048, 8, 2) == pytest.approx(4 * chip.forward_cycles(1024, 8, 2), rel=0.02)
