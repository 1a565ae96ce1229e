"""The modules of a build: their files, what they instantiate, and which of them hold no gate of their own."""

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from hardloom.flows.synth.contents import Contents, contents_of, whole_lines
from hardloom.gen.arrays.shells import CLOCK_GATE
from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.text.prefix import unprefixed
from hardloom.golden.errors import UserError
from hardloom.golden.files import COMPRESSED, read_pieces

__all__ = ["Modules", "Texts", "instances_in", "is_container", "is_wiring"]

OPENED = re.compile(r"layer_\d+|layer(_like_\d+)?(_attention|_experts)?")
"""Modules that are units' containers, besides the chip itself: layers, what layers that are alike share, its halves."""

INSTANCE = re.compile(r"^ *(\w+) +(?:#\(.*\) *)?[\w$\\]+ *\(", re.MULTILINE)
COMMENT = re.compile(r"//[^\n]*")
WIRES_ONLY = re.compile(r"^ *assign \w+ = \{[\w\s,']*\};", re.MULTILINE)
LOGIC = re.compile(r"^ *(?:assign|always|initial)\b|[|&^~?]", re.MULTILINE)


def instances_in(text: str) -> Counter[str]:
    """What the Verilog `text` of one module seems to instantiate, and how often; names that are no modules among it."""
    return Counter(INSTANCE.findall(text))


def is_wiring(text: str) -> bool:
    """Whether the Verilog `text` of an array or a unit is instances and wires only, without a gate of its own."""
    return not LOGIC.search(WIRES_ONLY.sub("", COMMENT.sub("", text)))


def is_container(module: str, module_prefix: str) -> bool:
    """Whether a module is a container of units, besides the chip itself."""
    return OPENED.fullmatch(unprefixed(module, module_prefix)) is not None


class Texts:
    """Verilog modules in a folder that is laid out as a build's is: one file each.

    Attributes
    ----------
    files: names in the folder, by module.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        verilog = (name for name in names if name.removesuffix(COMPRESSED).endswith(".v"))
        self.files = {Path(name.removesuffix(COMPRESSED)).stem: name for name in verilog}
        self._instances: dict[str, Counter[str]] = {}
        self._contents: dict[str, Contents] = {}

    def path(self, module: str) -> Path:
        return self.folder / self.files[module]

    def text(self, module: str) -> str:
        return b"".join(self.pieces(module)).decode()

    def pieces(self, module: str) -> Iterator[bytes]:
        """The text in pieces, decompressed."""
        return read_pieces(self.path(module), hashlib.sha256())

    def require_plain(self, *names: str) -> None:
        """Raise UserError where the text of one of the modules `names`, or of any, is compressed."""
        for name in names or self.files:
            if self.files[name].endswith(COMPRESSED):
                raise UserError(
                    f"{self.path(name)}: is compressed, and Yosys reads it; use --counted, or generate without "
                    "--compress"
                )

    def is_array(self, module: str) -> bool:
        return self.files[module].startswith("rtl/arrays/")

    def is_constant(self, module: str) -> bool:
        """Whether it is a table of the checkpoint's: scales, gains, biases, embedding."""
        return self.files[module].startswith("rtl/constants/")

    def calls(self, constant: str) -> str:
        """Lines of a table's text, which may be gigabytes, that hold a bracket: those alone could be instances."""
        blocks = (block for block in whole_lines(self.pieces(constant)) if b"(" in block)
        return "\n".join(line.decode() for block in blocks for line in block.split(b"\n") if b"(" in line)

    def contents(self, array: str) -> Contents:
        """What the text of an array holds."""
        if array not in self._contents:
            self._contents[array] = contents_of(self.pieces(array))
        return self._contents[array]

    def instances(self, module: str) -> Counter[str]:
        """Modules that `module` instantiates, and how often."""
        if module not in self._instances:
            if self.is_array(module):
                found = self.contents(module).instances
            else:
                found = instances_in(self.calls(module) if self.is_constant(module) else self.text(module))
            self._instances[module] = Counter(
                {name: n for name, n in found.items() if name in self.files and name != module}
            )
        return self._instances[module]

    def below(self, module: str) -> list[str]:
        """`module` and everything in it, each once, instantiated ones first.

        Raises UserError where a module is within itself.
        """
        order: dict[str, None] = {}

        def visit(name: str, around: tuple[str, ...]) -> None:
            if name in around:
                raise UserError(f"{self.path(name)}: {name} is within itself; run `hardloom generate` again")
            for part in sorted(self.instances(name)):
                if part not in order:
                    visit(part, (*around, name))
            order[name] = None

        visit(module, ())
        return list(order)

    def is_wiring(self, module: str) -> bool:
        """Whether the module is instances and wires only, so that its instances are all there is to count."""
        if self.is_array(module):
            return not (self.contents(module).has_logic or self.contents(module).planes)
        return self.files[module].startswith("rtl/units/") and is_wiring(self.text(module))


class Modules(Texts):
    """Every Verilog module of a build folder, checked against the manifest as it is used.

    Raises UserError where the build is none, or a file has changed.
    """

    def __init__(self, build: Build) -> None:
        super().__init__(build.path, build.files)
        self.build = build
        self._driven: dict[str, dict[str, int]] = {}

    @property
    def top(self) -> str:
        """The top module. Raises UserError where the build holds chosen arrays alone."""
        return self.build.require_chip()

    def digest(self, module: str) -> str:
        """SHA-256 of the module's file, as the manifest has it."""
        return self.build.files[self.files[module]]

    def text(self, module: str) -> str:
        return self.build.text(self.files[module])

    def pieces(self, module: str) -> Iterator[bytes]:
        """The text in pieces, decompressed; it counts once all are drawn, `Build.pieces`."""
        return self.build.pieces(self.files[module])

    @cached_property
    def arrays(self) -> dict[str, ArrayFacts]:
        """Facts of every array unit by module."""
        return {array.module: array for array in self.build.arrays}

    def driven(self, top: str) -> dict[str, int]:
        """Of every module below `top`, instances of one other module that a net of it may have to drive: in it, or
        beside it where it stands. Clock gates have an enable each."""
        if top not in self._driven:
            found = dict.fromkeys(self.below(top), 1)
            for parent in found:
                counts = {name: n for name, n in self.instances(parent).items() if not name.endswith(CLOCK_GATE.module)}
                ranked = Counter(counts).most_common(2)
                for name in (parent, *self.instances(parent)):
                    found[name] = max([found[name], *(count for other, count in ranked if other != name)])
            self._driven[top] = found
        return self._driven[top]

    def is_container(self, module: str) -> bool:
        """Whether the module is the chip, or a container of units."""
        prefix = self.build.manifest.module_prefix
        return unprefixed(module, prefix) == CHIP or is_container(module, prefix)

    def named(self, name: str, option: str, choices: list[str] | None = None) -> str:
        """The module that `option` names. Raises UserError with the nearest names where there is none."""
        choices = sorted(self.files) if choices is None else choices
        if name in choices:
            return name
        near = difflib.get_close_matches(name, choices, n=3, cutoff=0.3) or choices[:3]
        raise UserError(f"{option}: {self.build.path} has no {name!r}; nearest are {', '.join(near)}")
