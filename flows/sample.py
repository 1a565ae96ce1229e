"""`hardloom sample` and `hardloom logits`: one model, three engines."""

import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.live import Live
from rich.text import Text
from tokenizers import Tokenizer
from torch import Tensor

from golden.accuracy import answer_text
from golden.config import ModelConfig
from golden.errors import UserError
from golden.model import LLaDAMoE
from golden.quantize import write_atomically
from golden.quantized import QuantizedCheckpoint
from golden.sampler import Engine, FloatEngine, SamplerParams, Step, denoise

__all__ = ["Sampled", "draw_step", "load_engine", "load_tokenizer", "logits", "sample", "sample_prompt"]

ENGINES = ("float", "golden", "rtl")


@dataclass(frozen=True)
class Sampled:
    """What a prompt came to: generated token ids, their text up to the first eos (or None) and all steps."""

    tokens: list[int]
    text: str | None
    steps: list[Step]


def load_float_model(path: Path, device: str) -> LLaDAMoE:
    if QuantizedCheckpoint.is_quantized(path):
        raise UserError(f"{path}: is quantized; give the engine float the checkpoint that it was made from")
    return LLaDAMoE.from_checkpoint(path).to(device)


def load_engine(path: Path, name: str, device: str = "cpu") -> Engine:
    """The engine called `name` on the checkpoint `path`; `UserError` for an unknown name or a bad checkpoint."""
    if name not in ENGINES:
        raise UserError(f"engine {name!r} is not known; choose one of {', '.join(ENGINES)}")
    if name == "float":
        return FloatEngine(load_float_model(path, device))
    if name == "golden":
        from golden.chip import IntegerModel

        return IntegerModel.from_checkpoint(path, device=device)
    from flows.simulate import RtlEngine

    return RtlEngine.from_checkpoint(path)


def load_tokenizer(path: Path) -> Tokenizer | None:
    """The tokenizer of the checkpoint `path`, or None."""
    file = path / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the tokenizers library raises nothing more specific
        raise UserError(f"{file}: is no tokenizer ({error}); copy or download the file again") from None


def encode_prompt(path: Path, tokenizer: Tokenizer | None, text: str) -> list[int]:
    """Token ids of `text`; `UserError` without a tokenizer or for text outside its vocabulary."""
    if tokenizer is None:
        raise UserError(f"{path}: has no tokenizer.json; give the prompt as token ids with --prompt-tokens")
    encoding = tokenizer.encode(text, add_special_tokens=False)
    unknown = getattr(tokenizer.model, "unk_token", None)
    for token, (begin, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        if token == unknown:
            raise UserError(f"--prompt: {text[begin:end]!r} is not in the tokenizer's vocabulary; leave it out")
    return encoding.ids


def parse_tokens(option: str, text: str, config: ModelConfig) -> list[int]:
    """Token ids from `5,9,2`; `UserError` naming `option` for anything else or ids outside the vocabulary."""
    try:
        tokens = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{option}: {text!r} is not a list of token ids; write them like 5,9,2") from None
    for token in tokens:
        if not 0 <= token < config.vocab_size:
            raise UserError(
                f"{option}: token {token} is outside the vocabulary; give ids from 0 to {config.vocab_size - 1}"
            )
    check_positions(option, len(tokens), config)
    return tokens


def check_positions(option: str, positions: int, config: ModelConfig) -> None:
    if positions > config.max_position_embeddings:
        raise UserError(
            f"{option}: {positions} positions are more than the model's max_position_embeddings "
            f"{config.max_position_embeddings}; shorten the sequence"
        )


def sample_prompt(
    engine: Engine,
    config: ModelConfig,
    prompt: list[int],
    params: SamplerParams,
    tokenizer: Tokenizer | None = None,
    show: Callable[[Step], None] = lambda step: None,
) -> Sampled:
    """Denoise behind `prompt`, calling `show` with every `Step`."""
    steps = []
    for step in denoise(engine, torch.tensor([prompt]), params, config.mask_token_id):
        steps.append(step)
        show(step)
    tokens = steps[-1].tokens[0, len(prompt) :].tolist()
    text = None if tokenizer is None else answer_text(tokens, tokenizer, config.eos_token_id)
    return Sampled(tokens, text, steps)


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


def trace(engine: Engine, steps: list[Step]) -> list[dict]:
    """What every step committed, as JSON: positions count from the start of the prompt."""
    one = engine.spread_limit(1.0)
    rows = []
    for step in steps:
        positions = step.committed[0].nonzero().flatten()
        rows.append(
            {
                "block": step.block,
                "step": step.step,
                "positions": positions.tolist(),
                "tokens": step.tokens[0, positions].tolist(),
                "confidence": [one / spread for spread in step.prediction.spread[0, positions].tolist()],
            }
        )
    return rows


def sample(
    path: Path,
    engine_name: str,
    prompt_text: str | None,
    prompt_tokens: str | None,
    params: SamplerParams,
    as_json: bool,
    device: str,
) -> None:
    """Generate from one prompt and print the text, or the tokens where the checkpoint has no tokenizer."""
    params.validate()
    if (prompt_text is None) == (prompt_tokens is None):
        raise UserError("the prompt is missing or given twice; give either --prompt or --prompt-tokens")
    config, tokenizer = ModelConfig.from_json(path / "config.json"), load_tokenizer(path)
    if prompt_tokens is None:
        prompt = encode_prompt(path, tokenizer, prompt_text)
    else:
        prompt = parse_tokens("--prompt-tokens", prompt_tokens, config)
    if not prompt:
        raise UserError("--prompt: is empty; give at least one token")
    check_positions("--gen-length", len(prompt) + params.gen_length, config)
    engine = load_engine(path, engine_name, device)
    console = Console(stderr=True)
    with Live(console=console, transient=True) if console.is_terminal and not as_json else nullcontext() as live:

        def show(step: Step) -> None:
            if live:
                live.update(draw_step(step, len(prompt), config.mask_token_id, tokenizer), refresh=True)

        sampled = sample_prompt(engine, config, prompt, params, tokenizer, show)
    if as_json:
        figures = {"tokens": sampled.tokens, "text": sampled.text, "steps": len(sampled.steps)}
        print(json.dumps(figures | {"trace": trace(engine, sampled.steps)}))
    else:
        print(",".join(map(str, sampled.tokens)) if sampled.text is None else sampled.text)


def compute_logits(path: Path, engine_name: str, tokens: Tensor, device: str) -> Tensor:
    """Logits float32 [batch, positions, vocab_size] of token ids int64 [batch, positions]."""
    if engine_name == "float":
        with torch.inference_mode():
            return load_float_model(path, device)(tokens.to(device)).cpu()
    if engine_name == "golden":
        from golden.chip import IntegerModel

        return IntegerModel.from_checkpoint(path, device=device).logits(tokens).cpu()
    raise UserError(f"engine {engine_name!r} gives no logits; choose float or golden")


def logits(path: Path, engine_name: str, tokens: str, out: Path, device: str) -> None:
    """Write the logits of one sequence to `out`, float32 [positions, vocab_size] in NumPy's format."""
    config = ModelConfig.from_json(path / "config.json")
    ids = torch.tensor([parse_tokens("--tokens", tokens, config)])
    values = compute_logits(path, engine_name, ids, device)[0].numpy()
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32))
    write_atomically(out, buffer.getvalue())
