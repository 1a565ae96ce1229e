"""The sound builds that are spoiled: a chip and chosen arrays, each finished and as a killed run leaves it."""

import atexit
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import hardloom.gen.build.generate as generator
import hardloom.gen.build.units as units
import hardloom.verif.proof.static as proof
from hardloom.gen.build.folder import MANIFEST
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import CHIP_FORMATS, write_chip_checkpoint
from tests.command_line import hardloom

__all__ = ["Original", "originals", "prepare", "quantized"]

POSITIONS = 32
CHIP_OPTIONS = ("--max-positions", POSITIONS)
ARRAY_OPTIONS = (*CHIP_OPTIONS, "--layers", 0, "--matrices", "router,o", "--compress", "zstd")


@dataclass(frozen=True)
class Original:
    """A folder, what it must become when it is generated again, and the options for that."""

    path: Path
    finished: Path
    options: tuple[object, ...]

    def generate(self, out: Path) -> tuple[object, ...]:
        """The command that makes it."""
        return "generate", quantized(), "-o", out, *self.options


@cache
def work() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="hardloom-fuzz-"))
    atexit.register(shutil.rmtree, folder)
    return folder


def quantized() -> Path:
    """The quantized checkpoint that all are made from."""
    return work() / "quantized"


def originals() -> list[Original]:
    kinds = {"chip": CHIP_OPTIONS, "arrays": ARRAY_OPTIONS}
    places = [
        (work() / f"{kind}{state}", work() / kind, options) for kind, options in kinds.items() for state in STATES
    ]
    return [Original(*place) for place in places]


STATES = ("", "-interrupted")


def prepare(given: Path | None) -> None:
    """Make the originals; given: the same chip from elsewhere, which else takes half a minute to make."""
    chip = work() / "chip"
    if given is None:
        write_chip_checkpoint(work() / "checkpoint", seed=0)
        quantize_checkpoint(work() / "checkpoint", quantized(), "mxfp4", formats=CHIP_FORMATS, numerics=Numerics())
        made(originals()[0])
    else:
        shutil.copytree(given / "quantized", quantized())
        shutil.copytree(given, chip)
    remember_units(chip)
    made(originals()[0])
    for finished, interrupted in zip(originals()[::2], originals()[1::2], strict=True):
        if not finished.path.exists():
            made(finished)
        with at_the_end(KeyboardInterrupt):
            assert hardloom(*interrupted.generate(interrupted.path)).code == 130
        assert not (interrupted.path / MANIFEST).exists()
        assert hardloom("verify", finished.path, "--static").code == 0


def made(original: Original) -> None:
    ran = hardloom(*original.generate(original.path))
    assert ran.code == 0, ran.err


@contextmanager
def at_the_end(error: type[BaseException]) -> Iterator[None]:
    """Builds are interrupted when all their parts are made, before they are finished."""

    def interrupted(*arguments: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "finish_files", interrupted)
        yield


def remember_units(chip: Path) -> None:
    """From now on units are not elaborated, which takes seconds: their text is that of `chip`, tables are kept."""

    def text(component: None, name: str) -> str:
        mine = re.compile(rf"{name}(_[a-z]\w*)?")  # layer_experts, not layer_0, which is no unit of it
        files = [path for path in (chip / "rtl/units").iterdir() if mine.fullmatch(path.stem)]
        text = "\n".join(path.read_text() for path in sorted(files))
        tables = sorted(set(re.findall(r"^  (table_\w+) \w+ \($", text, re.MULTILINE)))
        return "\n".join([text, *((chip / f"rtl/constants/{table}.v").read_text() for table in tables)])

    units.to_verilog = text
    proof.chip_tables = kept(lambda *arguments: list(tables(*arguments)))


tables = proof.chip_tables


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    results: dict[str, Any] = {}

    def remembered(*arguments: object) -> Any:
        key = repr(arguments)
        return results[key] if key in results else results.setdefault(key, function(*arguments))

    return remembered
