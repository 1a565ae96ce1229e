"""Ways to spoil a build folder; each says whether generating again must mend it, or may refuse instead."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from hardloom.gen.build.folder import MANIFEST
from hardloom.gen.build.journal import JOURNAL
from hardloom.golden.files import COMPRESSED
from hardloom.golden.folders import MARK
from tests.fuzz.mutations import mutated_bytes, mutated_value, replaced_file, with_one_value_mutated

__all__ = ["MUTATIONS", "Mutation", "described"]

MENDED, MENDED_OR_REFUSED = True, False

Mutation = Callable[[random.Random, Path], bool]

NAMES = ["../victim/thesis.v", "rtl/units/../../../victim/thesis.v", "/etc/passwd", "rtl/arrays/x.v", "a\nb", "", "rtl"]


def files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def read(path: Path) -> bytes:
    """Its text, decompressed."""
    text = path.read_bytes()
    return zstandard.ZstdDecompressor().decompressobj().decompress(text) if path.name.endswith(COMPRESSED) else text


def write(path: Path, text: bytes) -> None:
    path.write_bytes(zstandard.compress(text) if path.name.endswith(COMPRESSED) else text)


def described(folder: Path) -> dict[str, Any]:
    """The manifest; of a killed build the lines of its journal."""
    manifest = folder / MANIFEST
    if manifest.is_file():
        found: dict[str, Any] = json.loads(manifest.read_bytes())
        return found
    return {"lines": [json.loads(line) for line in (folder / JOURNAL).read_bytes().splitlines()]}


def describe(folder: Path, values: Any) -> None:
    if (folder / MANIFEST).is_file():
        (folder / MANIFEST).write_text(json.dumps(values))
    else:
        lines = values["lines"] if isinstance(values, dict) and isinstance(values.get("lines"), list) else [values]
        (folder / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in lines))


# what the folder says of itself


def description_bytes(rng: random.Random, folder: Path) -> bool:
    path = folder / (MANIFEST if (folder / MANIFEST).is_file() else JOURNAL)
    path.write_bytes(mutated_bytes(rng, path.read_bytes()))
    return MENDED


def description_value(rng: random.Random, folder: Path) -> bool:
    """One value of the manifest, or of a line of the journal, at any depth."""
    describe(folder, with_one_value_mutated(rng, described(folder)))
    return MENDED


def facts_of_an_array(rng: random.Random, folder: Path) -> bool:
    """What is said of one array is another value, or said of another array, twice or not at all."""
    values = described(folder)
    facts = values["arrays"] if "arrays" in values else [e["facts"]["array"] for e in array_lines(values)]
    at, other = rng.randrange(len(facts)), rng.randrange(len(facts))
    name = rng.choice(list(facts[at]))
    match rng.randrange(4):
        case 0:
            facts[at][name], facts[other][name] = facts[other][name], facts[at][name]
        case 1 if "arrays" in values:
            facts.insert(at, facts[other])
        case 2 if "arrays" in values:
            del facts[at]
        case _:
            facts[at][name] = mutated_value(rng, facts[at][name])
    describe(folder, values)
    return MENDED


def array_lines(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in values["lines"] if "array" in entry.get("facts", {})]


def names_of_files(rng: random.Random, folder: Path) -> bool:
    """A file is left out of the list, listed by another name or with the hash of another file."""
    values = described(folder)
    some = values["files"] if "files" in values else rng.choice([e["files"] for e in values["lines"] if "files" in e])
    name, other = rng.choice(list(some)), rng.choice(list(some))
    match rng.randrange(4):
        case 0:
            some[name], some[other] = some[other], some[name]
        case 1:
            del some[name]
        case 2:
            some[rng.choice(NAMES)] = some[name]
        case _:
            some[name] = mutated_value(rng, some[name])
    describe(folder, values)
    return MENDED


def stray_journal(rng: random.Random, folder: Path) -> bool:
    """Lines more in the journal, or a journal where there was none."""
    lines = [{"owned": rng.sample(NAMES, 3)}, {"key": "0", "part": "x", "files": {}, "facts": {}}, {"owned": 3}, []]
    with (folder / JOURNAL).open("ab") as journal:
        for line in rng.sample(lines, 2):
            journal.write(mutated_bytes(rng, json.dumps(line).encode()) + b"\n")
    return MENDED


# the files themselves


def verilog(rng: random.Random, folder: Path) -> Path:
    """Of every kind alike, few as its files may be."""
    kind = rng.choice([name for name in ("arrays", "constants", "prefab", "units") if files(folder, f"rtl/{name}/*")])
    return rng.choice(files(folder, f"rtl/{kind}/*"))


def verilog_bytes(rng: random.Random, folder: Path) -> bool:
    path = verilog(rng, folder)
    write(path, mutated_bytes(rng, read(path)))
    return MENDED


def verilog_no_text(rng: random.Random, folder: Path) -> bool:
    """Bytes that are no UTF-8, anywhere, in a comment too."""
    path, at = verilog(rng, folder), rng.choice([0, 3, rng.randrange(1000)])
    text = read(path)
    write(path, text[:at] + rng.choice([b"\xff", b"\xc3", b"\xe4\xf6", b"\x80" * 9, b"\xed\xa0\x80"]) + text[at:])
    return MENDED


def verilog_lines(rng: random.Random, folder: Path) -> bool:
    path = verilog(rng, folder)
    lines = read(path).splitlines(keepends=True)
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines[at], lines[other] = lines[other], lines[at]
        case 1:
            del lines[at : at + rng.choice([1, 1, 5])]
        case 2:
            lines.insert(at, lines[other])
        case _:
            lines[at:at] = [rng.choice([b"initial $finish;\n", b'`include "/etc/passwd"\n', b"/*\n", b"endmodule\n"])]
    write(path, b"".join(lines))
    return MENDED


def verilog_for_tools(rng: random.Random, folder: Path) -> bool:
    """A comment that some tool obeys, at the end of a line or on one of its own."""
    path = verilog(rng, folder)
    lines = read(path).split(b"\n")
    words = [
        b"synthesis translate_off",
        b"synopsys translate_off",
        b"pragma translate_off",
        b"verilator lint_off WIDTH",
    ]
    word, at = rng.choice(words), rng.randrange(len(lines))
    lines[at] += rng.choice([b"// %s", b"\n//%s", b"/* %s */", b" // Text\r// %s"]) % word
    write(path, b"\n".join(lines))
    return MENDED


def verilog_words(rng: random.Random, folder: Path) -> bool:
    """A word or number becomes another one of the file, or a neighbour, or huge."""
    path = verilog(rng, folder)
    text = read(path)
    words = list(re.finditer(rb"\w+", text))
    word, other = rng.choice(words), rng.choice(words)[0]
    near = re.sub(rb"\d+\Z", lambda digits: b"%d" % (int(digits[0]) + rng.choice([1, -1, 1 << 40])), word[0])
    new = rng.choice([other, near, near, b"-1", b"9" * 30, word[0] + b"x"])
    write(path, text[: word.start()] + new + text[word.end() :])
    return MENDED


def verilog_swapped(rng: random.Random, folder: Path) -> bool:
    """Two files of a folder with each other's text."""
    path = verilog(rng, folder)
    other = rng.choice(files(folder, f"rtl/{path.parent.name}/*"))
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)
    return MENDED


