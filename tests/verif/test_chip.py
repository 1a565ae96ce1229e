"""A whole chip under Verilator, driven through AXI: bit for bit the integer model, whatever the host does."""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cocotb
import pytest
import torch
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp
from torch import Tensor

from hardloom.gen.design.hardware import ARRAY_KINDS, HardwareConfig
from hardloom.gen.design.queues import Queues
from hardloom.gen.design.registers import IDENTIFICATION, ErrorCode
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.machine import POSITIONS, PROMPT_LENGTH, HeadWord, Instruction, Op, Program
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.chip.bench import BENCH
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.host import Host
from hardloom.verif.chip.scoreboard import reference_steps
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.proof.static import recover
from hardloom.verif.simulators.runner import run_tests
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.checkpoints import write_random_checkpoint
from tests.chips import built_chip
from tests.samplers import by_quota, by_threshold

GOOD = Run([3, 9, 12, 5, 7], by_quota(6, 3, 4))
"""Blocks of three in two steps: two tokens, then one."""
OTHER = Run([2, 11, 6], by_threshold(4, 2, 0.2))


def coin(seed: int) -> Iterator[bool]:
    """Pauses: now rare, now nearly always."""
    rng = random.Random(seed)
    while True:
        weight = rng.choice((0.1, 0.5, 0.95))
        yield from (rng.random() < weight for _ in range(rng.randrange(1, 40)))


async def start(host: Host, run: dict) -> None:
    """START; of a run without a prompt, with the prompt that the chip holds and registers as they are given."""
    if run.get("prompt") is not None:
        await host.start(run)
        return
    for name, value in run["registers"].items():
        await host.write(name, value)
    await host.write("CONTROL", 1)


async def disturb(host: Host, run: dict) -> None:
    """What the host does to a run under way."""
    if "reset" in run:
        await ClockCycles(host.dut.clk, run["reset"])
        await host.reset()
        while not host.sink.empty():
            host.sink.recv_nowait()
    if run.get("again"):
        await host.write("CONTROL", 1)
    if run.get("rewrite"):
        for name in ("PROMPT_LENGTH", "GEN_LENGTH", "PROGRAM"):
            await host.write(name, 0xA5A5)


async def facts(host: Host) -> dict:
    """Constant registers, and the answer where there is none."""
    names = ("ID", "MAX_POSITIONS", "VOCAB_SIZE", "MASK_TOKEN", "CONTROL")
    nowhere = await host.registers.read(0x60, 4)
    return {name: await host.read(name) for name in names} | {"nowhere": nowhere.resp == AxiResp.SLVERR}


@cocotb.test()
async def play_script(dut) -> None:
    """Every run of HARDLOOM_SCRIPT on one chip; a JSON line for each, behind one of `facts`."""
    script = json.loads(Path(os.environ["HARDLOOM_SCRIPT"]).read_text())
    cocotb.start_soon(Clock(dut.clk, 2, "step").start())
    host = Host(dut)
    await host.reset()
    results = [await facts(host)]
    for run in script:
        for stream in (host.source, host.sink):
            stream.set_pause_generator(coin(run["pause"]) if "pause" in run else None)
            stream.pause = False
        await start(host, run)
        await disturb(host, run)
        commits = [] if "reset" in run else [step async for step in host.steps()]
        results.append({"commits": commits, **await host.result()})
    Path(os.environ["HARDLOOM_RESULTS"]).write_text(json.dumps(results))


def play(chip: SimulatedChip, script: list[dict], folder: Path) -> list[dict]:
    """Runs the script; its results."""
    names = {"HARDLOOM_SCRIPT": str(folder / "script.json"), "HARDLOOM_RESULTS": str(folder / "results.json")}
    (folder / "script.json").write_text(json.dumps(script))
    build = (chip.folder / "verilator").resolve()
    assert run_tests(BENCH, __name__, folder, names, build=build, log=folder / "log") == 0
    return json.loads((folder / "results.json").read_text())


def expected(model: IntegerModel, run: Run) -> list[list[list[int]]]:
    """Commits [position, token, spread] of every golden step, in order."""
    steps = [reference.step for reference in reference_steps(model, run, probed=False)]
    return [[list(record) for record in step.records[0]] for step in steps]


def router_weights(model: IntegerModel, tokens: list[int]) -> Tensor:
    """Of all layers and chosen experts, int64 [layers * positions, top_k]."""
    found: list[Tensor] = []
    model.forward(torch.tensor([tokens]), lambda name, x: found.append(x[0]) if name.endswith("weights") else None)
    return torch.cat(found)


