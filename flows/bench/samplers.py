"""`hardloom bench samplers`: what each sampler of the library answers, and how many tokens a forward pass gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.models.demonstration import DEMO_FORMAT, DEMO_NUMERICS, demonstration_of, mixed_problems, recipe_of
from hardloom.flows.models.sample import check_device, load_float_model
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import FloatEngine
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.denoise import Engine
from hardloom.golden.samplers.sampling import SAMPLERS, Sampling, read_sampler
from hardloom.golden.shape import ModelShape
from hardloom.golden.training.accuracy import answer_text, answers
from hardloom.golden.training.problems import Problem

__all__ = ["SamplerRow", "samplers", "samplers_parts"]

SHOWN: dict[str, tuple[dict[str, float], ...]] = {
    "threshold": ({}, {"credit": 0.7}, {"threshold": 0.95}, {"threshold": 0.95, "credit": 0.7}),
    "block_diffusion": ({"threshold": 0.95}, {"threshold": 0.85}),
    "joint_threshold": ({"threshold": 0.7}, {"threshold": 0.5}),
}
"""Of samplers that are shown with more than their default; a credit of 0.7 is dInfer's."""


@dataclass(frozen=True)
class SamplerRow:
    """A sampler on held-out problems: exact_match, a share; tokens_per_forward, filled over passes; and
    positions_per_token, computed over filled; by engine."""

    sampler: str
    exact_match: dict[str, float]
    tokens_per_forward: dict[str, float]
    positions_per_token: dict[str, float]


def asked(gen_length: int, block_length: int, shape: ModelShape, vicinities: Sequence[int]) -> Iterator[Sampling]:
    """Every sampler of the library that the model has the tokens for, in blocks of so many; and with each vicinity."""
    for name in SAMPLERS:
        known = {one.name for one in read_sampler(name).parameters}
        values = {"block_length": block_length} if "block_length" in known else {}
        for more in SHOWN.get(name, ({},)):
            given = values | more
            sampling = Sampling.of(name, gen_length=gen_length, **given)
            try:
                sampling.program(shape)
            except UserError:  # no DELETE and SPLIT
                continue
            yield sampling
            for vicinity in vicinities:
                yield Sampling.of(name, gen_length=gen_length, **given, vicinity=vicinity)


def run(
    engine: Engine, sampling: Sampling, problems: Sequence[Problem], tokenizer: Tokenizer, shape: ModelShape
) -> tuple[float, float, float]:
    """Share of problems answered exactly, tokens a forward pass of a sequence, and positions computed a token."""
    right = forwards = filled = computed = 0
    for group, machines in answers(engine, problems, sampling, tokenizer, shape):
        for problem, machine in zip(group, machines, strict=True):
            right += answer_text(machine.answered, tokenizer, shape.eos_token_ids) == problem.answer
            forwards += machine.forwards
            computed += machine.computed
            filled += sum(token != shape.mask_token for token in machine.answered)
    return round(right / len(problems), 4), round(filled / forwards, 2), round(computed / filled, 1)


def samplers(path: Path, count: int, device: str = "cpu", vicinities: Sequence[int] = ()) -> list[SamplerRow]:
    """Every sampler on `count` held-out problems of the checkpoint `path`, tasks in turn, in float and in integers.

    vicinities: that each is measured with besides. Raises `UserError` where the model has none.
    """
    check_device(device)
    (_, shape), recipe = read_config(path / CONFIG), recipe_of(path)
    if vicinities and not shape.bidirectional:
        raise UserError(f"--vicinity: in {shape.family} not all positions see each other; leave it out")
    demonstration, problems = demonstration_of(recipe), mixed_problems(recipe.tasks, count)
    tokenizer = recipe.tasks.tokenizer()
    engines: dict[str, Engine] = {
        "float": FloatEngine(load_float_model(path, device)),
        "golden": IntegerModel.from_checkpoint(path, DEMO_FORMAT, DEMO_NUMERICS, device),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # short passes: threads would wait for each other
    rows, chosen = [], list(asked(demonstration.sampling.gen_length, demonstration.block_length, shape, vicinities))
    with progress_bar("samplers", "samplers") as progress:
        for number, sampling in enumerate(chosen, 1):
            found = {name: run(engine, sampling, problems, tokenizer, shape) for name, engine in engines.items()}
            figures = ({name: some[part] for name, some in found.items()} for part in range(3))
            rows.append(SamplerRow(str(sampling), *figures))
            progress(number, len(chosen))
    torch.set_num_threads(threads)
    return rows


def samplers_parts(rows: Sequence[SamplerRow]) -> Iterator[Part]:
    """A line a sampler."""
    lines = []
    for row in rows:
        matches = (f"{share:.1%}" for share in row.exact_match.values())
        speeds = map(str, row.tokens_per_forward.values())
        lines.append((row.sampler, *matches, *speeds, str(row.positions_per_token["golden"])))
    figures = ("exact, float", "exact, golden", "tokens a forward, float", "tokens a forward, golden")
    columns = ("sampler", *figures, "positions a token, golden")
    yield table(columns, lines, "held-out problems by sampler", left=columns[:1])
