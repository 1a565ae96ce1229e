"""Which modules of a build others instantiate: none is missing, none is there for nothing."""

import re
from collections import Counter
from pathlib import Path

from hardloom.gen.arrays.shells import named_prefab
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.text.prefix import renamed, unprefixed
from hardloom.gen.text.ram import RamGeometry, is_ram
from hardloom.verif.extract.comments import one_line
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.proof.connections import misfits, misplaced

__all__ = ["Hierarchy", "module_of", "prefab_texts"]

PREFAB = "rtl/prefab/"

MODULE = re.compile(r"^[ \t]*(?:macro)?module[ \t]+\\?(\S+?)[\s(#;]", re.MULTILINE)
STATE = re.compile(r"\binitial\b|^ *reg\b[^;\n]*(?:=|\[\d+:\d+\];)", re.MULTILINE)
"""What begins with a value, or has addresses: only memories have such, which are modules of their own."""

FOR_TOOLS = re.compile(r"[`\\]|\(\*(?! *\))")

INSTANCE = re.compile(r"^[ \t]*(?!(?:module|else)\b)(\w+)[ \t]+(?:#\(.*\)[ \t]*)?[\w$\\.\[\]]+[ \t]*\(", re.MULTILINE)


def module_of(file: str) -> str:
    """The module that a Verilog file of a build is named after."""
    return file.rpartition("/")[2].partition(".")[0]


def comment_problem(text: str) -> str | None:
    """What `check_comments` says of `text`; besides, no directive, escaped name or attribute may stand in it."""
    try:
        code = one_line(text)
    except ExtractionError as error:
        return str(error)
    found = FOR_TOOLS.search(code)
    return f"hardloom does not write {found[0]!r} into it" if found else None


def prefab_texts(build: Build) -> dict[str, str]:
    """Texts of the files of prefabricated modules, by file name without its folder. Raises `UserError` where one is no
    text, or not as the manifest says."""
    return {Path(file).name: build.text(file) for file in sorted(build.files) if file.startswith(PREFAB)}


class Hierarchy:
    """Instances of units and of prefabricated cells are read at once, those of arrays told as these are read.

    What its name tells whole must have the text that the name tells: memories, shells, serial inputs, the clock gate.

    prefab: `prefab_texts` of the build.
    """

    def __init__(self, build: Build) -> None:
        files = sorted(file for file in build.files if file.startswith("rtl/"))
        self.module_prefix = build.manifest.module_prefix
        self.top, self.files = build.manifest.top, {module_of(file): file for file in files}
        self.memories = Counter({facts.module: facts.count for facts in build.manifest.memories})
        self.used: set[str] = set()
        self.compared, self.forged = set[str](), set[str]()
        self.prefab = prefab_texts(build)
        self.inside: dict[str, Counter[str]] = {}
        self.units, self.ports = dict[str, str](), dict[str, dict[str, int]]()
        self._problem: str | None = None
        if len(self.memories) < len(build.manifest.memories):
            self._problem = f"{MANIFEST}: lists memories of one geometry twice"
        if len(self.files) < len(files):
            twice = next(file for file in files if self.files[module_of(file)] != file)
            self._problem = f"{twice}: {self.files[module_of(twice)]} holds a module of that name too"
        for file in files:
            if file.startswith("rtl/units/"):
                self.units[file] = build.read(file).decode(errors="replace")
                self._read(file, self.units[file])
            elif file.startswith(PREFAB):
                self._read(file, self.prefab[Path(file).name])

    def _read(self, file: str, text: str) -> None:
        if MODULE.findall(text) != [module_of(file)]:
            self._problem = self._problem or f"{file}: does not hold the module {module_of(file)} alone"
        ram = unprefixed(module_of(file), self.module_prefix)
        if is_ram(ram) and (RamGeometry.of(ram).parts > len(text) or not self._is(text, RamGeometry.of(ram).verilog())):
            self._problem = self._problem or f"{file}: is not the memory that its name says"
        if not is_ram(ram) and named_prefab(ram) is None and (said := comment_problem(text)):
            self._problem = self._problem or f"{file}: {said}"
        if file.startswith("rtl/units/") and (found := STATE.search(re.sub(r"//[^\n]*", "", text))):
            self._problem = self._problem or f"{file}: has a memory or an initial value: {found[0].strip()[:60]}"
        self.inside[module_of(file)] = Counter(INSTANCE.findall(text))
        self.used.update(self.inside[module_of(file)])

    def expect(self, module: str, part: str) -> None:
        """`module`, a unit, must have an instance of `part`."""
        if part not in self.inside.get(module, {}):
            self._problem = self._problem or f"rtl/units/{module}.v: has no instance of {part}"

    def _is(self, text: str, own: str) -> bool:
        """Whether `text` is what the generator wrote for `own`."""
        return b"".join(renamed([own.encode()], self.module_prefix)) == text.encode()

    def expect_ports(self, module: str, ports: dict[str, int]) -> None:
        """`module`, an array or constants, has so many bits at its `ports`; from any thread."""
        self.ports[module] = ports

    def _misfit(self) -> str | None:
        """The first unit, in words, that has an array of another place, or a port connected to more or fewer bits."""
        for file, text in self.units.items():
            if (strange := next(misplaced(text, unprefixed(module_of(file), self.module_prefix)), None)) is not None:
                return f"{file}: {strange}"
            if (found := next(misfits(text, self.ports), None)) is not None:
                return f"{file}: {found}"
        return None

    def use(self, shell: str, modules: set[str]) -> None:
        """What an array instantiates, which has been read and fits its `shell`."""
        self.used.update(modules)
        inside = {shell, *self.inside.get(shell, {})}
        for module in inside - self.compared:
            named = named_prefab(unprefixed(module, self.module_prefix))
            if named is None or not self._is(self.prefab.get(f"{module}.v", ""), named.text):
                self.forged.add(module)
            self.compared.add(module)

    def _memories(self, module: str) -> Counter[str]:
        """Memories below `module`, by their modules."""
        found: Counter[str] = Counter()
        for name, count in self.inside.get(module, Counter()).items():
            inner = Counter({name: 1}) if is_ram(unprefixed(name, self.module_prefix)) else self._memories(name)
            found.update({memory: count * number for memory, number in inner.items()})
        return found

    def problem(self) -> str | None:
        """The first module, in words, that is missing, there twice or for nothing, once every array has been read."""
        if self.forged and not self._problem:
            forged = min(self.forged)
            self._problem = f"{self.files.get(forged, forged)}: is not the module that its name says"
        self._problem = self._problem or self._misfit()
        if self._problem or (missing := sorted(self.used - self.files.keys())):
            return self._problem or f"{missing[0]}: is instantiated, and no file holds it"
        if self.top is None:  # arrays and their scales are tops
            roots = {module for module, file in self.files.items() if not file.startswith("rtl/prefab/")}
        else:
            roots = {self.top}
        if idle := sorted(self.files.keys() - self.used - roots):
            return f"{self.files[idle[0]]}: no module of the build instantiates it"
        found = self._memories(self.top or "")
        wrong = sorted(name for name in found.keys() | self.memories.keys() if found[name] != self.memories[name])
        return (
            f"{MANIFEST}: has {self.memories[wrong[0]]} memories {wrong[0]}, the units {found[wrong[0]]}"
            if wrong
            else None
        )
