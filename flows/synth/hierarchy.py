"""Synthesis of a hierarchy: every module once, by itself, however often it is instantiated, and the sums of all.

Homogeneity pays here: an array of style `metal` is a few prefabricated cells many times over, so the cells are
synthesized and the array is counted.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from flows.synth.cache import Cache
from flows.synth.closure import synthesize
from flows.synth.library.library import Library
from flows.synth.modules import Modules
from flows.synth.yosys import Options, Synthesis
from gen.text.yosys import SynthesisError
from golden.files import stamped

__all__ = [
    "Hierarchy",
    "held_hierarchy",
    "netlist_of",
    "own_figures",
    "synthesize_hierarchy",
    "synthesize_module",
    "synthesize_tile",
]


@dataclass
class Hierarchy:
    """What each module below `top` came to, its instances apart; `failed`: modules without a result, and why."""

    top: str
    modules: dict[str, Synthesis]
    failed: dict[str, str] = field(default_factory=dict)

    def total(self, module: str) -> Counter[str]:
        """Sums of a module with everything in it: `cells`, `flip_flops`, `memory_bits`, `ge`, `area`."""
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
    """Figures of one module without its instances."""
    return {
        "cells": sum(result.cells.values()),
        "flip_flops": result.flip_flops,
        "memory_bits": result.memory_bits,
        "ge": result.ge,
        "area": result.area,
    }


def synthesize_hierarchy(
    modules: Modules,
    top: str,
    options: Options,
    cache: Cache,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    netlists: bool = False,
) -> Hierarchy:
    """Every module of `top`; one that fails does not stop the others. netlists: they are kept in the cache."""
    hierarchy, logic = Hierarchy(top, {}), list[str]()
    for module in modules.below(top):
        if modules.is_wiring(module):
            hierarchy.modules[module] = wiring(modules, module, options.library)
        else:
            logic.append(module)
    with ThreadPoolExecutor(options.jobs) as pool:
        work: dict[Future[Synthesis], str] = {
            pool.submit(synthesize_module, modules, module, options, cache, netlists): module for module in logic
        }
        for number, future in enumerate(as_completed(work)):
            module = work[future]
            try:
                hierarchy.modules[module] = future.result()
            except SynthesisError as error:
                hierarchy.failed[module] = str(error)
            progress(number + 1, len(work))
    hierarchy.modules = dict(sorted(hierarchy.modules.items()))
    return hierarchy


def wiring(modules: Modules, module: str, library: Library | None) -> Synthesis:
    """A module without gates of its own."""
    instances = dict(sorted(modules.instances(module).items()))
    return Synthesis(module, library.name if library else None, {}, 0.0, 0.0, 0, 0, instances)


def held_hierarchy(modules: Modules, top: str, options: Options, cache: Cache) -> Hierarchy | None:
    """The same of what has been synthesized already; None where a module of `top` has not."""
    hierarchy = Hierarchy(top, {})
    for module in modules.below(top):
        logic = not modules.is_wiring(module)
        found = cache.get(module_key(modules, module, options, cache)) if logic else None
        if logic and found is None:
            return None
        hierarchy.modules[module] = found or wiring(modules, module, options.library)
    hierarchy.modules = dict(sorted(hierarchy.modules.items()))
    return hierarchy


def synthesize_module(
    modules: Modules, module: str, options: Options, cache: Cache, netlists: bool = False
) -> Synthesis:
    """One module, those that it instantiates being black boxes; netlists: its mapped Verilog is kept (`netlist_of`)."""
    key, kept = module_key(modules, module, options, cache), netlist_of(modules, module, options, cache)
    found = cache.get(key)
    if found is None or (netlists and not kept.is_file()):
        boxes = [modules.path(name) for name in sorted(modules.instances(module))]
        wanted = kept if netlists else None
        found = synthesize([modules.path(module)], module, options, black_boxes=boxes, netlist=wanted)
        cache.put(key, found)
    return found


def module_key(modules: Modules, module: str, options: Options, cache: Cache) -> str:
    parts = (module, *sorted(modules.instances(module)))
    return cache.key("module", options.key(), *map(modules.digest, parts))


def netlist_of(modules: Modules, module: str, options: Options, cache: Cache) -> Path:
    """Where the mapped Verilog of a module by itself is kept."""
    return cache.netlist(module_key(modules, module, options, cache))


def synthesize_tile(modules: Modules, module: str, options: Options, cache: Cache, netlist: Path) -> Synthesis:
    """`module` with everything in it, flattened: every neuron is simplified by the wires that it lacks.

    The mapped Verilog is left in `netlist`. Raises SynthesisError.
    """
    parts = modules.below(module)
    key = cache.key("flat", options.key(), *(modules.digest(name) for name in parts))
    stamp, found = netlist.with_suffix(".key"), cache.get(key)
    if not netlist.exists():
        stamp.unlink(missing_ok=True)
    with stamped(stamp, key) as stale:
        if found is None or stale:
            found = synthesize([modules.path(name) for name in parts], module, options, netlist=netlist)
            cache.put(key, found)
    return found
