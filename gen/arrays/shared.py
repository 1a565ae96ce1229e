"""Style `shared`: an address-serial logic ROM whose neurons share the ORs of their address lines.

Address lines are cut into groups of k; the ORs of all subsets of a group are made once for the whole array. A bit of
the weights' codes, over all addresses, is then one such line a group. The exponent that a block of weights has in
common is read once a unit, not once a weight.
"""

from collections.abc import Iterator

import numpy as np

from hardloom.gen.arrays import ports
from hardloom.gen.arrays.multiplier import column_names, cover, digits, mac_names
from hardloom.gen.arrays.serial import Names, SerialStyle
from hardloom.gen.arrays.shared_form import SharedForm, form_of
from hardloom.gen.arrays.shared_planes import plane_pins
from hardloom.gen.arrays.shells import Prefab
from hardloom.gen.arrays.style import ArrayPlan

__all__ = ["Shared"]


class Shared(SerialStyle[SharedForm]):
    """Planes of subsets that all neurons share."""

    name = "shared"
    neurons_share = True

    def form(
        self, matrices: tuple[np.ndarray, ...], slices: int, formats: tuple[str, ...], lanes: int, width: int
    ) -> SharedForm:
        return form_of(matrices, slices, formats, lanes, width)

    def prefab(self, plan: ArrayPlan[SharedForm]) -> Iterator[Prefab]:
        yield from super().prefab(plan)
        for module, size in plan.form.subset_modules.items():
            yield Prefab(module, "shared_subsets", {"name": module, "size": size, "low": -(-size // 2)})

    def between(self, form: SharedForm) -> str:
        return _subset_instances(form)

    def mac_names(self, form: SharedForm) -> Names:
        """Names of the unit's template: planes of every column, and factors and shifts as sums of products of them."""
        bits, table = form.code_bits, digits(form.magnitudes, form.width)
        codes = range(1, len(form.magnitudes) + 1)
        unused = list(range(len(form.magnitudes) + 1, 1 << bits))
        columns, pins = [], []
        for column in range(form.columns):
            names = [f"b{column}_{bit}" for bit in range(bits + 1)]
            pins += [f"z{column}_{bit}" for bit in range(bits + 1)]
            planes = {}
            for part, letter in enumerate("fs"):
                for number in sorted({pair[part] for pair in table.values()}):
                    on = [code for code in codes if table[form.magnitudes[code - 1]][part] == number]
                    planes[f"{letter}{number}"] = cover(names[:bits], on, unused if letter == "f" else [0, *unused])
            wires = [(name, f"~z{name[1:]}") for name in names]
            columns.append(column_names(column, wires, names[bits], planes, form.width))
        exponents = _exponents(form)
        pins += [f"ze_{bit}" for bit in range(form.exponent_bits)]
        what = "Pin z<c>_<b> is 0 when bit b of the code that column c reads is 1, ze_<b> that of the exponent's."
        return mac_names(form.magnitudes, form.width, exponents, form.odds, pins, columns) | {"what": what}

    def pins(self, plan: ArrayPlan[SharedForm], bank: int) -> Iterator[memoryview]:
        """A line a plane and group of addresses."""
        return plane_pins(plan.matrices[bank], plan.form, plan.form.largest[bank], plan.lanes)


def _subset_instances(shared: SharedForm) -> str:
    """Declarations and instances of the subsets of all groups: bit m of a group is 0 when a line of m is 1."""
    numbers = {size: [g for g, other in enumerate(shared.groups) if other == size] for size in shared.groups}
    wires = [
        ports.wrapped(f"    wire [{(1 << size) - 1}:0] ", [f"g{g}" for g in groups], ";\n")
        for size, groups in numbers.items()
    ]
    instances = []
    for g, size in enumerate(shared.groups):
        lines = ", ".join(f"a{i}" for i in range(g * shared.group + size - 1, g * shared.group - 1, -1))
        instances.append(f"    shared_subsets_k{size} subsets_{g} ({{{lines}}}, g{g});\n")
    return (
        "    // A subset that no plane asks for leaves its line unused.\n"
        + "    /* verilator lint_off UNUSEDSIGNAL */\n"
        + "".join(wires)
        + "    /* verilator lint_on UNUSEDSIGNAL */\n"
        + "".join(instances)
    )


def _exponents(shared: SharedForm) -> list[tuple[int, str]]:
    """Shifts of the columns' sum, and when."""
    names = [f"ze_{bit}" for bit in range(shared.exponent_bits)]
    every, used = (1 << len(names)) - 1, len(shared.shifts)
    unused = [every ^ code for code in range(used, every + 1)]
    when = [cover(names, [every ^ code], unused) if names else "1'b1" for code in range(used)]
    return list(zip(shared.exponents, when, strict=False))
