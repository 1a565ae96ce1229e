"""Verilog of prefabricated modules from the templates of `rtl_templates`."""

import json
from functools import cache, lru_cache

import jinja2

__all__ = ["render"]


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
