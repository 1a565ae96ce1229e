"""cocotb bench of the whole chip: runs the requests of a `ChipJob`, writes what the chip committed."""

import json

import cocotb
from cocotb.clock import Clock

from hardloom.verif.chip.host import CLOCK_STEPS, Host
from hardloom.verif.chip.requests import ChipJob

__all__: list[str] = []


@cocotb.test()
async def run_requests(dut) -> None:
    """Every run of the job, in order, on one chip without a reset between them; as many at once as the job says."""
    job = ChipJob.received()
    Clock(dut.clk, CLOCK_STEPS, "step").start()
    host = Host(dut)
    await host.reset()
    for name, value in job.writes:
        await host.write(name, value)
    with open(job.results, "w") as results:

        def write(line: dict) -> None:
            results.write(json.dumps(line) + "\n")
            results.flush()

        async for line in host.serve(job.runs, job.at_once):
            write(line)
