"""The build folder: from a quantized checkpoint to all of a chip's Verilog, file by file, resumable."""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gen.arrays import emit, plan_array
from gen.chip import Chip
from gen.constants import embedding_width, emit_embedding, emit_layer_constants, emit_scales
from gen.geometry import Geometry
from gen.hardware import HardwareConfig
from gen.layer import LayerEngine
from gen.matrices import EMBEDDING, ArrayUnit, array_units
from gen.verilog import to_verilog
from golden.checkpoint import expected_tensors
from golden.errors import UserError
from golden.quantized import CONFIG, QUANTIZATION, TENSORS, TOKENIZER, QuantizedCheckpoint

__all__ = ["CHIP", "FILE_LIST", "JOURNAL", "MANIFEST", "QUANTIZED", "Build", "generate"]

MANIFEST, JOURNAL, FILE_LIST, QUANTIZED = "manifest.json", "journal.jsonl", "chip.f", "quantized"
CHIP = "hardloom_chip"
"""Top module."""

Progress = Callable[[int, int], None]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, contents: bytes) -> str:
    """Write atomically, making parent folders; the SHA-256 of the contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(contents)
    os.replace(partial, path)
    return hashlib.sha256(contents).hexdigest()


class Journal:
    """What of a build is done: one JSON line a finished part, after its files are in place.

    Lines of another input (another `key`), or whose files changed, count as not done.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.path, self.parts = folder, folder / JOURNAL, {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if entry["key"] == key:
                    self.parts[entry["part"]] = entry
        self.key = key

    def done(self, part: str) -> dict[str, Any] | None:
        """The entry of a finished part whose files are all as they were written."""
        entry = self.parts.get(part)
        if entry is None or any(
            not (self.folder / f).is_file() or sha256(self.folder / f) != h for f, h in entry["files"].items()
        ):
            return None
        return entry

    def write(self, part: str, files: dict[str, str | bytes], facts: dict[str, Any]) -> dict[str, Any]:
        """Write a part's files, then its line."""
        hashes = {
            f: write_file(self.folder / f, text if isinstance(text, bytes) else text.encode())
            for f, text in sorted(files.items())
        }
        entry = {"key": self.key, "part": part, "files": hashes, "facts": facts}
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.parts[part] = entry
        return entry


def prepare_folder(out: Path) -> None:
    """Make `out`, or make sure that it is a build that may be overwritten."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a new folder with -o")
    if out.is_dir() and any(out.iterdir()) and not any((out / n).exists() for n in (MANIFEST, JOURNAL)):
        raise UserError(f"{out}: is not empty and no build folder; name a new folder with -o")
    out.mkdir(parents=True, exist_ok=True)


def array_part(checkpoint: QuantizedCheckpoint, hardware: HardwareConfig, unit: ArrayUnit) -> tuple[dict, dict]:
    """Files and facts of one array unit."""
    banks = [checkpoint.matrix(name).integers() for name in unit.matrices]
    plan = plan_array(
        unit.module,
        banks,
        lanes=hardware.lanes,
        slices=hardware.slices[unit.kind],
        style=hardware.style,
        format=checkpoint.format,
    )
    prefab, connections = emit(plan)
    files = {f"rtl/prefab/{name}": text for name, text in prefab.items()}
    files |= {f"rtl/arrays/{name}": text for name, text in connections.items()}
    if unit.kind not in ("gate_up", "down"):
        name = unit.module + "_scales"
        files[f"rtl/constants/{name}.v"] = emit_scales(name, [banks], hardware.lanes)
    facts = {
        "name": unit.name,
        "prefix": unit.prefix,
        "kind": unit.kind,
        "matrices": list(unit.matrices),
        "rows": banks[0].weights.shape[0],
        "inputs": banks[0].weights.shape[1],
        "weights": plan.weights,
        "acc_width": plan.acc_width,
        "cycles_per_packet": plan.cycles_per_packet,
        "slices": hardware.slices[unit.kind],
        "style": hardware.style,
    }
    return files, facts


def layer_part(checkpoint: QuantizedCheckpoint, geometry: Geometry, layer: int) -> dict[str, str]:
    """Constants of one layer: gains, biases, the experts' row scales."""
    texts = emit_layer_constants(geometry, checkpoint, layer)
    for kind, names in (("gate_up", ("gate", "up")), ("down", ("down",))):
        groups = [
            [checkpoint.matrix(f"model.layers.{layer}.mlp.experts.{e}.{n}_proj.weight").integers() for n in names]
            for e in range(geometry.num_experts)
        ]
        name = geometry.module(f"experts.{kind}") + "_scales"
        texts[name] = emit_scales(name, groups, geometry.lanes)
    return {f"rtl/constants/{name}.v": text for name, text in texts.items()}


def split_modules(text: str) -> dict[str, str]:
    """Verilog of one component to a file a module: `rtl/units/NAME.v`; the head comment goes to each."""
    head = text.split("\n", 1)[0] + "\n"
    modules = re.findall(r"^(module (\w+).*?^endmodule\n)", text, re.MULTILINE | re.DOTALL)
    return {f"rtl/units/{name}.v": head + "\n" + body for body, name in modules}


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
            self.manifest: dict[str, Any] = json.loads(manifest.read_text())
            self.files: dict[str, str] = self.manifest["files"]
        except (json.JSONDecodeError, KeyError) as error:
            raise UserError(f"{manifest}: is damaged; run `hardloom generate` again") from error

    def file(self, name: str) -> Path:
        """Path of file `name` of the manifest, its hash checked."""
        path = self.path / name
        if not path.is_file() or sha256(path) != self.files.get(name):
            raise UserError(f"{path}: differs from {MANIFEST}; run `hardloom generate` again")
        return path

    def verilog(self) -> list[Path]:
        """Every Verilog file, checked, in the order of the file list."""
        return [self.file(name) for name in sorted(self.files) if name.endswith(".v")]

    def checkpoint(self) -> QuantizedCheckpoint:
        for name in (CONFIG, QUANTIZATION, TENSORS):
            self.file(f"{QUANTIZED}/{name}")
        return QuantizedCheckpoint(self.path / QUANTIZED)

    @property
    def hardware(self) -> HardwareConfig:
        return HardwareConfig.from_json_dict(self.manifest["hardware"])

    @property
    def arrays(self) -> list[dict[str, Any]]:
        """Facts of every array unit, as `array_part` gives them, with `module`."""
        return self.manifest["arrays"]


@cache
def generator_digest() -> str:
    """Hash of the code that decides what is emitted: a changed generator never takes an old build for its own."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for package in ("golden", "gen", "rtl_templates"):
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".j2"):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build_key(checkpoint: QuantizedCheckpoint, hardware: HardwareConfig) -> str:
    """Hash of everything the build depends on."""
    inputs = [version("hardloom"), generator_digest(), json.dumps(hardware.to_json_dict(), sort_keys=True)]
    inputs += [sha256(checkpoint.path / name) for name in (CONFIG, QUANTIZATION, TENSORS)]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def copy_quantized(checkpoint: QuantizedCheckpoint, out: Path) -> dict[str, str]:
    """The quantized checkpoint into the build folder; file names to hashes."""
    hashes = {}
    (out / QUANTIZED).mkdir(exist_ok=True)
    for name in (CONFIG, QUANTIZATION, TENSORS, TOKENIZER):
        source, target = checkpoint.path / name, out / QUANTIZED / name
        if not source.is_file():
            continue
        partial = target.with_name(name + ".part")
        shutil.copyfile(source, partial)
        os.replace(partial, target)
        hashes[f"{QUANTIZED}/{name}"] = sha256(target)
    return hashes


def geometries(
    checkpoint: QuantizedCheckpoint, hardware: HardwareConfig, arrays: list[dict[str, Any]]
) -> tuple[Geometry, list[Geometry]]:
    """Around the layers, and of each layer, from the facts of the finished arrays."""
    widths: dict[str, dict[str, int]] = {}
    for facts in arrays:
        widths.setdefault(facts["prefix"], {})[facts["name"]] = facts["acc_width"]
    prefixes = [f"layer_{n}" for n in range(checkpoint.config.num_hidden_layers)]
    around, *layers = (Geometry(checkpoint.config, hardware, prefix, widths[prefix]) for prefix in ("chip", *prefixes))
    return around, layers


def layer_texts(layers: list[Geometry]) -> Iterator[tuple[str, dict[str, str]]]:
    """Verilog of every layer engine; layers of the same accumulator widths share one elaboration, renamed."""
    made: dict[str, tuple[str, str]] = {}
    for geometry in layers:
        widths = json.dumps(geometry.acc_width)
        if widths not in made:
            made[widths] = geometry.prefix, to_verilog(LayerEngine(geometry), geometry.prefix)
        name, text = made[widths]
        yield geometry.prefix, split_modules(re.sub(rf"(?<![a-z0-9]){name}(?![0-9])", geometry.prefix, text))


def generate(
    checkpoint: QuantizedCheckpoint, out: Path, hardware: HardwareConfig, progress: Progress = lambda done, total: None
) -> Build:
    """Write the build folder of design: manifest, `rtl/`, `chip.f`, `quantized/`.

    Same input, same bytes. Parts that an earlier, interrupted run finished are kept; every file appears whole.
    `progress` is called with the weights done and their total. Peak memory: one array unit.
    """
    hardware.check(checkpoint.config)
    prepare_folder(out)
    key = build_key(checkpoint, hardware)
    if (out / MANIFEST).exists() and json.loads((out / MANIFEST).read_text()).get("key") == key:
        with_all = Build(out)
        if all((out / n).is_file() and sha256(out / n) == h for n, h in with_all.files.items()):
            return with_all
    (out / MANIFEST).unlink(missing_ok=True)
    journal = Journal(out, key)
    entries = list(array_parts(journal, checkpoint, hardware, progress))
    arrays = [{"module": e["part"], **e["facts"]} for e in entries]
    entries += other_parts(journal, checkpoint, *geometries(checkpoint, hardware, arrays))
    files = {name: digest for e in entries for name, digest in e["files"].items()}
    remove_strangers(out, files)
    files |= copy_quantized(checkpoint, out)
    listing = "".join(f"{name}\n" for name in sorted(files) if name.endswith(".v"))
    files[FILE_LIST] = write_file(out / FILE_LIST, listing.encode())
    manifest = {
        "tool_version": version("hardloom"),
        "key": key,
        "top": CHIP,
        "model": checkpoint.config.to_json_dict(),
        "quantization": checkpoint.format,
        "hardware": hardware.to_json_dict(),
        "arrays": arrays,
        "weights_hardwired": sum(a["weights"] for a in arrays) + embedding_weights(checkpoint),
        "files": dict(sorted(files.items())),
    }
    write_file(out / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    (out / JOURNAL).unlink()
    return Build(out)


def embedding_weights(checkpoint: QuantizedCheckpoint) -> int:
    return checkpoint.config.vocab_size * checkpoint.config.hidden_size


def array_parts(
    journal: Journal, checkpoint: QuantizedCheckpoint, hardware: HardwareConfig, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Journal entries of all array units, in order, made where they are missing."""
    units, shapes = list(array_units(checkpoint.config)), expected_tensors(checkpoint.config)
    total = sum(math.prod(shapes[name]) for unit in units for name in unit.matrices)
    done = 0
    for unit in units:
        entry = journal.done(unit.module)
        if entry is None:
            entry = journal.write(unit.module, *array_part(checkpoint, hardware, unit))
        done += entry["facts"]["weights"]
        progress(done, total)
        yield entry


def other_parts(
    journal: Journal, checkpoint: QuantizedCheckpoint, around: Geometry, layers: list[Geometry]
) -> Iterator[dict[str, Any]]:
    """Journal entries of the constants and of the Amaranth units."""
    for number, geometry in enumerate(layers):
        part = f"{geometry.prefix}.constants"
        yield journal.done(part) or journal.write(part, layer_part(checkpoint, geometry, number), {})
    embedding = checkpoint.matrix(EMBEDDING).integers()
    files = {f"rtl/constants/{name}.v": text for name, text in emit_embedding(around, embedding).items()}
    yield journal.done("chip.embedding") or journal.write("chip.embedding", files, {})
    missing = [geometry for geometry in layers if journal.done(geometry.prefix) is None]
    for prefix, texts in layer_texts(missing):
        journal.write(prefix, texts, {})
    yield from (journal.done(geometry.prefix) for geometry in layers)
    if (entry := journal.done(CHIP)) is None:
        entry = journal.write(CHIP, split_modules(to_verilog(Chip(around, embedding_width(embedding)), CHIP)), {})
    yield entry


def remove_strangers(out: Path, files: dict[str, str]) -> None:
    """Delete Verilog of earlier builds, and unfinished files, from `rtl/`."""
    for path in (out / "rtl").rglob("*"):
        if path.is_file() and path.relative_to(out).as_posix() not in files:
            path.unlink()
