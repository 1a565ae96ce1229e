"""Every sampler of the library on the chip's: the interpreter's passes, writes and end, on random predictions."""

from pathlib import Path

import pytest
import torch

from hardloom.gen.design.registers import ErrorCode
from hardloom.gen.text.verilog import to_verilog
from hardloom.gen.units.sampler import Sampler
from hardloom.golden.samplers.machine import MAX_FORWARDS, PROMPT_LENGTH, Instruction, Op, Program
from hardloom.golden.samplers.machine import POSITIONS as ALL
from hardloom.golden.samplers.sampling import SAMPLERS, Sampling, read_sampler
from hardloom.verif.faults.tie_bench import Copy, outputs
from hardloom.verif.samplers.host import Hosted
from hardloom.verif.samplers.programs import by_count
from hardloom.verif.streams.bench import Stimulus
from hardloom.verif.units.sampler import Host, tokens_but_mask
from tests.golden.samplers.engines import Tokens

POSITIONS, SPREAD_WIDTH = 20, 22
TOKENS = Tokens(vocab_size=12, mask_token=11, eos_token_ids=(10, 9), delete_token_id=8, split_token_id=7)


def sampling(host: Host, sampler: str) -> Sampling:
    """Of random lengths, blocks and thresholds."""
    block = host.draw(1, 8)
    gen = block * host.draw(1, 16 // block)
    values: dict[str, float] = {"block_length": block}
    for one in read_sampler(sampler).parameters:
        if "threshold" in one.name:
            values[one.name] = host.draw(0, 8) / 8
        elif one.name == "stop_at_eos":
            values[one.name] = host.draw(0, 1)
        elif one.name.startswith("max_"):
            values[one.name] = host.draw(1, 6)
    if "threshold" in values and not sampler.startswith(("joint", "leven", "block")):
        values["threshold"] = max(values["threshold"], 0.125)
    known = {one.name for one in read_sampler(sampler).parameters}
    return Sampling.of(sampler, gen_length=gen, **{name: value for name, value in values.items() if name in known})


def stimulus(unit: Hosted, sampler: str, seed: int) -> Stimulus:
    """A run, of which predictions may be any token; half of them have spreads that are alike."""
    host = Host(unit.sampler, torch.Generator().manual_seed(seed))
    asked = sampling(host, sampler)
    prompt = tokens_but_mask(host, host.draw(1, POSITIONS - asked.gen_length))
    host.run(prompt, asked.program(TOKENS), asked.gen_length)
    return Stimulus(host.inputs, host.outputs, cycles=host.cycles)


def differing(samplers: tuple[str, ...], cases: int, folder: Path) -> list[tuple[str, int]]:
    """Sampler and seed of the runs that came out otherwise in Verilog."""
    unit = Hosted(Sampler(TOKENS.vocab_size, TOKENS.mask_token, POSITIONS, SPREAD_WIDTH))
    keys = [(sampler, seed) for sampler in samplers for seed in range(cases)]
    stimuli = [stimulus(unit, *key) for key in keys]
    assert sum(len(one.outputs["commits"]) for one in stimuli) > len(keys)
    right = outputs([Copy("hosted", "hosted", to_verilog(unit, "hosted"), unit, stimuli)], folder)["hosted"]
    return [key for key, same in zip(keys, right, strict=True) if not same]


def test_every_sampler_runs_on_the_chip_as_it_does_in_golden(tmp_path: Path) -> None:
    assert differing(SAMPLERS, 6, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_thousand_runs_of_a_sampler_are_those_of_golden(sampler: str, tmp_path: Path) -> None:
    assert differing((sampler,), 1000, tmp_path) == []


@pytest.mark.slow
def test_a_program_without_end_ends_at_the_last_pass_and_the_next_one_runs(tmp_path: Path) -> None:
    """Golden says so at its third pass; the chip comes to the same code, and is as it was."""
    unit = Hosted(Sampler(TOKENS.vocab_size, TOKENS.mask_token, 2, SPREAD_WIDTH))
    host = Host(unit.sampler, torch.Generator().manual_seed(0))
    idle = [Instruction(Op.BLOCK, PROMPT_LENGTH, ALL), Instruction(Op.PREDICT), Instruction(Op.JUMP, imm=1)]
    host.run([3], Program.of("idle", idle), 1)
    host.run([4], by_count(1), 1)
    (status,), (after,) = host.outputs["status"]
    assert status["code"] == ErrorCode.ENDLESS and status["forwards"] == MAX_FORWARDS and after["done"]
    stimulus = Stimulus(host.inputs, host.outputs, cycles=host.cycles)
    copy = Copy("hosted", "hosted", to_verilog(unit, "hosted"), unit, [stimulus])
    assert outputs([copy], tmp_path)["hosted"] == [True]
