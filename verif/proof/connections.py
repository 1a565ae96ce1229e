"""How wide the nets are that a unit connects to the ports of a module it instantiates."""

import re
from collections.abc import Iterator, Mapping

__all__ = ["misfits", "misplaced"]

DECLARED = re.compile(r"\b(?:wire|reg)\b(?: signed)? *(?:\[(\d{1,9}):0\])? *(\w+(?: *, *\w+)*)")
INSTANCE = re.compile(r"^ *(\w+) +\w+ *\(", re.MULTILINE)
CONNECTED = re.compile(r"\.(\w+)\( *(\w+)(?:\[(\d{1,9})(?::(\d{1,9}))?\])? *\)")
CONSTANT = re.compile(r"\.(\w+)\( *(\d{1,9})'")


def misfits(text: str, ports: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Ports to which the unit `text` connects more or fewer bits than they have, in words.

    ports: bits by name, of each module that is looked at. One that is connected to nothing, or to what is no net, part
    of one or number, misfits too.
    """
    declared = {name: int(top or 0) + 1 for top, names in DECLARED.findall(text) for name in re.findall(r"\w+", names)}
    for head in INSTANCE.finditer(text):
        if (wanted := ports.get(module := head[1])) is None:
            continue
        pins = text[head.end() : text.find(");", head.end())]
        found = {port: int(width) for port, width in CONSTANT.findall(pins)}
        for port, net, top, bottom in CONNECTED.findall(pins):
            found[port] = int(top) - int(bottom or top) + 1 if top else declared.get(net, 0)
        for port, width in wanted.items():
            if found.get(port) != width:
                yield f"connects {found.get(port, 0)} bits to {port} of {module}, which has {width}"


OF_LAYER = re.compile(r"^ *((?:\w+_)?wired_(layer_\d+)_(\w+)) +(\w+) *\(", re.MULTILINE)


def misplaced(text: str, unit: str) -> Iterator[str]:
    """Arrays and constants of a layer that the unit `text`, called `unit` without the build's prefix, instantiates, and
    that stand elsewhere by their names, in words: each is in its layer, under the rest of its name."""
    for module, layer, place, instance in OF_LAYER.findall(text):
        if (layer, place) != (unit, instance):
            yield f"instantiates {module} as {instance}, and its place is {place} in {layer}"