def test_every_step_and_every_probe_point_is_the_integer_model_s(
    tiny_chip: SimulatedChip, tiny_integer_model: IntegerModel, tmp_path: Path
) -> None:
    runs = [
        GOOD,
        OTHER,
        Run([1], by_quota(1, 1, 1)),
        Run([18, 16, 0, 16], by_quota(4, 4, 6)),
        Run([5, 5, 5, 5, 5, 5, 5], by_quota(8, 8, 3)),
        Run([14] * 26, by_quota(6, 6, 1)),
        Run([4, 8], by_threshold(6, 3, 1.0)),
        Run([7, 16, 2], by_threshold(5, 5, 0.02)),
        Run([7, 16, 2], Sampling.of("joint_threshold", gen_length=9, block_length=4, threshold=0.1, max_post=3)),
        Run([4], Sampling.of("hierarchical", gen_length=8, block_length=8, threshold=0.2)),
    ]
    result = compare_runs(tiny_chip, tiny_integer_model, runs, tmp_path / "taps")
    board = result.scoreboard
    assert board.first is None, str(board.first)
    assert board.mismatches == 0
    assert result.tokens == result.expected
    assert result.steps > 20 and board.compared > 100_000
    assert [run.forwards for run in runs] == [len(run.steps) for run in runs]
    weights = router_weights(tiny_integer_model, GOOD.prompt)
    assert weights.min() < 0 and weights.max() > 65536, "biases that the whole width of a weight is needed for"


def test_sequences_at_once_are_each_what_it_is_alone(
    tiny_chip: SimulatedChip, tiny_integer_model: IntegerModel, tmp_path: Path
) -> None:
    """Of unequal lengths, blocks and rules, each taking a slot when one is free."""
    runs = [
        replace(GOOD),
        Run([14] * 26, by_quota(6, 6, 6)),
        replace(OTHER),
        Run([1], by_quota(1, 1, 1)),
        Run([18, 16, 0, 16], by_quota(4, 4, 6)),
        Run([5, 5, 5, 5, 5, 5, 5], by_quota(8, 8, 3)),
        Run([7, 16, 2], by_threshold(5, 5, 0.02)),
        Run([4, 8], by_threshold(6, 3, 1.0)),
    ]
    result = compare_runs(tiny_chip, tiny_integer_model, runs, tmp_path / "taps", at_once=3)
    assert result.scoreboard.mismatches == 0, str(result.scoreboard.first)
    assert result.tokens == result.expected
    assert [run.forwards for run in runs] == [len(run.steps) for run in runs]
    turns = [number for number, _ in result.passes]
    assert turns != sorted(turns), "several are in flight"


def test_a_refused_request_leaves_other_slots_untouched(
    tiny_chip: SimulatedChip, tiny_integer_model: IntegerModel
) -> None:
    good = [GOOD, OTHER, Run([9, 2], by_quota(2, 2, 1))]
    bad = [
        (Run([3, 17, 12], by_quota(4, 2, 2)), ErrorCode.TOKEN),
        (Run([3] * 40, by_quota(4, 2, 2)), ErrorCode.LENGTH),
        (Run([3, 19], by_quota(4, 2, 2)), ErrorCode.TOKEN),
    ]
    runs = [replace(run) for pair in zip(good, (run for run, _ in bad), strict=True) for run in pair]
    for _ in tiny_chip.simulate(runs, at_once=3):
        pass
    assert [run.error for run in runs[1::2]] == [code for _, code in bad]
    for run in runs[::2]:
        assert run.error == 0 and run.steps == expected(tiny_integer_model, run)


MIXED = {"qkv": "packed", "o": "metal", "router": "cell", "gate_up": "shared", "down": "rom", "head": "shared"}
MIXED_SLICES = {"qkv": 4, "o": 2, "router": 1, "gate_up": 16, "down": 8, "head": 16}


@pytest.mark.slow
@pytest.mark.parametrize(
    "format, style, slices",
    [
        ("int4", "metal", 2),
        ("ternary", "metal", 2),
        ("mxfp4", "packed", 4),
        ("mxfp4", "rom", 16),
        ("mxfp4", "shared", 16),
        ("mxfp4", "cell", 1),
        ("mxfp4", MIXED, MIXED_SLICES),
    ],
)
def test_every_format_and_style_is_the_integer_model(
    format: str,
    style: str | dict[str, str],
    slices: int | dict[str, int],
    tiny_fields: dict[str, Any],
    tiny_hardware: HardwareConfig,
    tmp_path: Path,
) -> None:
    config = tiny_fields | {"moe_router_enable_expert_bias": format == "mxfp4"}
    write_random_checkpoint(tmp_path / "ckpt", config, seed=5)
    quantize_checkpoint(tmp_path / "ckpt", tmp_path / "quantized", format, numerics=Numerics())
    changes = {"style": style, "slices": dict.fromkeys(ARRAY_KINDS, slices) if isinstance(slices, int) else slices}
    hardware = HardwareConfig.from_json_dict(tiny_hardware.to_json_dict() | changes)
    quantized = QuantizedCheckpoint(tmp_path / "quantized")
    build = built_chip(quantized, tmp_path / "chip", hardware)
    assert {facts.kind: facts.style for facts in build.arrays} == hardware.style
    assert recover(build).complete
    chip = SimulatedChip(build, QUICK_BUILD)
    result = compare_runs(chip, IntegerModel(quantized), [GOOD, OTHER], tmp_path / "taps")
    assert result.scoreboard.mismatches == 0, str(result.scoreboard.first)
    assert result.tokens == result.expected and result.scoreboard.compared > 20_000


