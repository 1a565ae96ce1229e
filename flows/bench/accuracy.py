"""`hardloom bench accuracy`: held-out exact match of the float and the integer model, and how experts are used."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.models.demonstration import DEMO_FORMAT, DEMO_NUMERICS, demonstration_of, mixed_problems, recipe_of
from hardloom.flows.models.sample import check_device, load_float_model
from hardloom.flows.models.saturations import saturated_in_words
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.models.float_model import FloatEngine
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.denoise import Engine
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.training.accuracy import exact_match, expert_load

__all__ = ["accuracy", "accuracy_parts", "batch_cost"]

SEQUENCES, POSITIONS, PASSES = 64, 28, 11


@dataclass(frozen=True)
class BatchCost:
    """CPU seconds of a forward pass of `sequences` x `positions` random tokens by engine, the median of some on one
    thread, the engines in turn; ratio: of the integer model's over the float model's."""

    sequences: int
    positions: int
    cpu_s: dict[str, float]
    ratio: float


def batch_cost(engines: Mapping[str, Engine], vocabulary: int) -> BatchCost:
    """What the engines `float` and `golden` cost on the same batch."""
    tokens = torch.randint(vocabulary, (SEQUENCES, POSITIONS), generator=torch.Generator().manual_seed(0))
    taken: dict[str, list[float]] = {name: [] for name in engines}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for _ in range(PASSES):
            for name, engine in engines.items():
                begin = time.process_time()
                engine.predict(tokens)
                taken[name].append(time.process_time() - begin)
    torch.set_num_threads(threads)
    cpu = {name: round(median(seconds[1:]), 4) for name, seconds in taken.items()}
    return BatchCost(SEQUENCES, POSITIONS, cpu, round(cpu["golden"] / cpu["float"], 2))


@dataclass(frozen=True)
class Accuracy:
    """Figures of a checkpoint on held-out problems.

    Attributes
    ----------
    exact_match: share right by engine (`float`, `golden`) and task, and `all`; seconds: by engine.
    saturated: elements that did not fit their word in the integer model, by site; nothing was promised.
    cost: of a forward pass of a batch. expert_load: share of all tokens of all denoising steps that each expert
        serves, by layer (float model); expert_imbalance: by layer, tokens of the busiest expert over the mean within a
        forward pass of a sequence, of all its positions (`forward`) and of those whose logits are wanted (`wanted`).
    """

    checkpoint: str
    prompts: int
    sampler: str
    exact_match: dict[str, dict[str, float]]
    seconds: dict[str, float]
    saturated: dict[str, int]
    cost: BatchCost
    expert_load: list[list[float]]
    expert_imbalance: dict[str, list[float]]


def accuracy(path: Path, count: int, sampling: Sampling | None = None, device: str = "cpu") -> Accuracy:
    """Figures of the checkpoint `path` on `count` held-out problems, sampled as in its demonstration by default."""
    check_device(device)
    (_, shape), recipe = read_config(path / CONFIG), recipe_of(path)
    sampling, tokenizer = sampling or demonstration_of(recipe).sampling, recipe.tasks.tokenizer()
    chosen = mixed_problems(recipe.tasks, count)
    model = load_float_model(path, device)
    integers = IntegerModel.from_checkpoint(path, DEMO_FORMAT, DEMO_NUMERICS, device, watched=True)
    engines: dict[str, Engine] = {"float": FloatEngine(model), "golden": integers}
    matches, seconds = {}, {}
    with progress_bar("held-out problems", "passes") as progress:
        for number, (name, engine) in enumerate(engines.items()):
            progress(number, 3)
            begin = time.perf_counter()
            shares = exact_match(engine, chosen, sampling, tokenizer, shape)
            seconds[name] = round(time.perf_counter() - begin, 2)
            matches[name] = shares | {"all": sum(shares[problem.task] for problem in chosen) / count}
        progress(2, 3)
        load = expert_load(model, chosen, sampling, tokenizer)
    saturated = dict(integers.saturations)
    plain = IntegerModel.from_checkpoint(path, DEMO_FORMAT, DEMO_NUMERICS, device)  # counting takes a tenth longer
    cost = batch_cost(engines | {"golden": plain}, shape.vocab_size)
    uneven = {"forward": load.in_a_forward.tolist(), "wanted": load.among_wanted.tolist()}
    return Accuracy(str(path), count, str(sampling), matches, seconds, saturated, cost, load.shares.tolist(), uneven)


def accuracy_parts(found: Accuracy) -> Iterator[Part]:
    """Shares right; shares of tokens by expert, whose rows sum to the number of experts a token."""
    columns = list(found.exact_match["float"])
    rows = [
        (engine, *(f"{shares[column]:.1%}" for column in columns), f"{found.seconds[engine]:.1f}")
        for engine, shares in found.exact_match.items()
    ]
    yield table(["engine", *columns, "seconds"], rows, f"exact match, {found.prompts} held-out prompts")
    yield f"golden: {saturated_in_words(found.saturated)}"
    cost = [(engine, f"{seconds * 1e3:.1f}") for engine, seconds in found.cost.cpu_s.items()]
    size = f"{found.cost.sequences} x {found.cost.positions} positions"
    yield table(["engine", "CPU ms"], cost, f"a forward pass of {size}: golden over float {found.cost.ratio}")
    experts = [f"{expert}" for expert in range(len(found.expert_load[0]))]
    loads = [(f"{layer}", *(f"{share:.1%}" for share in row)) for layer, row in enumerate(found.expert_load)]
    yield table(["layer", *experts], loads, "share of tokens that each expert serves")
    uneven = [(name, *(f"{ratio:.2f}" for ratio in ratios)) for name, ratios in found.expert_imbalance.items()]
    layers = [f"layer {layer}" for layer in range(len(found.expert_load))]
    yield table(["positions", *layers], uneven, "the busiest expert of a forward over the mean")
