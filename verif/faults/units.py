"""One address line of a serial array (styles `rom` and `shared`) connected otherwise at random."""

import random
import re
from collections.abc import Callable

from hardloom.verif.extract.mac import MacUnit
from hardloom.verif.faults.places import random_instance

__all__ = ["change_unit"]

TERM = re.compile(rb"g(\d+)\[(\d+)\]")
NO_NODE, NO_PLANE = b"1'b0", b"1'b1"


def change_unit(text: bytes, units: Callable[[str], MacUnit], rng: random.Random) -> tuple[bytes, str]:
    """`text` with one unit changed so that it computes something else, and what was done in words.

    `units` gives a unit by module name.
    """
    instance = random_instance(text, "mac", rng)
    assert instance is not None, "a serial array has units"
    pins, unit = [b"".join(pin.split()) for pin in instance.pins], units(instance.module)
    if rng.random() < 0.05:
        chain = unit.control.index("chain")
        pins[chain] = b"m_0_0" if pins[chain] != b"m_0_0" else b"m_0_1"
        return instance.replaced(pins), f"{instance.name}: chain moved"
    told = pins[len(unit.control) :]
    change = _change_node if unit.pins[0].startswith("n") else _change_plane
    at, done = change(told, unit.pins, rng)
    return instance.replaced(pins[: len(unit.control)] + told), f"{instance.name}: {unit.pins[at]}: {done}"


def _change_node(pins: list[bytes], names: list[str], rng: random.Random) -> tuple[int, str]:
    """An address line moved from one node of a unit to another of its group, or left out; which node it was in."""
    wired = [at for at, pin in enumerate(pins) if pin != NO_NODE]
    at = rng.choice(wired)
    lines = pins[at].split(b"|")
    line = lines.pop(rng.randrange(len(lines)))
    pins[at] = b"|".join(lines) or NO_NODE
    if rng.random() < 0.3:
        return at, f"{line.decode()} left out"
    group = names[at].split("_")[0] + "_"
    other = rng.choice([n for n, name in enumerate(names) if name.startswith(group) and n != at])
    pins[other] = line if pins[other] == NO_NODE else pins[other] + b"|" + line
    return at, f"{line.decode()} moved to {names[other]}"


def _change_plane(pins: list[bytes], names: list[str], rng: random.Random) -> tuple[int, str]:
    """A bit of a plane flipped at one address, where it matters: no sign of a 0, no exponent of nothing but 0s."""
    planes = [{int(g): int(m) for g, m in TERM.findall(pin)} for pin in pins]
    column = [name.split("_")[0] for name in names]
    last = {c: max(n for n, other in enumerate(column) if other == c) for c in column}
    magnitude = [column[n] != "ze" and last[column[n]] != n for n in range(len(names))]
    groups = 1 + max(group for plane in planes for group in plane)
    while True:
        at, group = rng.randrange(len(pins)), rng.randrange(groups)
        same = [n for n in range(len(pins)) if magnitude[n] and column[at] in (column[n], "ze")]
        known = 0
        for n in range(len(pins)) if magnitude[at] else same:
            known |= planes[n].get(group, 0)
        if known:
            break
    bit = rng.choice([bit for bit in range(known.bit_length()) if known >> bit & 1])
    planes[at][group] = planes[at].get(group, 0) ^ 1 << bit
    terms = [b"g%d[%d]" % term for term in sorted(planes[at].items()) if term[1]]
    pins[at] = b"&".join(terms) or NO_PLANE
    return at, f"flipped at address {bit} of group {group}"
