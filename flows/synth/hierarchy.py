"""Synthesis of a hierarchy: every module once, by itself, however often it is instantiated, and the sums of all.

Homogeneity pays here: an array of style `metal` is a few prefabricated cells many times over, so the cells are
synthesized and the array is counted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.jobs import ModuleJob, Synthesizer
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.yosys import Options, Synthesis
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.files import stamped
from hardloom.golden.parallel import Workers

__all__ = [
    "Hierarchy",
    "held_hierarchy",
    "own_figures",
    "synthesize_hierarchy",
    "synthesize_missing",
    "synthesize_tile",
    "synthesized_netlist",
    "wiring",
]


@dataclass
class Hierarchy:
    """What each module below `top` came to, its instances apart; `failed`: modules without a result, and why."""

    top: str
    modules: dict[str, Synthesis]
    failed: dict[str, str] = field(default_factory=dict)

    def total(self, module: str) -> Counter[str]:
        """Sums of a module with everything in it, of the figures of `own_figures`."""
        own = self.modules.get(module)
        if own is None:
            return Counter()
        sums = Counter(own_figures(own))
        for name, count in own.instances.items():
            sums.update({key: count * value for key, value in self.total(name).items()})
        return sums

    def cells(self, module: str) -> Counter[str]:
        """Cells by kind of a module with everything in it."""
        own = self.modules.get(module)
        if own is None:
            return Counter()
        sums = Counter(own.cells)
        for name, count in own.instances.items():
            sums.update({kind: count * number for kind, number in self.cells(name).items()})
        return sums


def own_figures(result: Synthesis) -> dict[str, float]:
    """Figures of one module without its instances: cells, flip-flops, bits, area; of an FPGA, what it takes of it."""
    return {
        "cells": sum(result.cells.values()),
        "flip_flops": result.flip_flops,
        "memory_bits": result.memory_bits,
        "ge": result.ge,
        "area": result.area,
        **result.resources,
    }


def synthesize_hierarchy(
    modules: Modules,
    top: str,
    options: Options,
    cache: Cache,
    workers: Workers,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    netlists: bool = False,
) -> Hierarchy:
    """Every module of `top`, by `workers` where the cache lacks it; one that fails does not stop the others.

    For an FPGA it is every unit and every array, each flattened, and what connects them.

    netlists: they are kept in the cache.
    """
    synthesizer = Synthesizer(options, netlists)
    hierarchy, missing = held(modules, top, synthesizer, cache)
    synthesize_missing(hierarchy, missing, synthesizer, cache, workers, progress)
    return hierarchy


def synthesize_missing(
    hierarchy: Hierarchy,
    missing: Sequence[ModuleJob],
    synthesizer: Synthesizer,
    cache: Cache,
    workers: Workers,
    progress: Callable[[int, int], None],
) -> None:
    """Add what the jobs come to, and put it into the cache; one that fails does not stop the others."""
    done = len(hierarchy.modules)
    total = done + len(missing)
    with closing(workers.map(synthesizer, missing)) as results:
        for job, found in zip(missing, results, strict=True):
            if isinstance(found, SynthesisError):
                hierarchy.failed[job.module] = str(found)
            else:
                hierarchy.modules[job.module] = synthesizer.keep(job, cache, found)
            progress(done := done + 1, total)
    hierarchy.modules = dict(sorted(hierarchy.modules.items()))


def held(modules: Modules, top: str, synthesizer: Synthesizer, cache: Cache) -> tuple[Hierarchy, list[ModuleJob]]:
    """What is known of the modules of `top`, and the jobs of those of which the cache holds nothing."""
    hierarchy, missing = Hierarchy(top, {}), list[ModuleJob]()
    for module, whole in parts(modules, top, synthesizer.options):
        if not whole and modules.is_wiring(module):
            hierarchy.modules[module] = wiring(module, modules.instances(module), synthesizer.options.library)
            continue
        job = ModuleJob.whole(modules, module) if whole else ModuleJob.of(modules, module, top, synthesizer.options)
        if (known := synthesizer.known(job, cache)) is None:
            missing.append(job)
        else:
            hierarchy.modules[module] = known
    hierarchy.modules = dict(sorted(hierarchy.modules.items()))
    return hierarchy, missing


def parts(modules: Modules, top: str, options: Options) -> Iterator[tuple[str, bool]]:
    """What is synthesized, each once, and whether with everything in it.

    For a library all modules are, by themselves. On an FPGA nothing is prefabricated: a unit or an array is one piece,
    so that a table meets the register that makes it a block RAM, and a neuron loses the slots that its weights leave.
    """
    if options.fpga is None:
        yield from ((module, False) for module in modules.below(top))
        return
    waiting, seen = [top], {top}
    while waiting:
        module = waiting.pop()
        is_opened = modules.is_container(module)
        yield module, not is_opened
        inside = [name for name in sorted(modules.instances(module)) if is_opened and name not in seen]
        waiting, seen = [*waiting, *inside], seen.union(inside)


def held_hierarchy(modules: Modules, top: str, options: Options, cache: Cache) -> Hierarchy | None:
    """What has been synthesized already; None where a module of `top` has not."""
    hierarchy, missing = held(modules, top, Synthesizer(options), cache)
    return None if missing else hierarchy


def wiring(module: str, instances: Mapping[str, int], library: Library | None) -> Synthesis:
    """A module without gates of its own."""
    return Synthesis(module, library.name if library else None, {}, 0.0, 0.0, 0, 0, dict(sorted(instances.items())))


def synthesized_netlist(
    modules: Modules, module: str, top: str, options: Options, cache: Cache, whole: bool = False
) -> Path:
    """Where the mapped Verilog of a module by itself, as it stands below `top`, or `whole`, is kept; made where it is
    missing.

    Raises SynthesisError.
    """
    synthesizer = Synthesizer(options, netlists=True)
    job = ModuleJob.whole(modules, module) if whole else ModuleJob.of(modules, module, top, options)
    if synthesizer.known(job, cache) is None:
        if isinstance(found := synthesizer(job), SynthesisError):
            raise found
        synthesizer.keep(job, cache, found)
    return cache.netlist(job.key(cache, options))


def synthesize_tile(modules: Modules, module: str, options: Options, cache: Cache, netlist: Path) -> Synthesis:
    """`module` with everything in it, flattened: every neuron is simplified by the wires that it lacks.

    The mapped Verilog is left in `netlist`. Raises SynthesisError.
    """
    job = ModuleJob.whole(modules, module)
    key = job.key(cache, options)
    stamp, found = netlist.with_suffix(".key"), cache.get(key)
    if not netlist.exists():
        stamp.unlink(missing_ok=True)
    with stamped(stamp, key) as stale:
        if found is None or stale:
            found = synthesize([path for path, _ in job.sources], module, options, netlist=netlist)
            cache.put(key, found)
    return found
