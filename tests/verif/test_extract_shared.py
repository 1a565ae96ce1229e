"""Style `shared`, part by part of its text: one wire, one bit or one number changed, and a reader's verdict on it."""

import random
import re
from collections.abc import Iterator

import numpy as np
import pytest

from hardloom.gen.arrays import emit, plan_array
from hardloom.verif.extract.instances import Instance, instances
from hardloom.verif.extract.mac import read_mac
from hardloom.verif.extract.subsets import read_subsets
from tests.matrices import exactly, noise
from tests.verif.test_extract import seen

ROWS, INPUTS = 48, 64  # no neuron is padding
TERM = re.compile(rb"g(\d+)\[(\d+)\]")


def without_zeros(seed: int) -> np.ndarray:
    """mxfp4 noise, int32 [rows, inputs], zeros replaced by their block's first weight that is none: the sign of a 0 and
    the exponent of zeros alone would not matter."""
    blocks = noise("mxfp4", ROWS, INPUTS, seed).weights.numpy().reshape(-1, 32)
    first = blocks[np.arange(len(blocks)), (blocks != 0).argmax(axis=1)]
    return np.where(blocks == 0, first[:, None], blocks).reshape(ROWS, INPUTS)


PLAN = plan_array("a", [exactly(without_zeros(bank)) for bank in range(2)], 4, INPUTS, "shared", "mxfp4")
PREFAB, CONNECTIONS = emit(PLAN)
TEXT, WEIGHTS, MAC = CONNECTIONS["a.v"], np.stack(PLAN.matrices), f"{PLAN.form.mac}.v"
SUBSETS = sorted(f"{module}.v" for module in PLAN.form.subset_modules)
UNIT = read_mac(PREFAB[MAC])
PLANES = range(len(UNIT.control), len(UNIT.control) + len(UNIT.pins))


def parts(kind: str) -> list[Instance]:
    """Instances `shell`, `subsets` or `mac` of the array."""
    return [instance for instance in instances(TEXT) if instance.name.split("_")[0] == kind]


SIZES = [read_subsets(PREFAB[f"{group.module}.v"]).size for group in parts("subsets")]


def read_with(instance: Instance, pins: list[bytes]) -> bool:
    """Whether an instance with these pins, which are others, is found."""
    assert pins != instance.pins
    return seen(instance.replaced(pins), PREFAB, WEIGHTS)


def other_numbers(text: str, begin: int, end: int) -> Iterator[str]:
    """`text` with one number of its code from `begin` to `end` one larger, for each of them."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", lambda comment: " " * len(comment[0]), text)
    for number in re.compile(r"\d+").finditer(code, begin, end):
        yield text[: number.start()] + str(int(number[0]) + 1) + text[number.end() :]


def test_the_text_as_it_is_is_read() -> None:
    assert (WEIGHTS != 0).all() and sum(SIZES) == INPUTS and ROWS % (PLAN.lanes * UNIT.fold) == 0
    assert not seen(TEXT, PREFAB, WEIGHTS)


def test_a_bit_of_any_plane_of_any_unit_is_found() -> None:
    """Of codes, signs and exponents: the bit of an address line, the other way round."""
    rng = random.Random(3)
    assert len(parts("mac")) == 2 * ROWS // UNIT.fold
    for unit in parts("mac"):
        for number in PLANES:
            pins, group = unit.pins, rng.randrange(len(SIZES))
            plane = {int(g): int(m) for g, m in TERM.findall(pins[number])}
            plane[group] = plane.get(group, 0) ^ 1 << rng.randrange(SIZES[group])
            pins[number] = b"&".join(b"g%d[%d]" % term for term in plane.items() if term[1]) or b"1'b1"
            assert read_with(unit, pins), (unit.name, number)


def test_a_term_that_goes_to_another_plane_or_to_another_group_is_found() -> None:
    rng = random.Random(5)
    for unit in parts("mac") * 8:
        pins = unit.pins
        first, other = rng.sample([number for number in PLANES if pins[number] != b"1'b1"], 2)
        terms = pins[first].split(b"&")
        term = terms.pop(rng.randrange(len(terms)))
        pins[first], pins[other] = b"&".join(terms) or b"1'b1", pins[other] + b"&" + term
        assert read_with(unit, pins)
        group, subset = map(int, TERM.fullmatch(term).groups())
        moved, pins = b"g%d[%d]" % ((group + 1) % len(SIZES), subset), unit.pins
        pins[first] = b"&".join([*terms, moved])
        assert read_with(unit, pins)


@pytest.mark.parametrize("kind", ["shell", "mac"])
def test_a_pin_of_control_that_takes_another_wire_is_found(kind: str) -> None:
    """Every pin of the shell, and every one of a unit before its planes, with the wire of the pin behind it."""
    for instance in parts(kind)[:1]:
        pins = instance.pins
        for number in range(len(UNIT.control) if kind == "mac" else len(pins) - 1):
            assert read_with(instance, [*pins[:number], pins[number + 1], *pins[number + 1 :]]), number


def test_any_number_outside_units_and_shell_that_is_another_is_found() -> None:
    """Ports, declarations, address lines of groups, names of instances, what out_data is."""
    text, spans = TEXT.decode(), [(part.start, part.end) for kind in ("shell", "mac") for part in parts(kind)]
    ends = [text.index("\nmodule"), *(place for span in spans for place in span), len(text)]
    changed = [
        other for begin, end in zip(ends[::2], ends[1::2], strict=True) for other in other_numbers(text, begin, end)
    ]
    assert len(changed) > 2 * ROWS // UNIT.fold + 2 * INPUTS
    for other in changed:
        assert seen(other.encode(), PREFAB, WEIGHTS)


@pytest.mark.parametrize("file", [*SUBSETS, MAC], ids=[*SUBSETS, "unit"])
def test_any_number_of_a_prefabricated_module_that_is_another_is_found(file: str) -> None:
    changed = list(other_numbers(text := PREFAB[file], text.index("\nmodule"), len(text)))
    assert len(changed) > 10
    for other in changed:
        assert seen(TEXT, PREFAB | {file: other}, WEIGHTS)
