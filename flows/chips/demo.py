"""`hardloom demo`: from a trained checkpoint to a chip that answers, and the proof that it answers as it must."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from tokenizers import Tokenizer

from flows.console.progress import progress_bar
from flows.console.report import table
from flows.models.demonstration import DEMO_FORMAT, DEMO_NUMERICS, demonstration_of, mixed_problems, recipe_of
from flows.models.sample import draw_step, load_engine
from flows.pictures.denoising import plot_denoising
from flows.pictures.wiring import plot_wiring
from gen.build.folder import Build
from gen.build.generate import build_chip
from gen.design.hardware import HardwareConfig
from gen.design.layer_sizes import wired_module
from golden.checkpoints.config import CONFIG, read_config
from golden.files import write_json
from golden.folders import claim
from golden.models.integer_model import IntegerModel
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.samplers.denoise import Step
from golden.samplers.sampling import Sampling
from golden.shape import ModelShape
from golden.training.accuracy import answer_text, exact_match
from golden.training.problems import Problem
from verif.chip.compare import Comparison, compare_runs
from verif.chip.simulation import Run, SimulatedChip
from verif.proof.static import recover

__all__ = ["demo"]

WIRING_ARRAY = wired_module("layer_0", "expert.0.down")
"""The array whose wiring the demonstration draws."""


@dataclass(frozen=True)
class Result:
    """What the simulation, the comparison and the reading back came to; the fields of `result.json`."""

    prompts: int
    steps: int
    probes_compared: int
    mismatches: int
    cycles_per_forward: float
    verilator_build_s: float
    simulated_cycles_per_s: int
    exact_match_rtl: float
    exact_match_golden: float
    exact_match_float: float
    weights_hardwired: int
    weights_recovered: int

    @property
    def right(self) -> bool:
        """Whether every integer was equal and every weight recovered."""
        return self.mismatches == 0 and self.weights_recovered == self.weights_hardwired


def make_chip(ckpt: Path, out: Path, say: Callable[[str], None]) -> SimulatedChip:
    """Quantize, generate and build with Verilator, or take what is there and still fits."""
    say(f"quantizing {ckpt} to {DEMO_FORMAT}")
    quantize_checkpoint(ckpt, out / "quantized", DEMO_FORMAT, DEMO_NUMERICS)
    checkpoint = QuantizedCheckpoint(out / "quantized")
    say("writing the chip's Verilog")
    with progress_bar("generating", None) as progress:
        build = build_chip(checkpoint, out / "chip", HardwareConfig.default(checkpoint.model), progress)
    say(f"{build.manifest.weights_hardwired:,} weights hardwired in {len(build.files)} files: {out / 'chip'}")
    say("building the simulation with Verilator and g++; takes minutes where it is not there yet")
    chip = SimulatedChip(build)
    say(f"built in {chip.build_seconds:.0f} s")
    return chip


def recover_weights(build: Build, say: Callable[[str], None]) -> int:
    """Weights read back out of the emitted text that are those of the quantized checkpoint."""
    say("reading the weights back out of the emitted Verilog")
    with progress_bar("reading", None) as progress:
        recovery = recover(build, progress)
    say(f"{recovery.matching:,} of {recovery.weights:,} weights recovered")
    if recovery.first:
        say(f"first difference: {recovery.first}")
    return recovery.matching


@contextmanager
def denoising(
    console: Console, runs: list[Run], mask_token_id: int, tokenizer: Tokenizer
) -> Iterator[Callable[[int, Step], None]]:
    """Yields a function of (run, step) that shows masked positions turning into tokens.

    A terminal has one line a prompt that changes; elsewhere every step is a line of its own.
    """

    def line(number: int, step: Step) -> Text:
        return draw_step(step, len(runs[number].prompt), mask_token_id, tokenizer)

    if not console.is_terminal:
        yield lambda number, step: console.print(Text(f"{number + 1:3} ") + line(number, step))
        return
    lines: dict[int, Text] = {}
    with Live(console=console, auto_refresh=False) as live:

        def show(number: int, step: Step) -> None:
            lines[number] = Text(f"{number + 1:3} ") + line(number, step)
            live.update(Text("\n").join(lines.values()), refresh=True)

        yield show


def answers_of(comparison: Comparison, rows: list[list[int]], model: ModelShape, tokenizer: Tokenizer) -> list[str]:
    """The generated text of every run; `rows` are all its tokens."""
    starts = [len(run.prompt) for run in comparison.runs]
    return [answer_text(row[start:], tokenizer, model.eos_token_ids) for row, start in zip(rows, starts, strict=True)]


def answer_table(problems: list[Problem], rtl: list[str], golden: list[str], runs: list[Run]) -> Table:
    rows = []
    for problem, text, expected, run in zip(problems, rtl, golden, runs, strict=True):
        answer = Text(text, "green" if text == expected else "bold red")
        correct = "yes" if text == problem.answer else f"no, {problem.answer}"
        rows.append((Text(problem.prompt), answer, Text(expected), f"{run.cycles:,}", Text(correct)))
    columns = ("prompt", "text from RTL", "text from golden", "cycles", "correct")
    return table(columns, rows, "the chip's answers", left={*columns} - {"cycles"}, no_wrap=True)


def share(texts: list[str], problems: list[Problem]) -> float:
    return sum(text == problem.answer for text, problem in zip(texts, problems, strict=True)) / len(problems)


def float_share(
    ckpt: Path, problems: list[Problem], sampling: Sampling, model: ModelShape, tokenizer: Tokenizer
) -> float:
    """Exact match of the float model on the same prompts."""
    engine = load_engine(ckpt, "float")
    shares = exact_match(engine, problems, sampling, tokenizer, model)
    return sum(shares[problem.task] for problem in problems) / len(problems)


def demo(ckpt: Path, out: Path, count: int, console: Console) -> Result:
    """Run the demonstration in the folder `out`, telling on `console` what is done and what came of it.

    Writes `result.json`, `denoising.png` and `wiring.png`. Raises `UserError` for a folder that is not ours.
    """
    (_, shape), recipe = read_config(ckpt / CONFIG), recipe_of(ckpt)
    tokenizer, asked = recipe.tasks.tokenizer(), demonstration_of(recipe)
    claim(out, "demonstration")
    problems = mixed_problems(recipe.tasks, count)
    chip = make_chip(ckpt, out, console.print)
    recovered = recover_weights(chip.build, console.print)
    runs = [Run(tokenizer.encode(problem.prompt).ids, asked.sampling) for problem in problems]
    console.print(f"{count} prompts on the simulated chip; every token, confidence and probe point is compared")
    model = IntegerModel.from_checkpoint(out / "quantized")
    with denoising(console, runs, shape.mask_token, tokenizer) as show:
        comparison = compare_runs(chip, model, runs, out / "taps.txt", show)
    (out / "taps.txt").unlink()
    rtl = answers_of(comparison, comparison.tokens, shape, tokenizer)
    golden = answers_of(comparison, comparison.expected, shape, tokenizer)
    console.print(answer_table(problems, rtl, golden, runs))
    result = Result(
        prompts=len(comparison.runs),
        steps=comparison.steps,
        probes_compared=comparison.scoreboard.compared,
        mismatches=comparison.scoreboard.mismatches,
        cycles_per_forward=round(comparison.cycles_per_forward, 1),
        verilator_build_s=chip.build_seconds,
        simulated_cycles_per_s=round(comparison.cycles_per_s),
        exact_match_rtl=share(rtl, problems),
        exact_match_golden=share(golden, problems),
        exact_match_float=float_share(ckpt, problems, asked.sampling, shape, tokenizer),
        weights_hardwired=chip.build.manifest.weights_hardwired,
        weights_recovered=recovered,
    )
    write_json(out / "result.json", asdict(result))
    plot_denoising(
        max(runs, key=lambda run: len(run.prompt)), asked.block_length, shape, tokenizer, out / "denoising.png"
    )
    plot_wiring(chip.build, WIRING_ARRAY, out / "wiring.png")
    report(console, comparison, result, out)
    return result


def report(console: Console, comparison: Comparison, result: Result, out: Path) -> None:
    """The figures in words."""
    console.print(
        f"{result.probes_compared:,} integers of {result.steps} denoising steps compared, {result.mismatches:,} differ"
    )
    if comparison.scoreboard.first:
        console.print(f"first difference: {comparison.scoreboard.first}", style="bold red")
    console.print(
        f"exact match: RTL {result.exact_match_rtl:.0%}, golden {result.exact_match_golden:.0%}, "
        f"float {result.exact_match_float:.0%}"
    )
    console.print(
        f"{result.cycles_per_forward:,.0f} cycles a step, {result.simulated_cycles_per_s:,} simulated cycles/s; "
        f"{result.weights_recovered:,} of {result.weights_hardwired:,} weights recovered from the Verilog"
    )
    console.print(f"figures and pictures: {out / 'result.json'}, {out / 'denoising.png'}, {out / 'wiring.png'}")
