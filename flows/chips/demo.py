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

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import table
from hardloom.flows.models.demonstration import DEMO_FORMAT, DEMO_NUMERICS, demonstration_of, mixed_problems, recipe_of
from hardloom.flows.models.sample import draw_step, load_engine
from hardloom.flows.pictures.denoising import plot_denoising
from hardloom.flows.pictures.wiring import plot_wiring
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.files import write_json
from hardloom.golden.folders import claimed
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import Step
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.shape import ModelShape
from hardloom.golden.training.accuracy import answer_text, exact_match
from hardloom.golden.training.problems import Problem
from hardloom.verif.chip.compare import Comparison, compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.proof.static import recover

__all__ = ["answers_of", "demo", "recover_weights"]


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


@dataclass(frozen=True)
class Question:
    """A held-out problem, and the sampler that answers it."""

    problem: Problem
    sampling: Sampling

    def run(self, tokenizer: Tokenizer) -> Run:
        """What the chip is asked."""
        return Run(tokenizer.encode(self.problem.prompt).ids, self.sampling)

    def answered(self, text: str) -> bool:
        return text == self.problem.answer


def answer_table(asked: list[Question], rtl: list[str], golden: list[str], runs: list[Run]) -> Table:
    rows = []
    for question, text, expected, run in zip(asked, rtl, golden, runs, strict=True):
        problem, answer = question.problem, Text(text, "green" if text == expected else "bold red")
        correct = "yes" if question.answered(text) else f"no, {problem.answer}"
        texts = (Text(problem.prompt.strip()), Text(question.sampling.sampler), answer, Text(expected))
        rows.append((*texts, f"{run.cycles:,}", Text(correct)))
    columns = ("prompt", "sampler", "RTL", "golden", "cycles", "correct")
    return table(columns, rows, "the chip's answers", left={*columns} - {"cycles"}, no_wrap=True)


def share(texts: list[str], asked: list[Question]) -> float:
    return sum(question.answered(text) for text, question in zip(texts, asked, strict=True)) / len(asked)


def float_share(ckpt: Path, asked: list[Question], model: ModelShape, tokenizer: Tokenizer) -> float:
    """Exact match of the float model on the same questions."""
    engine, right = load_engine(ckpt, "float"), 0.0
    for sampling in {question.sampling: None for question in asked}:
        problems = [question.problem for question in asked if question.sampling == sampling]
        shares = exact_match(engine, problems, sampling, tokenizer, model)
        right += sum(shares[problem.task] for problem in problems)
    return right / len(asked)


def longest(asked: list[Question], runs: list[Run]) -> dict[str, Run]:
    """Runs of one prompt, by sampler: the prompt that took most steps, and is the longest of these."""
    by_prompt: dict[str, dict[str, Run]] = {}
    for question, run in zip(asked, runs, strict=True):
        by_prompt.setdefault(question.problem.prompt, {})[question.sampling.sampler] = run
    return max(
        by_prompt.values(), key=lambda found: [(len(run.steps), len(run.prompt)) for run in reversed(found.values())]
    )


def draw_pictures(build: Build, runs: dict[str, Run], block: int, tokenizer: Tokenizer, out: Path) -> None:
    """`denoising.png`; and `wiring.png` of the first expert's last matrix that is wired by metal."""
    plot_denoising(runs, block, build.checkpoint().model, tokenizer, out / "denoising.png")
    wired = (one for one in build.arrays if one.style == "metal" and one.expert is not None and one.kind == "down")
    plot_wiring(build, next(wired).module, out / "wiring.png")


def demo(ckpt: Path, out: Path, count: int | None, console: Console) -> Result:
    """Run the demonstration in the folder `out`, telling on `console` what is done and what came of it.

    count: of problems, by default as many as the model's demonstration has. Writes `result.json`, `denoising.png` and
    `wiring.png`. Raises `UserError` for a folder that is not ours.
    """
    (_, shape), recipe = read_config(ckpt / CONFIG), recipe_of(ckpt)
    tokenizer, demonstration = recipe.tasks.tokenizer(), demonstration_of(recipe)
    problems = mixed_problems(recipe.tasks, demonstration.problems if count is None else count)
    asked = [Question(problem, sampling) for problem in problems for sampling in demonstration.samplings]
    with claimed(out, "demonstration"):
        chip = make_chip(ckpt, out, console.print)
        recovered = recover_weights(chip.build, console.print)
        runs = [question.run(tokenizer) for question in asked]
        console.print(f"{len(runs)} prompts on the simulated chip; every token, confidence and probe point is compared")
        model = IntegerModel.from_checkpoint(out / "quantized")
        with denoising(console, runs, shape.mask_token, tokenizer) as show:
            comparison = compare_runs(chip, model, runs, out / "taps.txt", show)
        (out / "taps.txt").unlink()
        rtl = answers_of(comparison, comparison.tokens, shape, tokenizer)
        golden = answers_of(comparison, comparison.expected, shape, tokenizer)
        console.print(answer_table(asked, rtl, golden, runs))
        result = Result(
            prompts=len(comparison.runs),
            steps=comparison.steps,
            probes_compared=comparison.scoreboard.compared,
            mismatches=comparison.scoreboard.mismatches,
            cycles_per_forward=round(comparison.cycles_per_forward, 1),
            verilator_build_s=chip.build_seconds,
            simulated_cycles_per_s=round(comparison.cycles_per_s),
            exact_match_rtl=share(rtl, asked),
            exact_match_golden=share(golden, asked),
            exact_match_float=float_share(ckpt, asked, shape, tokenizer),
            weights_hardwired=chip.build.manifest.weights_hardwired,
            weights_recovered=recovered,
        )
        write_json(out / "result.json", asdict(result))
        draw_pictures(chip.build, longest(asked, runs), demonstration.block_length, tokenizer, out)
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
