"""cocotb tests that every case of `verif.streams.bench` goes through: random and corner packets at full speed, random
backpressure on both sides, reset in the middle, throughput."""

import os
import random

import cocotb
import torch

from verif.streams.bench import Case, Stimulus, cases
from verif.streams.player import Player, always, sometimes

CASES = [cocotb.Param(case, name=case.name) for case in cases(os.environ.get("HARDLOOM_BENCH", "").split())]


def stimulus(case: Case, kind: str, seed: int) -> Stimulus:
    return case.stimulus(torch.Generator().manual_seed(seed), kind)


@cocotb.test()
@cocotb.parametrize(unit=CASES, kind=["random", "corners"])
async def packets_at_full_speed(dut, unit: Case, kind: str) -> None:
    """Every packet is right, and back-to-back packets take no longer than the unit promises."""
    player, played = Player(dut, unit), stimulus(unit, kind, 1)
    await player.reset()
    cycles = await player.play(played, always, always, None)
    longest = max(
        sum(len(packet) for packet in packets) for packets in (*played.inputs.values(), *played.outputs.values())
    )
    bound = longest + unit.latency if played.cycles is None else played.cycles
    assert cycles <= bound, f"{unit.name}: {cycles} cycles for {longest} beats, the bound is {bound}"


@cocotb.test()
@cocotb.parametrize(unit=CASES, seed=[1, 2])
async def random_backpressure(dut, unit: Case, seed: int) -> None:
    """Right whatever the pace of its neighbours."""
    player, rng = Player(dut, unit), random.Random(seed)
    await player.reset()
    await player.play(stimulus(unit, "random", 10 + seed), sometimes(rng), sometimes(rng), None)


@cocotb.test()
@cocotb.parametrize(unit=CASES)
async def reset_in_the_middle(dut, unit: Case) -> None:
    """After a reset at any time it behaves like new."""
    player, rng = Player(dut, unit), random.Random(3)
    await player.reset()
    for seed in range(20, 24):
        played = stimulus(unit, "random", seed)
        beats = sum(len(packet) for packets in played.inputs.values() for packet in packets)
        await player.play(played, sometimes(rng), sometimes(rng), rng.randrange(1, 2 * beats + 20))
        await player.reset()
    await player.play(stimulus(unit, "random", 24), sometimes(rng), sometimes(rng), None)
