"""Synthesis of one module by itself, wherever it is run."""

import tempfile
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
    """A module to be synthesized, those that it instantiates being black boxes.

    Attributes
    ----------
    module: its name; source: its file, an absolute path, and the SHA-256 of that; boxes: the same of the others.
    driven: instances of one module that its nets may have to drive.
    """

    module: str
    source: tuple[Path, str]
    boxes: tuple[tuple[Path, str], ...]
    driven: int

    @classmethod
    def of(cls, modules: Modules, module: str, top: str) -> "ModuleJob":
        """As it stands below `top`."""
        source, *boxes = (
            (modules.path(name).absolute(), modules.digest(name))
            for name in (module, *sorted(modules.instances(module)))
        )
        return cls(module, source, tuple(boxes), modules.driven(top)[module])

    def surrounded(self, options: Options) -> Options:
        """The options, with what it drives."""
        return replace(options, instances=self.driven)

    def key(self, cache: Cache, options: Options) -> str:
        """Of its result in a cache."""
        return cache.key(
            "module", self.surrounded(options).key(), *(digest for _, digest in (self.source, *self.boxes))
        )


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
        for path, digest in (job.source, *job.boxes):
            if not path.is_file() or sha256(path) != digest:
                raise UserError(f"{path}: differs from the build's manifest; run `hardloom generate` again")
        boxes = [path for path, _ in job.boxes]
        with tempfile.TemporaryDirectory() as folder:
            netlist = Path(folder) / "netlist.v" if self.netlists else None
            try:
                found = synthesize(
                    [job.source[0]], job.module, job.surrounded(self.options), black_boxes=boxes, netlist=netlist
                )
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
