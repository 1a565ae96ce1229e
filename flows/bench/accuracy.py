"""`hardloom bench accuracy`: held-out exact match of the float and the integer model, and how experts are used."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from flows.console.progress import progress_bar
from flows.console.report import Part, table
from flows.models.sample import load_float_model
from golden.checkpoints.config import ModelConfig
from golden.checkpoints.tokenizer import load_tokenizer
from golden.errors import UserError
from golden.models.float_model import FloatEngine
from golden.models.integer_model import IntegerModel
from golden.samplers.denoise import Engine, SamplerParams
from golden.training.accuracy import exact_match, expert_load, held_out_problems
from golden.training.tasks import TASKS, Problem, build_tokenizer

__all__ = ["DEMO_PARAMS", "accuracy", "accuracy_parts", "demo_tokenizer", "mixed_problems"]

DEMO_PARAMS = SamplerParams(gen_length=16, block_length=8, steps=8)
"""What the demonstration asks of the sampler: two blocks of eight tokens, four steps each, two tokens a step."""


def mixed_problems(count: int) -> list[Problem]:
    """`count` held-out problems, the tasks in turn; `UserError` where there are not so many."""
    each = -(-count // len(TASKS))
    by_task = [held_out_problems(task, each) for task in TASKS]
    chosen = [problem for group in zip(*by_task, strict=False) for problem in group][:count]
    if len(chosen) < count or count < 1:
        most = len(TASKS) * min(len(group) for group in by_task)
        raise UserError(f"--prompts: {count} is not between 1 and the {most} held-out problems; give another number")
    return chosen


def demo_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of the checkpoint `path`; `UserError` where it was not trained on these tasks."""
    tokenizer = load_tokenizer(path)
    if tokenizer is None or tokenizer.get_vocab() != build_tokenizer().get_vocab():
        raise UserError(
            f"{path}: its tokenizer is not that of the demonstration's tasks; give a folder from `hardloom train`"
        )
    return tokenizer


@dataclass(frozen=True)
class Accuracy:
    """Figures of a checkpoint on held-out problems.

    Attributes
    ----------
    exact_match: share right by engine (`float`, `golden`) and task, and `all`; seconds: by engine.
    expert_load: share of all tokens of all denoising steps that each expert serves, by layer (float model).
    """

    checkpoint: str
    prompts: int
    sampler: dict[str, int]
    exact_match: dict[str, dict[str, float]]
    seconds: dict[str, float]
    expert_load: list[list[float]]


def accuracy(path: Path, count: int, params: SamplerParams = DEMO_PARAMS, device: str = "cpu") -> Accuracy:
    """Figures of the checkpoint `path` on `count` held-out problems."""
    config, tokenizer = ModelConfig.from_json(path / "config.json"), demo_tokenizer(path)
    chosen = mixed_problems(count)
    model = load_float_model(path, device)
    engines: dict[str, Engine] = {
        "float": FloatEngine(model),
        "golden": IntegerModel.from_checkpoint(path, device=device),
    }
    matches, seconds = {}, {}
    with progress_bar("held-out problems", "passes") as progress:
        for number, (name, engine) in enumerate(engines.items()):
            progress(number, 3)
            begin = time.perf_counter()
            shares = exact_match(engine, chosen, params, tokenizer, config.mask_token_id, config.eos_token_id)
            seconds[name] = round(time.perf_counter() - begin, 2)
            matches[name] = shares | {"all": sum(shares[problem.task] for problem in chosen) / count}
        progress(2, 3)
        load = expert_load(model, chosen, params, tokenizer)
    sampler = {"gen_length": params.gen_length, "block_length": params.block_length, "steps": params.steps}
    return Accuracy(str(path), count, sampler, matches, seconds, load.tolist())


def accuracy_parts(found: Accuracy) -> Iterator[Part]:
    """Shares right; shares of tokens by expert, whose rows sum to the number of experts a token."""
    columns = list(found.exact_match["float"])
    rows = [
        (engine, *(f"{shares[column]:.1%}" for column in columns), f"{found.seconds[engine]:.1f}")
        for engine, shares in found.exact_match.items()
    ]
    yield table(["engine", *columns, "seconds"], rows, f"exact match, {found.prompts} held-out prompts")
    experts = [f"{expert}" for expert in range(len(found.expert_load[0]))]
    loads = [(f"{layer}", *(f"{share:.1%}" for share in row)) for layer, row in enumerate(found.expert_load)]
    yield table(["layer", *experts], loads, "share of tokens that each expert serves")
