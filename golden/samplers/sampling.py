"""What a user asks of a sampler: which one, how many tokens, and values of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.language.compiler import Vocabulary, compiled
from hardloom.golden.samplers.language.source import Number, Source
from hardloom.golden.samplers.machine import Program

if TYPE_CHECKING:  # an estimate asks for programs, and loads no PyTorch
    from torch import Tensor

    from hardloom.golden.samplers.denoise import Denoising, Engine

__all__ = ["SAMPLERS", "Asked", "Sampling", "denoise", "read_sampler"]

SAMPLERS = (
    *("llada", "llada_random", "llada_eos_last", "threshold", "threshold_near", "hierarchical", "factor"),
    *("block_diffusion", "joint_threshold", "levenshtein", "left_to_right"),
)
"""Names of the library, `library/NAME.sampler`."""

SUFFIX = ".sampler"


@lru_cache
def parsed(name: str, label: str, text: str) -> Source:
    return Source.parse(name, label, text)


def read_sampler(name: str) -> Source:
    """The sampler of the library so called, or of a file whose name ends with `.sampler`. Raises `UserError`."""
    path = Path(name)
    if name in SAMPLERS:
        path = Path(__file__).parent / "library" / f"{name}{SUFFIX}"
    elif path.suffix != SUFFIX:
        raise UserError(
            f"--sampler: {name!r} is not known; choose one of {', '.join(SAMPLERS)}, or give a file that ends with "
            f"{SUFFIX}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UserError(f"{path}: cannot be read ({reason}); give the file of a sampler") from None
    return parsed(path.stem, path.name if name in SAMPLERS else str(path), text)


@dataclass(frozen=True)
class Sampling:
    """A run of a sampler that is asked for; equal where they ask for the same.

    Attributes
    ----------
    sampler: name of one of the library, or a file.
    gen_length: tokens behind the prompt.
    values: parameters that are given, by name in the order of the alphabet; the others have their defaults.
    """

    sampler: str
    gen_length: int
    values: tuple[tuple[str, Number], ...] = ()

    def __post_init__(self) -> None:
        source = self.source
        if self.gen_length < 1:
            raise UserError(f"gen_length is {self.gen_length}; give a positive number")
        known = {one.name: one for one in source.parameters}
        for name, value in self.values:
            if name not in known:
                raise UserError(f"sampler {source.name}: there is no parameter {name}; there are {', '.join(known)}")
            known[name].check(value, source.name)

    @classmethod
    def of(cls, sampler: str, gen_length: int, **values: Number) -> Sampling:
        """Raises `UserError` for a sampler or a parameter that there is not, or a value that is not of its kind."""
        return cls(sampler, gen_length, tuple(sorted(values.items())))

    @classmethod
    def read(cls, sampler: str, gen_length: int, texts: Mapping[str, str]) -> Sampling:
        """As `of`, with values as they are written on a command line."""
        kinds = {one.name: one.kind for one in read_sampler(sampler).parameters}
        values: dict[str, Number] = {}
        for name, text in texts.items():
            try:
                values[name] = kinds[name].parse(text) if name in kinds else 0
            except ValueError:
                raise UserError(f"sampler {sampler}: {name} is {text!r}; give {kinds[name].values}") from None
        return cls.of(sampler, gen_length, **values)

    def __str__(self) -> str:
        given = "".join(f", {name} {value}" for name, value in self.values)
        return f"{self.source.name}, {self.gen_length} tokens{given}"

    @property
    def source(self) -> Source:
        return read_sampler(self.sampler)

    def program(self, model: Vocabulary) -> Program:
        """What the interpreter and the chip run. Raises `UserError` as `golden.samplers.language.compiler` does."""
        return compiled(self.source, self.gen_length, dict(self.values), model)


class Asked(Protocol):
    """What a run asks for: a `Sampling`, or a program as it stands."""

    @property
    def gen_length(self) -> int: ...

    def program(self, model: Vocabulary) -> Program: ...


def denoise(engine: Engine, prompt: Tensor, sampling: Asked, model: Vocabulary) -> Denoising:
    """The run of a sampler on every row of `prompt`, int64 [batch, length]; raises as `Sampling.program` and
    `golden.samplers.denoise.Denoising` do."""
    from hardloom.golden.samplers.denoise import Denoising

    program = sampling.program(model)
    return Denoising(engine, prompt, program, sampling.gen_length, model.mask_token, model.token_ids)
