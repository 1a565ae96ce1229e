"""Probe points: values that have a name, so that benches can look at them; they mean nothing to synthesis."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable, Module, Shape, Signal, Value
from amaranth.lib import data

__all__ = ["Probe", "ProbeMark", "add_probe"]


@dataclass(frozen=True)
class Probe:
    """One probe point.

    Parameters
    ----------
    name: as in `golden.models.integer_model`, without the layer where it is in one: `q`, `router.logits`.
    path: of the net that is high in cycles in which a beat is handed over, in its module; net `PATH_value` is the beat.
    width, signed: an element in bits; lanes: elements a beat, those of all banks and positions.
    elements: of one packet, 0 for as many as there are positions; packets: a position.
    block: where not 0, those positions are of the packet's block, one of so many, and of the blocks before it.
    banks: packets of a position that pass side by side; positions: those that do, of which the last beats of a pass may
    hold some too many. Element e of bank b of position p in a beat is its number (p * banks + b) * each + e, where
    each = lanes / (banks * positions).
    wanted: only positions of which the probe `wanted` has a 1 pass.
    share: (n, of how many) where a position's packets are shared out over nets by their experts' numbers: this one has
    those of experts n, n + how many, ..., none or several a position, in the order of the router's choice.
    """

    name: str
    path: str
    width: int
    signed: bool
    lanes: int
    elements: int
    packets: int
    banks: int = 1
    positions: int = 1
    block: int = 0
    wanted: bool = False
    share: tuple[int, int] = (0, 1)


class ProbeMark(Elaboratable):
    """Stands for `probe` in the module that has its nets, for `gen.engine.inventory` to find; it is no hardware."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def elaborate(self, platform) -> Module:
        return Module()


def add_probe(
    m: Module,
    name: str,
    source,
    elements: int,
    packets: int = 1,
    value: Any = None,
    net: str | None = None,
    banks: int = 1,
    positions: int = 1,
    block: int = 0,
    wanted: bool = False,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Add the probe point `name` of stream `source` to `m`; `elements` to `share` as in `Probe`.

    value: what is looked at, an array or a plain value, `source.payload.data` by default. Its nets, `probe_NET` and
    `probe_NET_value`, are existing ones by another name (but for one AND); `net` is the last part of `name` by default.
    """
    value = source.payload.data if value is None else value
    shape = value.shape()
    element, lanes = (shape.elem_shape, shape.length) if isinstance(shape, data.ArrayLayout) else (shape, 1)
    element, bits = Shape.cast(element), Value.cast(value)
    path = f"probe_{net or name.rpartition('.')[2]}"
    taken = Signal(name=path, attrs={"keep": 1})
    beat = Signal(len(bits), name=f"{path}_value", attrs={"keep": 1})
    m.d.comb += [taken.eq(source.valid & source.ready), beat.eq(bits)]
    probe = Probe(
        name, path, element.width, element.signed, lanes, elements, packets, banks, positions, block, wanted, share
    )
    m.submodules += ProbeMark(probe)
