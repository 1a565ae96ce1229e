"""Stimulus for switching activity: random vectors through array units, back to back, every sum compared.

Activations are normal, three standard deviations being full scale. What the units are comes from `verif.arrays.bench`.
"""

import os

import cocotb

from verif.arrays.bench import PACKETS, connected_units, together

__all__: list[str] = []


@cocotb.test()
async def random_vectors_back_to_back(dut):
    units = await connected_units(dut)
    count = int(os.environ[PACKETS])
    tasks = []
    for unit in units:
        vectors = [
            [max(-127, min(127, round(unit.rng.gauss(0, 127 / 3)))) for _ in range(unit.inputs)] for _ in range(count)
        ]
        scales = [16] * count
        tasks += [unit.send(vectors, scales, 2.0), unit.receive(vectors, scales, 2.0)]
    await together(tasks)
