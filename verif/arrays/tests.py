"""cocotb tests of array units: those of every stream unit, and packets without a bubble between them."""

import cocotb

from hardloom.verif.arrays.cases import ArrayCase, ArraysJob
from hardloom.verif.streams.checks import at_full_speed, under_backpressure, with_resets
from hardloom.verif.streams.player import Player, always

__all__: list[str] = []

CASES = [cocotb.Param(case, name=case.name) for case in ArraysJob.received().cases()]


@cocotb.test()
@cocotb.parametrize(unit=CASES, kind=["random", "corners"])
async def sums_are_exact(dut, unit: ArrayCase, kind: str) -> None:
    await at_full_speed(dut, unit, kind)


@cocotb.test()
@cocotb.parametrize(unit=CASES, seed=[1, 2])
async def sums_are_exact_under_any_backpressure(dut, unit: ArrayCase, seed: int) -> None:
    await under_backpressure(dut, unit, seed)


@cocotb.test()
@cocotb.parametrize(unit=CASES)
async def reset_at_any_time_leaves_a_clean_array(dut, unit: ArrayCase) -> None:
    await with_resets(dut, unit)


@cocotb.test()
@cocotb.parametrize(unit=CASES)
async def packets_follow_without_bubbles(dut, unit: ArrayCase) -> None:
    """The cycles from one packet to the next are those that are planned."""
    player, taken = Player(dut, unit), []
    for count in (2, 6):
        await player.reset()
        taken.append(await player.play(unit.activity(count), always, always))
    period, planned = (taken[1] - taken[0]) / 4, unit.array["cycles"]
    assert period == planned, f"{unit.name}: {period} cycles a packet, planned {planned}"
