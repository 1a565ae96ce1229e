"""From a plan to Verilog-2005 files: prefabricated text (templates) apart from connections (vectorised text)."""

import json
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import jinja2

from gen.arrays.style import ArrayPlan

__all__ = ["Emission", "emit", "emit_connections", "emit_prefab", "render"]


class Emission(NamedTuple):
    """File names to contents. Two checkpoints of one geometry differ in `connections` only."""

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


def render(template: str, names: dict[str, object]) -> str:
    """Text of the template `template`.v.j2; `names` hold what JSON holds. Kept: arrays share much of it."""
    return _rendered(template, json.dumps(names))


@lru_cache(maxsize=64)
def _rendered(template: str, names: str) -> str:
    """A template with its names, a JSON object: many arrays share their prefabricated text."""
    return _templates().get_template(template + ".v.j2").render(json.loads(names))


def emit_prefab(plan: ArrayPlan) -> dict[str, str]:
    """Files that do not depend on the weights: names to texts."""
    return {f"{module}.v": render(template, names) for module, template, names in plan.style.prefab(plan)}


def emit_connections(plan: ArrayPlan) -> Iterator[bytes]:
    """The file `<name>.v` that holds the weights, piece by piece: memory for a few rows at a time."""
    return plan.style.connections(plan)


def emit(plan: ArrayPlan) -> Emission:
    """All files of an array unit: one module a file, named after it."""
    return Emission(emit_prefab(plan), {f"{plan.name}.v": b"".join(emit_connections(plan))})
