"""A layer of the chip as a netlist: its hardwired arrays and ROMs around units that layers like it share."""

from collections.abc import Iterator, Mapping
from typing import Any

from amaranth.hdl import Value
from amaranth.lib.wiring import In

from hardloom.gen.design.layer_sizes import engine_module, layer_prefix, wired_module
from hardloom.gen.engine.hardwired import ArrayPorts, ConstantPorts
from hardloom.gen.engine.layer import LayerEngine
from hardloom.gen.text.templates import render

__all__ = ["UNITS", "layer_netlist"]

UNITS = "units"
"""Instance of the layer engine in a layer's module."""


def layer_netlist(engine: LayerEngine, layer: int, acc_width: Mapping[str, int]) -> str:
    """Verilog of module `layer_N`: its ports are those of the engine that lead to no array and no ROM. Latency 0.

    engine: of this layer and of all that are like it. acc_width: bits of a sum by array name (`qkv`, `expert.5.down`);
    sums are sign-extended where the engine takes wider ones, those of another layer or expert.
    """
    widths = {name.replace(".", "_"): width for name, width in acc_width.items()}
    arrays, roms = list[dict[str, Any]](), list[dict[str, Any]]()
    for half, part in engine.halves.items():
        for name, ports in part.modules.items():
            place = {"name": name, "half": half, "module": wired_module(layer_prefix(layer), name)}
            if isinstance(ports, ArrayPorts):
                arrays.append(place | _array(ports, widths[name]))
            else:
                roms.append(place | _rom(ports))
    names = {"name": layer_prefix(layer), "engine": engine_module(engine.sizes.model, layer), "units": UNITS}
    lists = {"halves": [*engine.halves], "arrays": arrays, "roms": roms}
    return render("layer", names | lists | {"ports": list(_ports(engine))})


def _ports(engine: LayerEngine) -> Iterator[dict[str, Any]]:
    """Of the layer's module, behind `clk` and `rst`."""
    for path, member, value in engine.signature.flatten(engine):
        if path[0] not in engine.halves:
            direction = "input" if member.flow == In else "output"
            yield {"name": "__".join(map(str, path)), "direction": direction, "width": len(Value.cast(value))}


def _array(ports: ArrayPorts, acc_width: int) -> dict[str, Any]:
    """Widths of an array's ports; the bits by which sums are extended."""
    made = ports.activation
    return {
        "data_width": ports.lanes * made.width,
        "scale_width": made.scale_width,
        "sums": ports.sums,
        "acc_width": acc_width,
        "extension": ports.width - acc_width,
    }


def _rom(ports: ConstantPorts) -> dict[str, Any]:
    """Widths of a ROM's ports."""
    index, word = ports.create().index, ports.create().data
    return {"index_width": len(index), "data_width": len(Value.cast(word))}
