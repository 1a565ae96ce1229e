"""cocotb bench for switching activity: random vectors through array units, back to back, every sum compared."""

import cocotb
from cocotb.triggers import RisingEdge

from hardloom.verif.arrays.cases import ArraysJob
from hardloom.verif.streams.player import STEP, Player, always

__all__: list[str] = []


class AtTheEdge(Player):
    """Inputs change with the clock's edge, as they do behind registers: later, what they share gates with would toggle
    once more in each cycle."""

    async def tick(self) -> None:
        self.signal("clk").value = 1
        await RisingEdge(self.signal("clk"))
        for part in self.parts:
            part.drive()
        await STEP
        self.signal("clk").value = 0
        self.cycle += 1


@cocotb.test()
async def random_vectors_back_to_back(dut) -> None:
    job = ArraysJob.received()
    for case in job.cases():
        player = AtTheEdge(dut, case)
        await player.reset()
        await player.play(case.activity(job.packets, cocotb.RANDOM_SEED), always, always)
