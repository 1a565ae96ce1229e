"""`hardloom sample` and `hardloom logits`: one model, three engines."""

import io
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.live import Live
from rich.text import Text
from tokenizers import Tokenizer

from hardloom.flows.console.report import Line, Part, table
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.design.adapter_image import check_rank, rank_of
from hardloom.gen.design.features import FIELDS, check_program, wanted_fields
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.checkpoints.lora import LowRank, read_lora
from hardloom.golden.checkpoints.tokenizer import encode_prompt, load_tokenizer
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file
from hardloom.golden.models.float_model import FloatEngine, FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import CERTAIN, Step, check_prompt
from hardloom.golden.samplers.sampling import Sampling, denoise
from hardloom.golden.shape import ModelShape
from hardloom.golden.training.accuracy import answer_text

__all__ = [
    "Prompt",
    "check_device",
    "draw_step",
    "is_build",
    "is_causal",
    "load_engine",
    "load_float_model",
    "logits",
    "model_folder",
    "quantized_of",
    "sample",
]

ENGINES = ("float", "golden", "rtl")

DEFAULT_PROMPT = 6
"""Tokens of a prompt where none is given."""


def is_build(path: Path) -> bool:
    """Whether `path` is a folder that `hardloom generate` wrote."""
    return (path / MANIFEST).is_file()


def model_folder(path: Path) -> Path:
    """Where the model of a checkpoint is, or of a build: `UserError` where that is not what the build was made from."""
    return Build(path).checkpoint().path if is_build(path) else path


def is_causal(path: Path) -> bool:
    """Whether the model of a checkpoint, or of a build, has no masks to fill."""
    return read_config(model_folder(path) / CONFIG)[1].mask_token_id is None


