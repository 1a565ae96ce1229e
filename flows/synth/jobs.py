"""Synthesis of one module by itself, wherever it is run."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.yosys import Options, Synthesis
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256, write_file

__all__ = ["ModuleJob", "Synthesizer"]


@dataclass(frozen=True)
class ModuleJob:
    """A module to be synthesized: with everything in it, or those that it instantiates being black boxes.

    Attributes
    ----------
    module: its name; sources: its files, absolute paths, and the SHA-256 of each; boxes: the same of the black boxes.
    driven: instances of one module that its nets may have to drive. has_array: whether hardwired arrays are in it.
    """

    module: str
    sources: tuple[tuple[Path, str], ...]
    boxes: tuple[tuple[Path, str], ...] = ()
    driven: int = 1
    has_array: bool = False

    @classmethod
    def of(cls, modules: Modules, module: str, top: str, options: Options) -> "ModuleJob":
        """By itself, as it stands below `top`. What it drives is worked out where there is a clock to meet."""
        boxes = digested(modules, sorted(modules.instances(module)))
        driven = 1 if options.clock_ns is None else modules.driven(top)[module]
        return cls(module, digested(modules, [module]), boxes, driven)

    @classmethod
    def whole(cls, modules: Modules, module: str) -> "ModuleJob":
        """With everything in it, flattened."""
        inside = modules.below(module)
        return cls(module, digested(modules, inside), has_array=not modules.arrays.keys().isdisjoint(inside))

    def surrounded(self, options: Options) -> Options:
        """The options, with what it drives, and without multipliers where it has an array."""
        return replace(options, instances=self.driven, multipliers=not self.has_array)

    def key(self, cache: Cache, options: Options) -> str:
        """Of its result in a cache."""
        kind, files = "module" if len(self.sources) == 1 else "flat", (*self.sources, *self.boxes)
        return cache.key(kind, self.surrounded(options).key(), *(digest for _, digest in files))


def digested(modules: Modules, names: Iterable[str]) -> tuple[tuple[Path, str], ...]:
    """Files of modules, absolute paths, with their SHA-256."""
    return tuple((modules.path(name).absolute(), modules.digest(name)) for name in names)


@dataclass(frozen=True)
class Mapped:
    """What a module came to, and its mapped Verilog, where that was wanted."""

    figures: Synthesis
    netlist: bytes | None


@dataclass(frozen=True)
class Synthesizer:
    """Synthesizes modules by the same options, wherever it is called; netlists: with their mapped Verilog."""

    options: Options
    netlists: bool = False

    def __call__(self, job: ModuleJob) -> Mapped | SynthesisError:
        """What a module came to, or why it has no result. Raises UserError where a file is not that of the build."""
        for path, digest in (*job.sources, *job.boxes):
            if not path.is_file() or sha256(path) != digest:
                raise UserError(f"{path}: differs from the build's manifest; run `hardloom generate` again")
        sources, boxes = ([path for path, _ in files] for files in (job.sources, job.boxes))
        with tempfile.TemporaryDirectory() as folder:
            netlist = Path(folder) / "netlist.v" if self.netlists else None
            try:
                options = job.surrounded(self.options)
                found = synthesize(sources, job.module, options, black_boxes=boxes, netlist=netlist)
            except SynthesisError as error:
                return error
            return Mapped(found, netlist.read_bytes() if netlist else None)

    def known(self, job: ModuleJob, cache: Cache) -> Synthesis | None:
        """What the cache has of a module, its netlist included where that is wanted."""
        key = job.key(cache, self.options)
        return None if self.netlists and not cache.netlist(key).is_file() else cache.get(key)

    def keep(self, job: ModuleJob, cache: Cache, found: Mapped) -> Synthesis:
        """Put what a module came to into the cache."""
        key = job.key(cache, self.options)
        if found.netlist is not None:
            write_file(cache.netlist(key), found.netlist)
        cache.put(key, found.figures)
        return found.figures
