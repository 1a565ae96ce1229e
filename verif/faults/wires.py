"""One wire of an array's connection file changed at random."""

import random
import re
from collections.abc import Callable

from hardloom.verif.extract.instances import Instance, instances
from hardloom.verif.extract.mac import MacUnit
from hardloom.verif.extract.neuron import CONTROL, NeuronCell
from hardloom.verif.faults.places import random_instance
from hardloom.verif.faults.units import change_unit

__all__ = ["change_wire"]

FEED = re.compile(rb"[pnx]\d+")
TERM = re.compile(rb" (?P<sign>[+-]) (?:\((?P<shifted>x\d+) <<< (?P<shift>\d+)\)|(?P<plain>x\d+))")
NONE = b"1'b0"


def change_wire(
    text: bytes, cells: Callable[[str], NeuronCell], units: Callable[[str], MacUnit], rng: random.Random
) -> tuple[bytes, str]:
    """`text` with one wire changed so that it computes something else, and what was done in words.

    A wire between two slots of one region and one slice is left where it is: there it counts the same. `cells` gives a
    neuron cell by module name, `units` a unit of a serial style.
    """
    if re.search(rb"^ +\w*array_shell_serial_", text, re.MULTILINE):
        return change_unit(text, units, rng)
    shell = next(instances(text))
    if rng.random() < 0.05:
        return _swap_pins(shell, rng)
    feeds = 1 + max(int(pin[1:]) for pin in shell.pins if FEED.fullmatch(pin))
    neuron = random_instance(text, "neuron", rng)
    if neuron is None:
        return _change_term(text, feeds, rng)
    pins, first = neuron.pins, len(CONTROL)
    if rng.random() < 0.05:
        chain = CONTROL.index("chain")
        pins[chain] = b"a_0_0" if pins[chain] != b"a_0_0" else b"a_0_1"
        return neuron.replaced(pins), "chain moved"
    pins[first:], done = _change_slots(pins[first:], cells(neuron.module), feeds, rng)
    return neuron.replaced(pins), f"{neuron.name}: {done}"


def _swap_pins(shell: Instance, rng: random.Random) -> tuple[bytes, str]:
    """Two of the inputs' wires swapped where they leave the shell."""
    pins = shell.pins
    a, b = rng.sample([i for i, pin in enumerate(pins) if FEED.fullmatch(pin)], 2)
    pins[a], pins[b] = pins[b], pins[a]
    return shell.replaced(pins), f"shell: {pins[a].decode()} and {pins[b].decode()} swapped"


def _change_slots(slots: list[bytes], cell: NeuronCell, feeds: int, rng: random.Random) -> tuple[list[bytes], str]:
    """The slots of one neuron, one of its wires changed."""
    place = [(value, slot % cell.slices) for slot, value in enumerate(cell.values.tolist())]
    wired = [i for i, slot in enumerate(slots) if slot != NONE]
    empty = [i for i, slot in enumerate(slots) if slot == NONE]
    kind = rng.choice(["move", "swap", "polarity", "rewire", "drop", "add"]) if wired else "add"
    at, new = rng.choice(wired or empty), list(slots)
    others = [i for i in (empty if kind == "move" else wired) if place[i] != place[at] and slots[i] != slots[at]]
    if kind in ("move", "swap") and others:
        other = rng.choice(others)
        new[at], new[other] = slots[other], slots[at]
        return new, f"{slots[at].decode()} of slot {at} and {slots[other].decode()} of slot {other} swapped"
    if kind == "add" and empty:
        at = rng.choice(empty)
        new[at] = b"%c%d" % (rng.choice(b"pn"), rng.randrange(feeds))
    elif kind == "drop":
        new[at] = NONE
    elif kind == "rewire" and feeds > 1:
        number = (int(slots[at][1:]) + rng.randrange(1, feeds)) % feeds
        new[at] = slots[at][:1] + str(number).encode()
    else:
        new[at] = (b"n" if slots[at][:1] == b"p" else b"p") + slots[at][1:]
    return new, f"slot {at} holds {new[at].decode()} instead of {slots[at].decode()}"


def _change_term(text: bytes, inputs: int, rng: random.Random) -> tuple[bytes, str]:
    """One summand of a row of shift-adds changed (the `cell` style)."""
    term = TERM.search(text, rng.randrange(len(text))) or TERM.search(text)
    assert term is not None, "an array has neurons or rows of terms"
    source = term["shifted"] or term["plain"]
    kind = rng.choice(["sign", "drop", "shift", "rewire"])
    sign, shift = term["sign"], int(term["shift"] or 0)
    if kind == "sign":
        sign = b"-" if sign == b"+" else b"+"
    elif kind == "shift":
        shift += 1
    elif kind == "rewire" and inputs > 1:
        source = b"x%d" % ((int(source[1:]) + rng.randrange(1, inputs)) % inputs)
    new = b" %s %s" % (sign, b"(%s <<< %d)" % (source, shift) if shift else source)
    new = b"" if new == term[0] else new
    return text[: term.start()] + new + text[term.end() :], f"{term[0].decode()} became {new.decode() or 'nothing'}"
