# amaranth: UnusedElaboratable=no
"""Verilog of a chip's units: what is around the layers and each layer engine, elaborated, and each layer's netlist."""

from collections.abc import Iterator, Sequence

from hardloom.gen.build.folder import CHIP
from hardloom.gen.build.journal import Journal
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.build.parts import Entry
from hardloom.gen.build.work import CHIP_TEXT, LAYER_TEXTS, Work
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.layer_sizes import LayerSizes, engine_module, layer_prefix
from hardloom.gen.engine.chip import Chip
from hardloom.gen.engine.layer import LayerEngine
from hardloom.gen.engine.netlist import layer_netlist
from hardloom.gen.text.constant_table import is_table
from hardloom.gen.text.ram import ram_texts
from hardloom.gen.text.verilog import modules_in, to_verilog
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["elaborated_sizes", "split_modules", "unit_parts"]


def elaborated_sizes(
    checkpoint: QuantizedCheckpoint, hardware: HardwareConfig, arrays: Sequence[ArrayFacts]
) -> dict[str, LayerSizes]:
    """Sizes of what is elaborated, by module: `CHIP`, and an engine for all layers that are alike."""
    model = checkpoint.model
    layers: dict[str, int | None] = {}
    widths: dict[str, dict[str, int]] = {}
    for facts in arrays:
        module = CHIP if facts.layer is None else engine_module(model, facts.layer)
        layers.setdefault(module, facts.layer)
        kinds = widths.setdefault(module, {})
        name = facts.kind if facts.tile is None else facts.name
        kinds[name] = max(facts.acc_width, kinds.get(name, 0))
    return {
        module: LayerSizes(model, checkpoint.numerics, hardware, layer, widths[module])
        for module, layer in layers.items()
    }


def unit_parts(
    journal: Journal, sizes: dict[str, LayerSizes], arrays: Sequence[ArrayFacts], embedding_width: int, work: Work
) -> Iterator[Entry]:
    """Journal entries of the layers' netlists, of every engine and of the chip; sizes: of what is elaborated.

    Engines that a journal has done already are made for their ports and not elaborated, which Amaranth does not report.
    """
    engines = {module: LayerEngine(of) for module, of in sizes.items() if module != CHIP}
    model = sizes[CHIP].model
    for layer in range(len(model.layers)):
        prefix, engine = layer_prefix(layer), engines[engine_module(model, layer)]
        acc_width = {facts.name: facts.acc_width for facts in arrays if facts.layer == layer}
        yield journal.done(prefix) or journal.write(
            prefix, {f"rtl/units/{prefix}.v": layer_netlist(engine, layer, acc_width)}
        )
    for module, engine in engines.items():
        yield journal.done(module) or journal.write(module, unit_files(to_verilog(engine, module)))
    work.done(LAYER_TEXTS)
    yield journal.done(CHIP) or journal.write(CHIP, unit_files(to_verilog(Chip(sizes[CHIP], embedding_width), CHIP)))
    work.done(CHIP_TEXT)


def unit_files(text: str) -> dict[str, str]:
    """Verilog of one component as files: `split_modules`, and the memories that it has."""
    return split_modules(text) | {f"rtl/prefab/{name}.v": memory for name, memory in ram_texts(text).items()}


def split_modules(text: str) -> dict[str, str]:
    """Verilog of one component to a file a module; what the head comment says goes to each unit."""
    origin = text.split("\n", 1)[0].partition(": ")[2]
    files = {}
    for name, module in modules_in(text).items():
        if is_table(name):
            files[f"rtl/constants/{name}.v"] = module
        else:
            files[f"rtl/units/{name}.v"] = f"// {name}: {origin}\n\n{module[module.index('module ') :]}"
    return files
