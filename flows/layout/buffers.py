"""Buffers for nets of many sinks, and the clock's tree: sinks are split by where they are, a buffer for each group."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from hardloom.flows.layout.cells import LIBRARY
from hardloom.flows.layout.netlist import GROUND, SUPPLY, Instance, Netlist

__all__ = ["buffered", "unbuffered"]

MOST, CLOCKED = 20, 16
"""Sinks of a net, and of a clock's."""
BUFFER, FEED, CLOCK = (f"{LIBRARY}__{name}" for name in ("buf_4", "buf_8", "clkbuf_8"))
Wanted = dict[str, tuple[float, float]]
Sinks = list[tuple[str, str]]


def buffered(netlist: Netlist, wanted: Mapping[str, tuple[float, float]]) -> tuple[Netlist, Wanted]:
    """With buffers, and where all cells want to be.

    A wire that the weights lead somewhere has one buffer, however many sinks it has: the same for every checkpoint.
    """
    instances = {name: Instance(one.cell, dict(one.pins), one.state) for name, one in netlist.instances.items()}
    outputs = {**netlist.outputs, **{cell: frozenset("X") for cell in (BUFFER, FEED, CLOCK)}}
    places, ports = dict(wanted), dict(netlist.ports)
    new = replace(netlist, ports=ports, instances=instances, outputs=outputs)
    drivers, weights = netlist.driver(), set[str]()
    for net, sinks in sorted(netlist.sinks().items()):
        if any(pin == "CLK" for _, pin in sinks):
            clock_tree(new, places, net, sinks, is_root=not drivers[net][0])
        elif net not in (SUPPLY, GROUND) and net not in netlist.weights:
            level(new, places, BUFFER, net, sinks, MOST, f"buffer.{tail(net)}")
    every = netlist.sinks()
    for net in sorted(netlist.weights):
        driver = drivers[net][0]
        name = f"feed.{tail(net)}"
        places[name] = places[driver]
        weights.add(f"{name}/X")
        add(new, places, FEED, net, every.get(net, []), name)
    new.weights = frozenset(weights)
    return new, places


def unbuffered(netlist: Netlist, mapped: Collection[str]) -> Netlist:
    """The instances `mapped` alone, as they were before `buffered`: a net is what drives it through all buffers, and
    none is one of weights any more."""
    drivers = netlist.driver()

    def root(net: str) -> str:
        driver = drivers.get(net, ("", ""))[0]
        return root(netlist.instances[driver].pins["A"]) if driver and driver not in mapped else net

    instances = {
        name: replace(one, pins={pin: root(net) for pin, net in one.pins.items()})
        for name, one in netlist.instances.items()
        if name in mapped
    }
    ports = {port: (direction, root(net)) for port, (direction, net) in netlist.ports.items()}
    return replace(netlist, ports=ports, instances=instances, weights=frozenset())


def clock_tree(netlist: Netlist, places: Wanted, net: str, sinks: Sinks, is_root: bool) -> None:
    """Leaves for registers, and a trunk to them; a stage more on the clock itself, since others pass a clock gate."""
    registers = [sink for sink in sinks if sink[0] and netlist.instances[sink[0]].state and sink[1] == "CLK"
                 and "Q" in netlist.instances[sink[0]].pins]  # fmt: skip
    left = [(add(netlist, places, CLOCK, net, group, f"clock.{tail(net)}_0_{number}"), "A")
            for number, group in enumerate(groups(registers, places, CLOCKED))] if registers else []  # fmt: skip
    for stage in range(1, 3 if is_root else 2):
        left = [(add(netlist, places, CLOCK, net, left, f"clock.{tail(net)}_{stage}"), "A")] if left else []


def level(netlist: Netlist, places: Wanted, kind: str, net: str, sinks: Sinks, most: int, name: str) -> None:
    """Buffers, and buffers of buffers, until the net itself has no more than `most` sinks."""
    stage, left = 0, sinks
    while len(left) > most:
        left = [(add(netlist, places, kind, net, group, f"{name}_{stage}_{number}"), "A")
                for number, group in enumerate(groups(left, places, most))]  # fmt: skip
        stage += 1


def tail(net: str) -> str:
    return re.sub(r"\W+", "_", net.replace("$", "")).strip("_")


def add(netlist: Netlist, places: Wanted, kind: str, net: str, sinks: Sinks, name: str) -> str:
    """A buffer between `net` and some of its sinks, in the midst of them; its name."""
    out = f"{name}/X"
    where = [places[sink] for sink, _ in sinks if sink]
    if name not in places:
        middle = [sorted(axis)[len(where) // 2] for axis in zip(*where, strict=True)]
        places[name] = (middle[0], middle[1]) if middle else next(iter(places.values()))
    netlist.instances[name] = Instance(kind, {"A": net, "X": out})
    for sink, pin in sinks:
        if sink:
            netlist.instances[sink].pins[pin] = out
        else:
            netlist.ports[pin] = (netlist.ports[pin][0], out)
    return name


def groups(sinks: Sinks, places: Mapping[str, tuple[float, float]], most: int) -> Sequence[Sinks]:
    """Halves of halves, along the longer side, until none has more than `most`; ports come first."""
    if len(sinks) <= most:
        return [sinks]
    where = {sink: places[sink] if sink else (-1.0, -1.0) for sink, _ in sinks}
    spans = [max(at[axis] for at in where.values()) - min(at[axis] for at in where.values()) for axis in (0, 1)]
    axis = int(6 * spans[1] > spans[0])
    ordered = sorted(sinks, key=lambda sink: (where[sink[0]][axis], sink))
    half = len(ordered) // 2
    return [*groups(ordered[:half], places, most), *groups(ordered[half:], places, most)]
