"""The long texts of an export, as Jinja templates beside this file."""

from functools import cache

import jinja2

__all__ = ["render"]


@cache
def environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("flows.export", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )


def render(template: str, **names: object) -> str:
    """Text of `templates/TEMPLATE.j2`, in which `names` are known."""
    return environment().get_template(f"{template}.j2").render(names)
