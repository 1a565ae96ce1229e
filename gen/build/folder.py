"""A build folder: what is in it, whether it is as it was written, what goes into it besides Verilog."""

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Set
from pathlib import Path, PurePosixPath

from hardloom.gen.build.constraints import constraints
from hardloom.gen.build.dropped import Dropped
from hardloom.gen.build.manifest import ArrayFacts, Manifest
from hardloom.gen.build.names import QUANTIZED, SDC, WAIVERS, connection_file
from hardloom.gen.build.seal import is_sealed
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.text.prefix import prefixed
from hardloom.gen.text.waivers import waivers
from hardloom.golden.checkpoints.config import CONFIG
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.errors import UserError
from hardloom.golden.files import COMPRESSED, PARTIAL, read_pieces, replacing
from hardloom.golden.folders import holds, inside
from hardloom.golden.quantization.quantized import QUANTIZATION, TENSORS, TOKENIZER, QuantizedCheckpoint

__all__ = [
    "CHIP",
    "MANIFEST",
    "Build",
    "chip_texts",
    "copy_quantized",
    "delete_unfinished",
    "file_list",
    "verilog_files",
]


MANIFEST = "manifest.json"

UNFINISHED = re.compile(rf"(?P<name>.+?)(?:\.\d+)?{re.escape(PARTIAL)}")

CHIP = "hardloom_chip"
"""Top module, but for the prefix of the build."""


class Build:
    """A finished build folder; hashes are checked as files are asked for.

    Raises `UserError` where the folder is none, is unfinished, or a file it is asked for has changed.

    Attributes
    ----------
    sealed: every field of the manifest is as it was written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        manifest = self.path / MANIFEST
        if not manifest.is_file():
            raise UserError(f"{self.path}: no {MANIFEST}; finish the build with `hardloom generate`")
        try:
            values = read_json_object(manifest)
            self.manifest, self.sealed = Manifest.from_json(values), is_sealed(values)
        except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(f"{manifest}: is damaged; run `hardloom generate` again") from error

    def file(self, name: str) -> Path:
        """Path of file `name` of the manifest, its hash checked."""
        self.require_text(name)
        if name not in self.files:
            raise UserError(f"{self.path / name}: is not in {MANIFEST}; move it elsewhere, or generate again")
        if not holds(self.path, name, self.files[name]):
            raise UserError(f"{self.path / name}: differs from {MANIFEST}; run `hardloom generate` again")
        return self.path / name

    def read(self, name: str) -> bytes:
        """Contents of file `name`, checked; it may be there compressed."""
        return b"".join(self.pieces(name))

    def text(self, name: str) -> str:
        """The same as text; `UserError` where it is not UTF-8, though its hash is that of the manifest."""
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.path / name}: byte {error.start} is not UTF-8; run `hardloom generate` again"
            ) from None

    def pieces(self, name: str) -> Iterator[bytes]:
        """The same in pieces. What was read counts once all are drawn: behind the last one `UserError` is raised where
        the file has changed."""
        name = next((one for one in (name, name + COMPRESSED) if one in self.files), name)
        self.require_text(name)
        path, digest = self.path / name, hashlib.sha256()
        if path.is_file():
            yield from read_pieces(path, digest)
        if digest.hexdigest() != self.files.get(name):
            raise UserError(f"{path}: differs from {MANIFEST}; run `hardloom generate` again")

    def require_text(self, *names: str) -> None:
        """Raise `UserError` where the text of one of the files `names`, or of any, was dropped once it was proven."""
        dropped = self.manifest.dropped
        if gone := next((name for name in names or dropped if name in dropped), None):
            raise UserError(
                f"{self.path / gone}: was dropped when it had been proven, and this needs its text; generate again "
                "without --prove-and-drop"
            )

    def verilog(self) -> list[Path]:
        """Every Verilog file, checked, in the order of the file list; `UserError` where some are compressed or gone."""
        self.require_text()
        if self.is_compressed:
            raise UserError(f"{self.path}: its Verilog is compressed; generate it without --compress")
        return [self.file(name) for name in sorted(self.files) if name.endswith(".v")]

    @property
    def is_compressed(self) -> bool:
        """Whether some of its Verilog is compressed."""
        return any(name.endswith(COMPRESSED) for name in self.files)

    def module(self, name: str) -> str:
        """What this build calls the module that another, without a prefix, calls `name`."""
        return prefixed(name, self.manifest.module_prefix)

    def require_chip(self) -> str:
        """The top module. Raises `UserError` where the build holds chosen arrays alone."""
        if self.manifest.top is None:
            raise UserError(f"{self.path}: holds chosen arrays and no chip; generate without --layers and the like")
        return self.manifest.top

    def check_positions(self, positions: int) -> None:
        """Raise `UserError` where the chip does not hold a sequence of so many positions."""
        if positions > (most := self.hardware.max_positions):
            raise UserError(
                f"{self.path}: this chip holds {most} positions, {positions} are asked for; shorten the sequence, or "
                "generate it with more --max-positions"
            )

    def checkpoint(self) -> QuantizedCheckpoint:
        """The quantized checkpoint that the build was made from, the hash of each of its files checked."""
        names = [CONFIG, QUANTIZATION, TENSORS]
        if os.path.lexists(self.path / QUANTIZED / TOKENIZER):
            names.append(TOKENIZER)
        for name in names:
            self.file(f"{QUANTIZED}/{name}")
        return QuantizedCheckpoint(self.path / QUANTIZED)

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of every file by name."""
        return self.manifest.files

    @property
    def there(self) -> dict[str, str]:
        """The same but for files whose text was dropped once it was proven."""
        return {name: digest for name, digest in self.files.items() if name not in self.manifest.dropped}

    def dropped(self, module: str) -> Dropped | None:
        """What is known of the array `module` whose text was dropped; None where it is there."""
        dropped = self.manifest.dropped
        name = connection_file(module)
        return dropped.get(name) or dropped.get(name + COMPRESSED)

    @property
    def hardware(self) -> HardwareConfig:
        return self.manifest.hardware

    @property
    def arrays(self) -> tuple[ArrayFacts, ...]:
        """Every array unit."""
        return self.manifest.arrays


