"""`hardloom demo --model smollm2`: a real language model as a chip that continues text, every logit compared."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text
from tokenizers import Tokenizer

from hardloom.flows.chips.demo import answers_of, recover_weights
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import table
from hardloom.flows.models.smollm2 import package_file, question
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.design.hardware import ARRAY_KINDS, HardwareConfig
from hardloom.gen.design.lanes import most_lanes
from hardloom.golden.checkpoints.gguf_files import import_gguf
from hardloom.golden.checkpoints.tokenizer import load_tokenizer
from hardloom.golden.files import write_json
from hardloom.golden.folders import claimed
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import Step
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.shape import ModelShape
from hardloom.verif.chip.compare import Comparison, compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip

__all__ = ["LanguageResult", "language_model_demo"]

PROMPTS = ("Once upon a time, in a small village by the sea, there lived a", question("What is the capital of France?"))
"""Of 16 tokens each."""
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
SAMPLING = Sampling.of("left_to_right", gen_length=16)


def hardware_of(model: ModelShape) -> HardwareConfig:
    """Wide beats and whole vectors, so that a token takes few cycles to simulate; keys and values are kept."""
    default = HardwareConfig.default(model).to_json_dict()
    chosen = {
        "lanes": most_lanes(model, 16),
        "max_positions": 64,
        "cache": True,
        "slices": dict.fromkeys(ARRAY_KINDS, 1),
    }
    return HardwareConfig.from_json_dict(default | chosen)


@dataclass(frozen=True)
class LanguageResult:
    """The fields of `result.json`: tokens generated, integers compared and those that differ, of them all logits of the
    head; times of each stage in seconds of wall time; memory of the largest process in GiB."""

    texts: list[str]
    texts_golden: list[str]
    tokens: int
    integers_compared: int
    logits_compared: int
    mismatches: int
    cycles: int
    seconds_per_token: float
    seconds: dict[str, float]
    verilator_build_s: float
    memory_gib: float
    weights_hardwired: int
    weights_recovered: int

    @property
    def right(self) -> bool:
        """Whether every integer was equal and every weight recovered."""
        return self.mismatches == 0 and self.weights_recovered == self.weights_hardwired


class Stages:
    """Says what is done, and how long it took."""

    def __init__(self, console: Console) -> None:
        self.console, self.seconds = console, dict[str, float]()

    @contextmanager
    def __call__(self, name: str, text: str) -> Iterator[Callable[[int, int], None]]:
        """Times a stage; yields what its progress is told to."""
        self.console.print(text)
        begin = time.perf_counter()
        with progress_bar(name, None) as progress:
            yield progress
        self.seconds[name] = round(time.perf_counter() - begin, 1)
        self.console.print(f"  {self.seconds[name]:,.0f} s")


def make_chip(out: Path, stages: Stages) -> Build:
    """Import, quantize and generate, or take what is there and still fits."""
    file, checkpoint = package_file(), out / "checkpoint"
    with stages("import", f"reading {file.name}"):
        import_gguf(file, checkpoint)
    with stages("quantize", "quantizing to mxfp4, attention to mxfp6, embedding and head to int8"):
        quantize_checkpoint(checkpoint, out / "quantized", None)
    quantized = QuantizedCheckpoint(out / "quantized")
    with stages("generate", "writing the chip's Verilog") as progress:
        build = build_chip(quantized, out / "chip", hardware_of(quantized.model), progress)
    stages.console.print(f"  {build.manifest.weights_hardwired:,} weights hardwired in {len(build.files)} files")
    return build


def simulated(build: Build, stages: Stages) -> SimulatedChip:
    """The chip under Verilator in the table view."""

    def compiling() -> None:
        stages.console.print("  compiling all else with Verilator and g++: minutes, once")

    with stages("simulator", "writing tables of what the text holds, for the table view") as progress:
        return SimulatedChip(build, view="table", on_build=compiling, on_table=progress)


class Tokens:
    """A line a token, with the text as it appears."""

    def __init__(self, console: Console, runs: list[Run], tokenizer: Tokenizer) -> None:
        self.console, self.runs, self.tokenizer = console, runs, tokenizer
        self.begin, self.seconds = time.perf_counter(), list[float]()

    def __call__(self, number: int, step: Step) -> None:
        seconds, self.begin = time.perf_counter() - self.begin, time.perf_counter()
        run, done = self.runs[number], step.number + 1
        if step.number:  # the first one has the prompt to read
            self.seconds.append(seconds)
        start = len(run.prompt)
        before, text = (self.tokenizer.decode(step.tokens[0, start : start + n].tolist()) for n in (done - 1, done))
        line = Text(f"  token {done:2} of {run.sampling.gen_length}  {seconds:5.1f} s  ", "dim")
        self.console.print(line.append(before, "default").append(text[len(before) :], "bold green"))


def language_model_demo(out: Path, console: Console) -> LanguageResult:
    """Run the demonstration in the folder `out`, telling on `console` what is done and what came of it.

    Writes `result.json`. Raises `UserError` for a folder that is not ours and for a missing package.
    """
    with claimed(out, "demonstration"):
        stages = Stages(console)
        build = make_chip(out, stages)
        with stages("prove", "proving the text"):
            recovered = recover_weights(build, console.print)
        chip, tokenizer = simulated(build, stages), load_tokenizer(out / "quantized")
        assert tokenizer is not None  # `import_gguf` writes it
        runs = [Run(tokenizer.encode(prompt).ids, SAMPLING) for prompt in PROMPTS]
        tokens = Tokens(console, runs, tokenizer)
        with stages(
            "simulate and compare", f"{len(runs)} prompts on the chip; then every integer is compared"
        ) as progress:
            model = IntegerModel(build.checkpoint())
            comparison = compare_runs(chip, model, runs, out / "taps.txt", tokens, progress)
        (out / "taps.txt").unlink()
        texts, golden = (
            answers_of(comparison, rows, chip.model, tokenizer) for rows in (comparison.tokens, comparison.expected)
        )
        seconds = sum(tokens.seconds) / max(1, len(tokens.seconds))
        result = LanguageResult(
            texts=texts,
            texts_golden=golden,
            tokens=comparison.steps,
            integers_compared=comparison.scoreboard.compared,
            logits_compared=comparison.scoreboard.by_probe["logits"],
            mismatches=comparison.scoreboard.mismatches,
            cycles=sum(run.cycles for run in runs),
            seconds_per_token=round(seconds, 2),
            seconds=stages.seconds,
            verilator_build_s=chip.build_seconds,
            memory_gib=round(max(resource.getrusage(who).ru_maxrss for who in WHO) / (1 << 20), 1),
            weights_hardwired=build.manifest.weights_hardwired,
            weights_recovered=recovered,
        )
        write_json(out / "result.json", asdict(result))
        report(console, comparison, result, out)
        return result


def report(console: Console, comparison: Comparison, result: LanguageResult, out: Path) -> None:
    """The figures in words."""
    rows = [
        (Text(prompt), Text(text, "green" if text == golden else "bold red"), Text(golden))
        for prompt, text, golden in zip(PROMPTS, result.texts, result.texts_golden, strict=True)
    ]
    columns = ("prompt", "text from RTL", "text from golden")
    console.print(table(columns, rows, "what the chip says", left=columns))
    console.print(
        f"{result.integers_compared:,} integers compared, {result.logits_compared:,} logits among them; "
        f"{result.mismatches:,} differ"
    )
    if comparison.scoreboard.first:
        console.print(f"first difference: {comparison.scoreboard.first}", style="bold red")
    console.print(
        f"{result.tokens} tokens in {result.cycles:,} cycles, {result.seconds_per_token} s a token behind the first; "
        f"{result.weights_recovered:,} of {result.weights_hardwired:,} weights recovered from the Verilog"
    )
    console.print(f"the simulator was built in {result.verilator_build_s:,.0f} s; {result.memory_gib} GiB at most")
    console.print(f"figures: {out / 'result.json'}")
