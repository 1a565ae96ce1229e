"""What a page is about: a build, or a checkpoint of which there is no chip yet."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from hardloom.flows.models.sample import is_build, model_folder
from hardloom.gen.build.folder import Build
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.checkpoints.tokenizer import load_tokenizer
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape

__all__ = ["Subject"]


@dataclass(frozen=True)
class Subject:
    """path: as it was given; folder: of the model's files, which a build holds; build: None for a checkpoint.

    tokenizer: None where the model has none.
    """

    path: Path
    folder: Path
    build: Build | None
    model: ModelShape
    tokenizer: Tokenizer | None

    @classmethod
    def of(cls, path: Path) -> "Subject":
        """Raises `UserError` where `path` is neither a build, all files of its model as its manifest has them, nor a
        checkpoint."""
        folder = model_folder(path)
        _, model = read_config(folder / CONFIG)
        return cls(path, folder, Build(path) if is_build(path) else None, model, load_tokenizer(folder))

    @property
    def is_quantized(self) -> bool:
        return QuantizedCheckpoint.is_quantized(self.folder)

    @property
    def is_chip(self) -> bool:
        """Whether it is a build of a whole chip."""
        return self.build is not None and self.build.manifest.top is not None

    @property
    def no_chip(self) -> str:
        """Why there is nothing to show of a chip, and which commands make one."""
        if self.build is not None:
            return "this build holds chosen arrays alone; `hardloom generate` without --layers and such makes a chip"
        path = shlex.quote(str(self.path))
        if self.is_quantized:
            return f"this is a checkpoint; `hardloom generate {path} -o BUILD` makes a chip of it"
        steps = f"`hardloom quantize {path} -o Q` and `hardloom generate Q -o BUILD`"
        return f"this is a checkpoint; {steps} make a chip of it"

    @property
    def described(self) -> str:
        """The folder that describes the model, as a word of a command line."""
        return shlex.quote(str(self.folder))

    def command(self, name: str, *words: object) -> str:
        """A command line on it."""
        return shlex.join(["hardloom", *name.split(), str(self.path), *map(str, words)])

    def files(self) -> Iterator[Path]:
        """Of the model, in order of their names."""
        return (file for file in sorted(self.folder.iterdir()) if file.suffix in (".json", ".safetensors"))