def chip_texts() -> dict[str, str]:
    """Files of a whole chip that stand beside its Verilog, the same for every chip: name to text."""
    return {WAIVERS: waivers(), SDC: constraints()}


def file_list(files: Collection[str]) -> str:
    """Text of `FILE_LIST`: `WAIVERS`, then every Verilog file of `files`, compressed or not, a line each."""
    return "".join(f"{name}\n" for name in [*({WAIVERS} & {*files}), *verilog_files(files)])


def verilog_files(files: Collection[str]) -> list[str]:
    """Of `files` those of Verilog, compressed or not, in order."""
    return sorted(name for name in files if name.endswith((".v", COMPRESSED)))


def delete_unfinished(out: Path, names: Set[str]) -> None:
    """Delete what a killed run left of files `names` that it was writing (`golden.files.replacing`)."""
    for folder in {str(PurePosixPath(name).parent) for name in names}:
        for path in inside(out, f"{folder}/any").parent.glob(f"*{PARTIAL}"):
            if (found := UNFINISHED.fullmatch(path.name)) and str(PurePosixPath(folder) / found["name"]) in names:
                path.unlink()


def copy_quantized(checkpoint: QuantizedCheckpoint, out: Path, hashes: dict[str, str]) -> dict[str, str]:
    """The quantized checkpoint into the build folder, as links where the file system has them; names to `hashes`.

    A link is safe: every command that writes such a file puts a new one in its place.
    """
    for name in hashes:
        source, target = (checkpoint.path / name).resolve(), inside(out, f"{QUANTIZED}/{name}")
        with replacing(target) as partial:
            try:
                os.link(source, partial)
            except OSError:
                shutil.copyfile(source, partial)
    return {f"{QUANTIZED}/{name}": digest for name, digest in hashes.items()}