def check_engine(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise UserError(f"--engine: {name!r} is not one of {', '.join(known)}; choose one of them")


def check_device(device: str) -> None:
    """Raise `UserError` for a torch device that is not there."""
    try:
        torch.zeros(1, device=device).item()  # a device that holds no values, like meta, fails here
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device: {device!r} cannot be used ({reason}); give cpu or a device that is there") from None


def load_float_model(path: Path, device: str) -> FloatModel:
    if QuantizedCheckpoint.is_quantized(path):
        raise UserError(f"{path}: is quantized; give the engine float the checkpoint that it was made from")
    return FloatModel.from_checkpoint(path).to(device)


def load_engine(
    path: Path, name: str, device: str = "cpu", lora: Mapping[str, LowRank] | None = None
) -> FloatEngine | IntegerModel:
    """The engine `float` or `golden` on the checkpoint `path`, with adapters; `UserError` for a bad checkpoint."""
    if name == "float":
        model = load_float_model(path, device)
        model.adapt(lora or {})
        return FloatEngine(model)
    return IntegerModel.from_checkpoint(path, device=device, watched=True, lora=lora)


def parse_tokens(option: str, text: str, model: ModelShape) -> list[int]:
    """Token ids from `5,9,2`; `UserError` naming `option` for anything else or ids outside the vocabulary."""
    try:
        tokens = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{option}: {text!r} is not a list of token ids; write them like 5,9,2") from None
    for token in tokens:
        if not 0 <= token < model.vocab_size:
            raise UserError(
                f"{option}: token {token} is outside the vocabulary; give ids from 0 to {model.vocab_size - 1}"
            )
    model.check_positions(len(tokens), option)
    return tokens


@dataclass(frozen=True)
class Running:
    """A prompt on an engine: its steps as they end, and what has saturated so far, by site."""

    steps: Iterator[Step]
    saturated: dict[str, int]


def running(
    path: Path,
    folder: Path,
    engine: str,
    prompt: list[int],
    sampling: Sampling,
    shape: ModelShape,
    device: str,
    lora: Mapping[str, LowRank] | None,
) -> Running:
    """A prompt on the engine so called. folder: `model_folder` of `path`."""
    tokens = torch.tensor([prompt])
    if engine == "rtl":
        from hardloom.flows.models.rtl_engine import RtlEngine, check_end, quantized_folder

        quantized = quantized_folder(folder)
        check_end(quantized, tokens, sampling, lora)
        positions = len(prompt) + sampling.gen_length
        if is_build(path):
            chip = RtlEngine.from_build(path, positions, lora)
        else:
            ranks = {"adapter_rank": rank_of(lora)} if lora else {}
            wanted = {**wanted_fields(sampling.program(shape)), **ranks}
            chip = RtlEngine.from_checkpoint(path, quantized, positions, wanted, lora)
        return Running(chip.denoise(tokens, sampling), chip.saturated)
    model = load_engine(folder, engine, device, lora)
    saturated = model.saturations if isinstance(model, IntegerModel) else {}
    return Running(iter(denoise(model, tokens, sampling, shape)), saturated)


def draw_step(step: Step, prompt_length: int, mask_token_id: int, tokenizer: Tokenizer | None) -> Text:
    """One line for a terminal: prompt, tokens (new ones bright, special ones as a dot) and masks as blocks."""
    line = Text()
    for position, (token, new) in enumerate(zip(step.tokens[0].tolist(), step.committed[0].tolist(), strict=True)):
        if token == mask_token_id:
            line.append("░", "dim")
            continue
        piece = f"{token} " if tokenizer is None else tokenizer.decode([token]) or "·"
        line.append(piece, "bold green" if new else "dim" if position < prompt_length else "")
    return line


@dataclass(frozen=True)
class Commits:
    """What a denoising step wrote, in order: positions, from the start of the prompt, tokens, and the probabilities of
    the latest predictions there (None where there was none yet)."""

    step: int
    positions: list[int]
    tokens: list[int]
    confidence: list[float | None]

    @classmethod
    def of(cls, number: int, step: Step) -> "Commits":
        written = step.records[0]
        confidence = [CERTAIN / spread if spread else None for _, _, spread in written]
        return cls(number, [position for position, _, _ in written], [token for _, token, _ in written], confidence)


@dataclass(frozen=True)
class Sample:
    """What came of a prompt.

    Attributes
    ----------
    tokens: generated; text: up to the first eos, None without a tokenizer.
    steps: how many; tokens_per_step: of tokens that are no mask; trace: what each step wrote.
    saturated: elements that did not fit their word, by site (engine golden), or those that the chip counts.
    """

    tokens: list[int]
    text: str | None
    steps: int
    tokens_per_step: float
    trace: list[Commits]
    saturated: dict[str, int]

    def line(self) -> Line:
        """The text, or the tokens where there is no tokenizer."""
        return Line(",".join(map(str, self.tokens)) if self.text is None else self.text)

    def trace_parts(self) -> Iterator[Part]:
        """What each step wrote, and how many tokens a step filled."""
        rows = []
        for one in self.trace:
            chances = ("" if chance is None else f" {chance:.3f}" for chance in one.confidence)
            written = zip(one.positions, one.tokens, chances, strict=True)
            rows.append((f"{one.step}", "  ".join(f"[{at}]={token}{chance}" for at, token, chance in written)))
        title = f"{self.steps} steps, {self.tokens_per_step} tokens a step"
        yield table(("step", "[position]=token probability"), rows, title, left={"[position]=token probability"})


@dataclass(frozen=True)
class Prompt:
    """A prompt in one of two forms: as text, or as token ids like `5,9,2`."""

    text: str | None = None
    tokens: str | None = None

    def read(self, path: Path, model: ModelShape, tokenizer: Tokenizer | None) -> list[int]:
        """Its token ids."""
        if self.text is not None and self.tokens is None:
            return encode_prompt(path, tokenizer, self.text, model.vocab_size)
        if self.tokens is not None and self.text is None:
            return parse_tokens("--prompt-tokens", self.tokens, model)
        raise UserError("the prompt is missing or given twice; give either --prompt or --prompt-tokens")

    def read_or_choose(self, path: Path, model: ModelShape, tokenizer: Tokenizer | None) -> list[int]:
        """The same; where none is given, a few ids from all over the vocabulary."""
        if self.text is not None or self.tokens is not None:
            return self.read(path, model, tokenizer)
        most = model.vocab_size
        spread = (most * (2 * number + 1) // (2 * DEFAULT_PROMPT) for number in range(DEFAULT_PROMPT))
        return [token if token != model.mask_token else (token + 1) % most for token in spread]


def sample(
    path: Path,
    engine: str,
    given: Prompt,
    sampling: Sampling,
    device: str,
    draw: bool,
    adapter: Path | None = None,
) -> Sample:
    """Generate from one prompt; with `draw`, a terminal shows every step on standard error as it ends.

    adapter: a folder of PEFT.
    """
    check_engine(engine, ENGINES)
    check_device(device)
    folder = model_folder(path)
    (raw, model), tokenizer = read_config(folder / CONFIG), load_tokenizer(folder)
    lora = None if adapter is None else read_lora(adapter, raw, model)
    program = sampling.program(model)  # which says what is wrong with it before anything is built
    if engine == "rtl":
        check_program(program, Build(path).hardware.to_json_dict() if is_build(path) else dict.fromkeys(FIELDS, True))
        if lora and is_build(path):
            check_rank(Build(path).hardware, lora)
    prompt = given.read(folder, model, tokenizer)
    check_prompt(torch.tensor(prompt), model.mask_token)
    model.check_positions(len(prompt) + sampling.gen_length, "--gen-length")
    console = Console(stderr=True)
    live = Live(console=console, transient=True) if console.is_terminal and draw else None
    steps = []
    run = running(path, folder, engine, prompt, sampling, model, device, lora)
    with live or nullcontext():
        for step in run.steps:
            steps.append(step)
            if live:
                live.update(draw_step(step, len(prompt), model.mask_token, tokenizer), refresh=True)
    tokens = steps[-1].tokens[0, len(prompt) :].tolist()
    text = None if tokenizer is None else answer_text(tokens, tokenizer, model.eos_token_ids)
    trace = [Commits.of(number, step) for number, step in enumerate(steps)]
    filled = sum(token != model.mask_token for token in tokens)
    return Sample(tokens, text, len(steps), round(filled / len(steps), 2), trace, run.saturated)


def quantized_of(path: Path) -> QuantizedCheckpoint | None:
    """The quantized checkpoint that `path` is, or holds as a build; None where it is quantized on the way."""
    folder = model_folder(path)
    return QuantizedCheckpoint(folder) if QuantizedCheckpoint.is_quantized(folder) else None


def logits(path: Path, engine: str, tokens: str, out: Path, device: str) -> dict[str, int]:
    """Write the logits of one sequence to `out`, float32 [positions, vocab_size] in NumPy's format. Returns what has
    saturated, by site."""
    check_engine(engine, ENGINES[:2])
    check_device(device)
    _, shape = read_config(path / CONFIG)
    ids, saturated = torch.tensor([parse_tokens("--tokens", tokens, shape)], device=device), dict[str, int]()
    with torch.inference_mode():
        if engine == "float":
            values = load_float_model(path, device)(ids)
        else:
            model = IntegerModel.from_checkpoint(path, device=device, watched=True)
            values, saturated = model.logits(ids), model.saturations
    buffer = io.BytesIO()
    np.save(buffer, values[0].cpu().numpy())
    write_file(out, buffer.getvalue())
    return saturated
