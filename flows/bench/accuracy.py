"""`hardloom bench accuracy`: held-out exact match of the float and the integer model, and how experts are used."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.console.progress import progress_bar
from flows.console.report import Part, table
from flows.models.demonstration import DEMO_PARAMS, demo_tokenizer, mixed_problems
from flows.models.sample import check_device, load_float_model
from golden.checkpoints.config import CONFIG, read_config
from golden.models.float_model import FloatEngine
from golden.models.integer_model import IntegerModel
from golden.samplers.denoise import Engine, SamplerParams
from golden.training.accuracy import exact_match, expert_load

__all__ = ["accuracy", "accuracy_parts"]


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
    check_device(device)
    (_, shape), tokenizer = read_config(path / CONFIG), demo_tokenizer(path)
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
            shares = exact_match(engine, chosen, params, tokenizer, shape.mask_token, shape.eos_token_ids)
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
