"""From a plan to Verilog-2005 files: prefabricated text (templates) apart from connections (vectorised text)."""

from functools import cache
from typing import NamedTuple

import jinja2

from gen.arrays.plan import STYLES, ArrayPlan

__all__ = ["Emission", "emit"]


class Emission(NamedTuple):
    """File names to contents. Two checkpoints of one geometry differ in ``connections`` only."""

    prefab: dict[str, str]
    connections: dict[str, bytes]


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("rtl_templates", ""),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )


def emit(plan: ArrayPlan) -> Emission:
    """All files of an array unit: one module a file, named after it."""
    style = STYLES[plan.style]
    prefab = {
        f"{module}.v": _templates().get_template(template + ".v.j2").render(names)
        for module, template, names in style.prefab(plan)
    }
    return Emission(prefab, {f"{plan.name}.v": style.connections(plan)})
