"""What every stream unit must pass: right packets at full speed and at any pace, throughput, reset at any time."""

import random

import torch

from hardloom.verif.streams.bench import Case, Stimulus
from hardloom.verif.streams.player import Player, always, sometimes

__all__ = ["alone", "at_full_speed", "under_backpressure", "with_resets"]


def played_from(case: Case, kind: str, seed: int) -> Stimulus:
    return case.stimulus(torch.Generator().manual_seed(seed), kind)


async def at_full_speed(dut, case: Case, kind: str) -> None:
    """Every packet is right, and back-to-back packets take no longer than the unit promises."""
    player, played = Player(dut, case), played_from(case, kind, 1)
    await player.reset()
    cycles = await player.play(played, always, always, None)
    longest = max(
        sum(len(packet) for packet in packets) for packets in (*played.inputs.values(), *played.outputs.values())
    )
    bound = longest + case.latency if played.cycles is None else played.cycles
    assert cycles <= bound, f"{case.name}: {cycles} cycles for {longest} beats, the bound is {bound}"


async def alone(dut, case: Case) -> None:
    """A packet that meets no other takes as long as is promised, to the cycle."""
    player, played = Player(dut, case), played_from(case, "random", 1)
    await player.reset()
    inputs, outputs = ({name: packets[:1] for name, packets in of.items()} for of in (played.inputs, played.outputs))
    cycles = await player.play(Stimulus(inputs, outputs, played.constants), always, always, None)
    latency = cycles - max(len(packet) for (packet,) in inputs.values())
    assert latency == case.alone, f"{case.name}: latency {latency}, {case.alone} is promised"


async def under_backpressure(dut, case: Case, seed: int) -> None:
    """Right whatever the pace of its neighbours; for every other seed they wait until they are asked."""
    player, rng = Player(dut, case), random.Random(seed)
    await player.reset()
    played = played_from(case, "random", 10 + seed)
    await player.play(played, sometimes(rng), sometimes(rng), asked=seed % 2 == 0)


async def with_resets(dut, case: Case) -> None:
    """After a reset at any time it behaves like new."""
    player, rng = Player(dut, case), random.Random(3)
    await player.reset()
    for seed in range(20, 24):
        played = played_from(case, "random", seed)
        beats = sum(len(packet) for packets in played.inputs.values() for packet in packets)
        await player.play(played, sometimes(rng), sometimes(rng), rng.randrange(1, 2 * beats + 20))
        await player.reset()
    await player.play(played_from(case, "random", 24), sometimes(rng), sometimes(rng), None)
