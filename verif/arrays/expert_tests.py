"""cocotb test of a whole expert."""

import cocotb
import torch

from hardloom.verif.arrays.expert import ExpertJob
from hardloom.verif.streams.player import Player, always

__all__: list[str] = []


@cocotb.test()
async def an_expert_is_the_integer_models(dut) -> None:
    """Every bit of every result."""
    unit = ExpertJob.received().case()
    player = Player(dut, unit)
    await player.reset()
    await player.play(unit.stimulus(torch.Generator().manual_seed(1), "random"), always, always)
