"""The long texts of an export, as Jinja templates beside this file."""

from hardloom.gen.text.templates import environment

__all__ = ["render"]


def render(template: str, **names: object) -> str:
    """Text of `templates/TEMPLATE.j2`, in which `names` are known."""
    return environment("hardloom.flows.export", "templates").get_template(f"{template}.j2").render(names)