@pytest.mark.slow
def test_the_shallowest_queues_cost_cycles_and_change_no_integer(
    tiny_quantized: list[Path],
    tiny_hardware: HardwareConfig,
    tiny_integer_model: IntegerModel,
    tiny_chip: SimulatedChip,
    tmp_path: Path,
) -> None:
    hardware = replace(tiny_hardware, queues=Queues(residual=1, routing=1, jobs=1))
    chip = SimulatedChip(built_chip(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "chip", hardware), QUICK_BUILD)
    runs = [replace(GOOD), replace(GOOD)]
    shallow = compare_runs(chip, tiny_integer_model, runs[:1], tmp_path / "taps")
    assert shallow.scoreboard.mismatches == 0 and shallow.tokens == shallow.expected
    usual = compare_runs(tiny_chip, tiny_integer_model, runs[1:])
    assert shallow.cycles_per_forward > usual.cycles_per_forward


def words(*instructions: Instruction) -> list[int]:
    return list(Program.of("", instructions).words)


def refused(model: ModelShape, hardware: HardwareConfig) -> list[tuple[ErrorCode, dict]]:
    """Requests that make no sense, a refusal for each of its reasons."""
    kept = GOOD.request(model, hardware)
    length = {"PROMPT_LENGTH": len(GOOD.prompt), "GEN_LENGTH": 6}
    block = Instruction(Op.BLOCK, PROMPT_LENGTH, POSITIONS)
    return [
        (ErrorCode.LENGTH, kept | {"gen_length": 0}),
        (ErrorCode.LENGTH, kept | {"prompt": []}),
        (ErrorCode.LENGTH, kept | {"gen_length": 28}),
        (ErrorCode.LENGTH, kept | {"prompt": [1] * 40}),
        (ErrorCode.TOKEN, kept | {"prompt": [3, 19, 12]}),
        (ErrorCode.TOKEN, kept | {"prompt": [3, 3 + (1 << 24), 12]}),
        (ErrorCode.TOKEN, kept | {"prompt": [3, 9, 17]}),
        (ErrorCode.PROMPT, {"prompt": None, "registers": length | {"PROGRAM": 1 << 16}}),
        (ErrorCode.PROGRAM, {"prompt": None, "registers": {"PROMPT_LENGTH": 2, "PROGRAM": 1024 << 16}}),
        (ErrorCode.BUSY, kept | {"again": True}),
        (ErrorCode.ILLEGAL, kept | {"program": words(block)}),
        (ErrorCode.ILLEGAL, kept | {"program": [1 << 31 | 1]}),
        *((ErrorCode.ILLEGAL, kept | {"program": words(Instruction(Op.HEAD, 2, imm=word))}) for word in HeadWord),
        (ErrorCode.POSITION, kept | {"program": words(Instruction(Op.PREDICT))}),
        (ErrorCode.EARLY, kept | {"program": words(Instruction(Op.PUT, 2, PROMPT_LENGTH))}),
    ]


def test_a_refused_request_leaves_the_chip_usable(
    tiny_chip: SimulatedChip, tiny_integer_model: IntegerModel, tmp_path: Path
) -> None:
    hardware, model = tiny_chip.build.hardware, tiny_chip.model
    cases, good = refused(model, hardware), Run([9, 2], by_quota(2, 2, 1))
    requests = [run for _, request in cases for run in (request, good.request(model, hardware))]
    facts, *results = play(tiny_chip, requests, tmp_path)
    assert facts == {
        "ID": IDENTIFICATION,
        "MAX_POSITIONS": hardware.max_positions,
        "VOCAB_SIZE": model.vocab_size,
        "MASK_TOKEN": model.mask_token,
        "CONTROL": 0,
        "nowhere": True,
    }
    wanted, not_refused = expected(tiny_integer_model, good), expected(tiny_integer_model, GOOD)
    for (code, request), result, after in zip(cases, results[::2], results[1::2], strict=True):
        goes_on = not_refused if code == ErrorCode.BUSY else []
        assert (result["error"], result["commits"]) == (code, goes_on), request
        assert result["forwards"] == len(goes_on)
        assert (after["error"], after["commits"], after["forwards"]) == (0, wanted, len(wanted)), request


def test_pauses_resets_and_registers_written_meanwhile_change_nothing(
    tiny_chip: SimulatedChip, tiny_integer_model: IntegerModel, tmp_path: Path
) -> None:
    model = tiny_chip.model
    script = [(GOOD, {"pause": 1}), (OTHER, {"pause": 2}), (GOOD, {"rewrite": True})]
    for cycles in (1, 40, 700, 2500, 4000):
        script += [(None, {"reset": cycles}), (OTHER, {})]
    script += [(GOOD, {}), (GOOD, {"prompt": None, "registers": {}})]
    requests = [(run or GOOD).request(model, tiny_chip.build.hardware) | change for run, change in script]
    _, *results = play(tiny_chip, requests, tmp_path)
    wanted = {id(run): expected(tiny_integer_model, run) for run in (GOOD, OTHER)}
    for (run, change), result in zip(script, results, strict=True):
        if run is not None:
            assert (result["error"], result["commits"]) == (0, wanted[id(run)]), change
