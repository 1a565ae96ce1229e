"""Bench of hardwired array units: streams with backpressure in, every sum compared with `matrix @ x`.

One bench holds any number of array units in one top module: one Verilator build for all of them. What each unit is and
its weights come from the file that environment variable `HARDLOOM_ARRAYS` names.
"""

import os
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout

from gen.arrays import ArrayPlan, emit
from verif.simulators.runner import build_and_test
from verif.simulators.verilator import QUICK_BUILD

__all__ = ["CLOCK_NS", "PACKETS", "TOP", "bench_arrays", "connected_units", "stimulus", "together", "write_bench"]

DESCRIPTION = "HARDLOOM_ARRAYS"
PACKETS = "HARDLOOM_PACKETS"
TOP = "arrays_top.v"
CLOCK_NS = 10
PORTS = (
    ("in_valid", "input", 1), ("in_ready", "output", 1), ("in_data", "input", None), ("in_scale", "input", 5),
    ("in_last", "input", 1), ("out_valid", "output", 1), ("out_ready", "input", 1), ("out_data", "output", None),
    ("out_scale", "output", 5), ("out_last", "output", 1),
)  # fmt: skip


def write_bench(
    plans: Sequence[ArrayPlan], folder: Path, packets: int, seed: int
) -> tuple[dict[str, list[Path]], dict]:
    """Files of every unit by its name, `arrays_top.v` and the description of all in `folder`; the files of the units,
    and the environment of the bench."""
    files: dict[str, list[Path]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for plan in plans:
        emission = emit(plan)
        emitted = {name: text.encode() for name, text in emission.prefab.items()} | emission.connections
        for name, text in emitted.items():
            (folder / name).write_bytes(text)
        files[plan.name] = [folder / name for name in sorted(emitted)]
    (folder / TOP).write_text(_top(plans))
    description = folder / "arrays.npz"
    stored: dict[str, Any] = {plan.name: np.stack(plan.matrices) for plan in plans}
    stored |= {f"{plan.name}/facts": np.array([plan.lanes, plan.acc_width, plan.cycles_per_packet]) for plan in plans}
    np.savez(description, **stored)
    return files, {DESCRIPTION: str(description.resolve()), PACKETS: str(packets), "COCOTB_RANDOM_SEED": str(seed)}


def bench_arrays(
    plans: Sequence[ArrayPlan],
    folder: Path,
    packets: int = 40,
    seed: int = 1,
    mapped: Callable[[dict[str, list[Path]]], tuple[Path, list[str]]] | None = None,
    arguments: Sequence[str] = (),
    simulator: str = "verilator",
) -> int:
    """Emit `plans` into `folder`, build one simulation of all and run it; the number of failed tests.

    mapped: makes one file of gates of the files of every unit, to be simulated instead, and names the modules in it
    that are better compiled once for all of their instances. arguments: for Verilator, where nothing is mapped.
    """
    files, environment = write_bench(plans, folder, packets, seed)
    if mapped is None:
        sources, blocks = sorted({path for paths in files.values() for path in paths}), list[str]()
    else:
        gates, blocks = mapped(files)
        sources, arguments = [gates], QUICK_BUILD
    sources = [folder / TOP, *sources]
    return build_and_test(
        sources, "arrays_top", "verif.arrays.bench", folder, environment, arguments, blocks, simulator
    )


def stimulus(inputs: int, count: int, rng: random.Random) -> list[list[int]]:
    """Activation vectors in [-127, 127]: corners and one-hot vectors first, then random ones."""
    corners = [[0] * inputs, [127] * inputs, [-127] * inputs, [127 if i % 2 else -127 for i in range(inputs)]]
    for value in (1, -1, 127, -127):
        hot = rng.randrange(inputs)
        corners.append([value if i == hot else 0 for i in range(inputs)])
    dense = [[rng.randint(-127, 127) for _ in range(inputs)] for _ in range(max(0, count - len(corners)))]
    return (corners + dense)[: max(count, 1)]


def _top(plans: Sequence[ArrayPlan]) -> str:
    """Module `arrays_top`: every unit with its ports as `<unit>_<port>`."""
    ports, instances = ["input wire clk"], []
    for plan in plans:
        widths = {"in_data": 8 * plan.lanes, "out_data": plan.banks * plan.lanes * plan.acc_width}
        ports.append(f"input wire {plan.name}_rst")
        ports += [f"{way} wire [{(width or widths[name]) - 1}:0] {plan.name}_{name}" for name, way, width in PORTS]
        pins = "".join(f", .{name}({plan.name}_{name})" for name, _, _ in PORTS)
        instances.append(f"    {plan.name} {plan.name}_unit (.clk(clk), .rst({plan.name}_rst){pins});\n")
    return "module arrays_top (\n    " + ",\n    ".join(ports) + "\n);\n" + "".join(instances) + "endmodule\n"


class Unit:
    """One array unit in the bench: driver, monitor and scoreboard."""

    def __init__(self, dut, name: str, matrices: np.ndarray, facts: np.ndarray) -> None:
        self.dut, self.name, self.matrices = dut, name, matrices.astype(np.int64)
        self.lanes, self.acc_width, self.cycles = (int(fact) for fact in facts)
        self.rng = random.Random(f"{name} {cocotb.RANDOM_SEED}")
        self.banks, self.rows, self.inputs = matrices.shape
        self.beats_out = -(-self.rows // self.lanes)

    def __getattr__(self, port: str):
        return getattr(self.dut, f"{self.name}_{port}")

    async def reset(self) -> None:
        self.in_valid.value, self.out_ready.value, self.rst.value = 0, 0, 1
        await RisingEdge(self.dut.clk)
        self.rst.value = 0

    async def send(self, vectors: Sequence[Sequence[int]], scales: Sequence[int], valid: float) -> None:
        """Drive packets; a beat is offered with probability `valid` in a cycle and stays until taken."""
        for vector, scale in zip(vectors, scales, strict=True):
            for start in range(0, self.inputs, self.lanes):
                while self.rng.random() >= valid:
                    self.in_valid.value = 0
                    await RisingEdge(self.dut.clk)
                beat = vector[start : start + self.lanes]
                self.in_valid.value = 1
                self.in_data.value = sum((x & 0xFF) << (8 * k) for k, x in enumerate(beat))
                self.in_scale.value = scale
                self.in_last.value = int(start + self.lanes == self.inputs)
                await RisingEdge(self.dut.clk)
                while not int(self.in_ready.value):
                    await RisingEdge(self.dut.clk)
        self.in_valid.value = 0

    async def receive(self, vectors: Sequence[Sequence[int]], scales: Sequence[int], ready: float) -> None:
        """Take packets, ready with probability `ready` in a cycle, and compare every bit of every beat."""
        for number, (vector, scale) in enumerate(zip(vectors, scales, strict=True)):
            sums = np.zeros((self.banks, self.beats_out * self.lanes), dtype=np.int64)
            sums[:, : self.rows] = self.matrices @ np.array(vector, dtype=np.int64)
            for beat in range(self.beats_out):
                while True:
                    self.out_ready.value = int(self.rng.random() < ready)
                    await RisingEdge(self.dut.clk)
                    if int(self.out_ready.value) and int(self.out_valid.value):
                        break
                want = sums[:, beat * self.lanes : (beat + 1) * self.lanes].ravel()
                got = self._split(int(self.out_data.value))
                assert np.array_equal(got, want), f"{self.name}: packet {number}, beat {beat}: {got} is not {want}"
                assert int(self.out_scale.value) == scale, f"{self.name}: packet {number}: wrong scale"
                assert int(self.out_last.value) == (beat == self.beats_out - 1), f"{self.name}: wrong last"
        self.out_ready.value = 0

    def _split(self, data: int) -> np.ndarray:
        half, mask = 1 << (self.acc_width - 1), (1 << self.acc_width) - 1
        words = [(data >> (k * self.acc_width)) & mask for k in range(self.banks * self.lanes)]
        return np.array([(word ^ half) - half for word in words], dtype=np.int64)

    async def exchange(self, count: int, valid: float, ready: float) -> None:
        vectors = stimulus(self.inputs, count, self.rng)
        scales = [self.rng.randrange(32) for _ in vectors]
        driver = cocotb.start_soon(self.send(vectors, scales, valid))
        await self.receive(vectors, scales, ready)
        await driver

    async def interrupted(self, cycles: int) -> None:
        """Start packets and drop reset into them after `cycles`."""
        vectors = stimulus(self.inputs, 12, self.rng)
        scales = [self.rng.randrange(32) for _ in vectors]
        tasks = [
            cocotb.start_soon(self.send(vectors, scales, 0.9)), cocotb.start_soon(self.receive(vectors, scales, 0.6))
        ]  # fmt: skip
        for _ in range(cycles):
            await RisingEdge(self.dut.clk)
        for task in tasks:
            task.cancel()
        await self.reset()

    async def period(self) -> float:
        """Cycles a packet takes when nobody waits, measured between the ends of the second and the last."""
        count, ends = 6, list[int]()
        vectors = stimulus(self.inputs, count, self.rng)
        driver = cocotb.start_soon(self.send(vectors, [0] * count, 2.0))
        self.out_ready.value = 1
        cycle = 0
        while len(ends) < count:
            await RisingEdge(self.dut.clk)
            cycle += 1
            if int(self.out_valid.value) and int(self.out_last.value):
                ends.append(cycle)
        await driver
        self.out_ready.value = 0
        return (ends[-1] - ends[1]) / (count - 2)


async def connected_units(dut) -> list[Unit]:
    """The units of the bench, clocked and reset."""
    Clock(dut.clk, CLOCK_NS, "ns").start()
    await RisingEdge(dut.clk)  # the clock's first edge comes before any clock gate can have seen a reset
    store = np.load(os.environ[DESCRIPTION])
    units = [Unit(dut, name, store[name], store[f"{name}/facts"]) for name in store.files if "/" not in name]
    for unit in units:
        await unit.reset()
    return units


async def together(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; none may take longer than any bench does."""
    for task in [cocotb.start_soon(each) for each in tasks]:
        await with_timeout(task, 50, "ms")


@cocotb.test()
async def sums_are_exact_under_any_backpressure(dut):
    units = await connected_units(dut)
    packets = int(os.environ[PACKETS])
    for valid, ready in ((2.0, 2.0), (0.5, 2.0), (2.0, 0.3), (0.6, 0.6)):
        await together(unit.exchange(packets, valid, ready) for unit in units)


@cocotb.test()
async def reset_at_any_time_leaves_a_clean_array(dut):
    units = await connected_units(dut)
    for _ in range(4):
        await together(unit.interrupted(unit.rng.randrange(1, 4 * unit.cycles)) for unit in units)
        await together(unit.exchange(5, 0.8, 0.8) for unit in units)


@cocotb.test()
async def packets_follow_without_bubbles(dut):
    for unit in await connected_units(dut):
        period = await unit.period()
        assert period == unit.cycles, f"{unit.name}: {period} cycles a packet, planned {unit.cycles}"
