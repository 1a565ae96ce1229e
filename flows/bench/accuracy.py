"""`hardloom bench accuracy`: held-out exact match of the float and the integer model, and how experts are used."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from flows.console.progress import progress_bar
from flows.models.sample import load_float_model
from golden.checkpoints.config import ModelConfig
from golden.checkpoints.tokenizer import load_tokenizer
from golden.errors import UserError
from golden.models.float_model import FloatEngine
from golden.models.integer_model import IntegerModel
from golden.samplers.denoise import Engine, SamplerParams
from golden.training.accuracy import exact_match, expert_load, held_out_problems
from golden.training.tasks import TASKS, Problem, build_tokenizer

__all__ = ["DEMO_PARAMS", "accuracy", "demo_tokenizer", "measure_accuracy", "mixed_problems"]

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


def measure_accuracy(path: Path, count: int, params: SamplerParams, device: str = "cpu") -> dict[str, Any]:
    """Figures of the checkpoint `path` on `count` held-out problems.

    exact_match: share right by engine (`float`, `golden`) and task, and `all`; seconds: by engine; expert_load: share
    of all tokens of all denoising steps that each expert serves, by layer (float model).
    """
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
    return {
        "checkpoint": str(path),
        "prompts": count,
        "sampler": {"gen_length": params.gen_length, "block_length": params.block_length, "steps": params.steps},
        "exact_match": matches,
        "seconds": seconds,
        "expert_load": load.tolist(),
    }


def accuracy(path: Path, count: int, device: str, as_json: bool) -> None:
    """Print what `measure_accuracy` finds."""
    figures = measure_accuracy(path, count, DEMO_PARAMS, device)
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    console = Console(highlight=False)
    console.print(accuracy_table(figures))
    console.print(load_table(figures["expert_load"]))


def accuracy_table(figures: dict[str, Any]) -> Table:
    table = Table(title=f"exact match, {figures['prompts']} held-out prompts")
    table.add_column("engine")
    columns = list(figures["exact_match"]["float"])
    for column in [*columns, "seconds"]:
        table.add_column(column, justify="right")
    for engine, shares in figures["exact_match"].items():
        table.add_row(engine, *(f"{shares[c]:.1%}" for c in columns), f"{figures['seconds'][engine]:.1f}")
    return table


def load_table(load: Iterable[list[float]]) -> Table:
    """Shares of tokens by expert; the rows sum to the number of experts a token."""
    table = Table(title="share of tokens that each expert serves")
    table.add_column("layer")
    rows = list(load)
    for expert in range(len(rows[0])):
        table.add_column(f"{expert}", justify="right")
    for layer, row in enumerate(rows):
        table.add_row(f"{layer}", *(f"{share:.1%}" for share in row))
    return table
