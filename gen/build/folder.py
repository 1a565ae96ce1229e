"""A build folder: what is in it, whether it is as it was written, what goes into it besides Verilog."""

import json
import os
import shutil
from pathlib import Path

from gen.build.journal import JOURNAL
from gen.build.manifest import ArrayFacts, Manifest
from gen.design.hardware import HardwareConfig
from golden.errors import UserError
from golden.files import COMPRESSED, read_file, replacing, sha256
from golden.quantization.quantized import CONFIG, QUANTIZATION, TENSORS, QuantizedCheckpoint

__all__ = [
    "CHIP",
    "FILE_LIST",
    "MANIFEST",
    "QUANTIZED",
    "Build",
    "copy_quantized",
    "delete_unlisted_verilog",
    "prepare_folder",
]


MANIFEST, FILE_LIST, QUANTIZED = "manifest.json", "chip.f", "quantized"

CHIP = "hardloom_chip"
"""Top module."""


class Build:
    """A finished build folder; hashes are checked as files are asked for.

    Raises `UserError` where the folder is none, is unfinished, or a file it is asked for has changed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        manifest = self.path / MANIFEST
        if not manifest.is_file():
            raise UserError(f"{self.path}: no {MANIFEST}; finish the build with `hardloom generate`")
        try:
            self.manifest = Manifest.from_json(json.loads(manifest.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(f"{manifest}: is damaged; run `hardloom generate` again") from error

    def file(self, name: str) -> Path:
        """Path of file `name` of the manifest, its hash checked."""
        path = self.path / name
        if not path.is_file() or sha256(path) != self.files.get(name):
            raise UserError(f"{path}: differs from {MANIFEST}; run `hardloom generate` again")
        return path

    def read(self, name: str) -> bytes:
        """Text of file `name`, checked; it may be there compressed."""
        name = name if name in self.files else name + COMPRESSED
        path = self.path / name
        if path.is_file():
            text, digest = read_file(path)
            if digest == self.files.get(name):
                return text
        raise UserError(f"{path}: differs from {MANIFEST}; run `hardloom generate` again")

    def verilog(self) -> list[Path]:
        """Every Verilog file, checked, in the order of the file list; `UserError` where some are compressed."""
        if any(name.endswith(COMPRESSED) for name in self.files):
            raise UserError(f"{self.path}: its Verilog is compressed; generate it without --compress")
        return [self.file(name) for name in sorted(self.files) if name.endswith(".v")]

    def require_chip(self) -> str:
        """The top module. Raises `UserError` where the build holds chosen arrays alone."""
        if self.manifest.top is None:
            raise UserError(f"{self.path}: holds chosen arrays and no chip; generate without --layers and the like")
        return self.manifest.top

    def checkpoint(self) -> QuantizedCheckpoint:
        for name in (CONFIG, QUANTIZATION, TENSORS):
            self.file(f"{QUANTIZED}/{name}")
        return QuantizedCheckpoint(self.path / QUANTIZED)

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of every file by name."""
        return self.manifest.files

    @property
    def hardware(self) -> HardwareConfig:
        return self.manifest.hardware

    @property
    def arrays(self) -> tuple[ArrayFacts, ...]:
        """Every array unit."""
        return self.manifest.arrays


def prepare_folder(out: Path) -> None:
    """Make `out`, or make sure that it is a build that may be overwritten."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a new folder with -o")
    if out.is_dir() and any(out.iterdir()) and not any((out / n).exists() for n in (MANIFEST, JOURNAL)):
        raise UserError(f"{out}: is not empty and no build folder; name a new folder with -o")
    out.mkdir(parents=True, exist_ok=True)


def delete_unlisted_verilog(out: Path, files: dict[str, str]) -> None:
    """Delete Verilog of earlier builds, and unfinished files, from `rtl/`."""
    for path in (out / "rtl").rglob("*"):
        if path.is_file() and path.relative_to(out).as_posix() not in files:
            path.unlink()


def copy_quantized(checkpoint: QuantizedCheckpoint, out: Path, hashes: dict[str, str]) -> dict[str, str]:
    """The quantized checkpoint into the build folder, as links where the file system has them; names to `hashes`.

    A link is safe: every command that writes such a file puts a new one in its place.
    """
    for name in hashes:
        source, target = checkpoint.path / name, out / QUANTIZED / name
        with replacing(target) as partial:
            try:
                os.link(source, partial)
            except OSError:
                shutil.copyfile(source, partial)
    return {f"{QUANTIZED}/{name}": digest for name, digest in hashes.items()}
