"""Wiring: the weights of one array as the wires of its emitted text, and those into one of its neurons."""

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardloom.flows.pictures.wiring import Wiring, read_wiring
from hardloom.flows.report.pixels import picture
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.gen.build.folder import Build
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.golden.errors import UserError
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["Wire", "chosen_array", "wires_of", "wiring"]

WIDTH, HEIGHT = 1000, 220
MOST_CELLS = 1 << 22
"""Neurons times slots, beyond which the picture of all of them is left out."""


@dataclass(frozen=True)
class Wire:
    """From an input to a slot of a neuron. value: that a bit there counts, less than 0 where the input's negative
    enters; start, end: places from left to right; hue: of its colour, in degrees."""

    input: int
    slot: int
    value: int
    start: float
    end: float
    hue: int


def chosen_array(build: Build, module: str | None, neuron: int) -> ArrayFacts | None:
    """The array that is asked for, or else the first expert's last matrix, or the first of style `metal`; None where
    none is of that style. Raises `UserError` for an array that there is not, and a neuron that it has not."""
    arrays = {array.module: array for array in build.arrays}
    metal = [array for array in build.arrays if array.style == "metal"]
    if module is not None and module not in arrays:
        raise UserError(f"--array: {build.path} has no array {module!r:.80}; its manifest.json names them")
    if module is not None and arrays[module].style != "metal":
        raise UserError(f"--array: {module} is of style {arrays[module].style}, and wires are drawn of metal alone")
    experts = [array for array in metal if array.expert is not None and array.kind == "down"]
    found = arrays[module] if module is not None else next(iter(experts or metal), None)
    if found is not None and neuron >= (neurons := found.rows * len(found.matrices)):
        raise UserError(f"--neuron: {found.module} has neurons 0 to {neurons - 1}; give one of them")
    return found


def wires_of(wiring: Wiring, neuron: int) -> list[Wire]:
    """Into one neuron, in the order of its slots."""
    slots = wiring.slots[neuron]
    values = np.concatenate([np.full(count, value) for _, count, value in wiring.regions])
    found = []
    for slot in np.flatnonzero(slots).tolist():
        number = abs(int(slots[slot])) - 1
        places = (number + 0.5) * WIDTH / wiring.inputs, (slot + 0.5) * WIDTH / slots.size
        value = int(np.sign(slots[slot])) * int(values[slot])
        found.append(Wire(number, slot, value, round(places[0], 1), round(places[1], 1), hue(number, wiring.inputs)))
    return found


def hue(number: int, inputs: int) -> int:
    return round(300 * number / inputs)


def all_slots(wiring: Wiring) -> str:
    """A row a neuron, a column a slot: opaque where an input enters, half so where its negative does."""
    pixels = np.zeros((*wiring.slots.shape, 4), np.uint8)
    colours = [colorsys.hls_to_rgb(hue(n, wiring.inputs) / 360, 0.5, 0.7) for n in range(wiring.inputs)]
    pixels[..., :3] = np.rint(255 * np.array(colours))[np.abs(wiring.slots) - 1]
    pixels[..., 3] = np.select([wiring.slots > 0, wiring.slots < 0], [255, 120])
    return picture(pixels)


def wiring(subject: Subject, module: str | None, neuron: int) -> Section:
    """The section."""
    title, build = "Wiring: weights as wires", subject.build
    if build is None:
        return Section("wiring", title, missing=subject.no_chip)
    array = chosen_array(build, module, neuron)
    if array is None:
        why = "no array of this build is of style metal; `hardloom generate --style metal` writes arrays with wires"
        return Section("wiring", title, missing=why)
    try:
        found = read_wiring(build, array.module)
    except ExtractionError as error:
        why = f"its text is none that can be read ({error}); `hardloom generate` writes it anew"
        return Section("wiring", title, missing=why)
    words = ("--array", array.module, "--neuron", neuron, "-o", "report.html")
    return Section("wiring", title, (subject.command("report", *words),), drawn(found, array, neuron))


def drawn(found: Wiring, array: ArrayFacts, neuron: int) -> dict[str, Any]:
    """What the template knows of an array."""
    scale = WIDTH / found.slots.shape[1]
    return {
        "array": array,
        "file": f"rtl/arrays/{array.module}.v",
        "neuron": neuron,
        "neurons": found.slots.shape[0],
        "inputs": [((n + 0.5) * WIDTH / found.inputs, hue(n, found.inputs), n) for n in range(found.inputs)],
        "every": max(1, found.inputs // 16),
        "wires": wires_of(found, neuron),
        "all_wires": int((found.slots != 0).sum()),
        "regions": [(first * scale, count * scale, value) for first, count, value in found.regions],
        "picture": all_slots(found) if found.slots.size <= MOST_CELLS else None,
        "size": (WIDTH, HEIGHT),
    }