def list_of_files(rng: random.Random, folder: Path) -> bool:
    path = folder / "chip.f"
    lines = path.read_bytes() if path.exists() else b"rtl/units/hardloom_chip.v\n"
    path.write_bytes(rng.choice([mutated_bytes(rng, lines), lines + b"/tmp/evil.v\n", lines[::-1], b""]))
    return MENDED


def checkpoint_value(rng: random.Random, folder: Path) -> bool:
    if found := files(folder, "quantized/*.json"):
        path = rng.choice(found)
        path.write_text(json.dumps(with_one_value_mutated(rng, json.loads(path.read_bytes()))))
    return MENDED


def checkpoint_bytes(rng: random.Random, folder: Path) -> bool:
    if found := files(folder, "quantized/*"):
        path = rng.choice(found)
        path.write_bytes(mutated_bytes(rng, path.read_bytes()))
    return MENDED


def checkpoint_bits(rng: random.Random, folder: Path) -> bool:
    """Codes, scales or vectors: the last byte is far from the header."""
    for path in files(folder, "quantized/*.safetensors"):
        data = bytearray(path.read_bytes())
        data[-rng.randrange(1, len(data) // 2)] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
    return MENDED


# the folder


def missing(rng: random.Random, folder: Path) -> bool:
    for path in rng.sample(files(folder, "**/*"), rng.choice([1, 1, 9])):
        path.unlink()
    return MENDED if (folder / MARK).is_file() else MENDED_OR_REFUSED


def replaced(rng: random.Random, folder: Path) -> bool:
    path = rng.choice([verilog(rng, folder), *files(folder, "*"), *files(folder, "quantized/*")])
    what = replaced_file(rng, path)
    return MENDED if what in ("nothing", "empty") and path.name != MARK else MENDED_OR_REFUSED


def linked(rng: random.Random, folder: Path) -> bool:
    """A folder is elsewhere, a link in its place."""
    path = folder / rng.choice([p for p in ("rtl", "rtl/arrays", "rtl/units", "quantized") if (folder / p).is_dir()])
    path.rename(folder.parent / "victim" / "moved")
    path.symlink_to(folder.parent / "victim" / "moved")
    return MENDED_OR_REFUSED


def strangers(rng: random.Random, folder: Path) -> bool:
    for name in rng.sample(
        ["x.v", "rtl/units/x.v", "rtl/arrays/a b.v", "simulation/Vtop", "synthesis/x", ".x.part"], 2
    ):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(b"module x; endmodule\n")
    return MENDED


def mark(rng: random.Random, folder: Path) -> bool:
    (folder / MARK).write_bytes(rng.choice([b"", b"quantized checkpoint\n", b"\xff\xff", b"build\n" * 100_000]))
    return MENDED_OR_REFUSED


MUTATIONS: list[Mutation] = [
    *([description_bytes] * 2 + [description_value] * 4 + [facts_of_an_array] * 2 + [names_of_files] * 2),
    *(
        [verilog_bytes] * 4
        + [verilog_lines] * 3
        + [verilog_words] * 4
        + [verilog_no_text] * 2
        + [verilog_swapped, verilog_for_tools]
    ),
    *[stray_journal, list_of_files, checkpoint_value, checkpoint_bytes, checkpoint_bits],
    *[missing, replaced, linked, strangers, mark],
]
