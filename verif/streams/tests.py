"""cocotb tests that every case of `verif/units` goes through."""

import cocotb

from hardloom.verif.streams.bench import Case, UnitsJob
from hardloom.verif.streams.checks import alone, at_full_speed, under_backpressure, with_resets

__all__: list[str] = []

CASES = [cocotb.Param(case, name=case.name) for case in UnitsJob.received().cases()]


@cocotb.test()
@cocotb.parametrize(unit=CASES, kind=["random", "corners"])
async def packets_at_full_speed(dut, unit: Case, kind: str) -> None:
    await at_full_speed(dut, unit, kind)


@cocotb.test()
@cocotb.parametrize(unit=[case for case in CASES if case.value.alone is not None])
async def packet_alone(dut, unit: Case) -> None:
    await alone(dut, unit)


@cocotb.test()
@cocotb.parametrize(unit=CASES, seed=[1, 2])
async def random_backpressure(dut, unit: Case, seed: int) -> None:
    await under_backpressure(dut, unit, seed)


@cocotb.test()
@cocotb.parametrize(unit=CASES)
async def reset_in_the_middle(dut, unit: Case) -> None:
    await with_resets(dut, unit)
