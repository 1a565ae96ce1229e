"""Where a path of `ready` ends: what is behind changes nothing in front before the next clock edge."""

import pytest
from amaranth.sim import Simulator

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Keep, Skid, activations, beat
from hardloom.gen.units.rescale import Rescale
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.rescale import Rescale as RescaleSpec


def answers(part: Component, cycles: int = 6) -> list[tuple[int, int]]:
    """`i.ready`, cycle by cycle of an input that always comes, with `o.ready` low and high in the same cycle."""
    found = []

    async def follow(ctx) -> None:
        ctx.set(part.i.valid, 1)
        for _ in range(cycles):
            seen = []
            for ready in (1, 0):
                ctx.set(part.o.ready, ready)
                await ctx.delay(1e-9)
                seen.append(ctx.get(part.i.ready))
            found.append((seen[1], seen[0]))
            await ctx.tick()

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(follow)
    simulator.run()
    return found


@pytest.mark.parametrize(
    "part", [Skid(activations(Quantize(), 2)), Rescale(RescaleSpec(), 16, 5, 2, 4)], ids=["skid", "rescale"]
)
def test_ready_does_not_pass(part: Component) -> None:
    found = answers(part)
    assert all(low == high for low, high in found)
    assert {low for low, _ in found} == {0, 1}  # free at first, and full in the end


def test_a_register_lets_it_pass() -> None:
    assert (0, 1) in answers(Keep(beat(8, 2)))
