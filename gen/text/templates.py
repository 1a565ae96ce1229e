"""Texts from Jinja templates: how they are read, and Verilog of prefabricated modules from `rtl_templates`."""

import json
from functools import cache, lru_cache

import jinja2

__all__ = ["environment", "render"]


@cache
def environment(package: str, folder: str = "", html: bool = False) -> jinja2.Environment:
    """The templates in `folder` of a package: lines of tags leave nothing, and an unknown name is an error.

    html: what a template is given appears in a page as it is, never as tags.
    """
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, folder),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=html,
    )


def render(template: str, names: dict[str, object]) -> str:
    """Text of the template `template`.v.j2; `names` hold what JSON holds. Kept: arrays share much of it."""
    return _rendered(template, json.dumps(names))


@lru_cache(maxsize=64)
def _rendered(template: str, names: str) -> str:
    """A template with its names, a JSON object: many arrays share their prefabricated text."""
    return environment("hardloom.rtl_templates").get_template(template + ".v.j2").render(json.loads(names))
