"""Names and bits of the weight formats, for those who need no more of them: importing this is quick."""

from hardloom.golden.errors import UserError

__all__ = ["CODE_BITS", "FORMAT_NAMES", "format_name"]

CODE_BITS = {"mxfp4": 4, "mxfp6_e2m3": 6, "mxfp6_e3m2": 6, "int4": 4, "int8": 8, "ternary": 4}
"""Of the stored codes of each format, as its rules have them."""
FORMAT_NAMES = tuple(CODE_BITS)
OTHER_NAMES = {"mxfp6": "mxfp6_e2m3"}
SHORT = {name: f"{given} (which is {name})" for given, name in OTHER_NAMES.items()}
CHOICES = ", ".join(SHORT.get(name, name) for name in FORMAT_NAMES)


def format_name(given: str) -> str:
    """The name of the format that is called `given`, `mxfp6` being `mxfp6_e2m3`; `UserError` where there is none."""
    name = OTHER_NAMES.get(given, given)
    if name not in FORMAT_NAMES:
        raise UserError(f"format {given!r} is not known; choose one of {CHOICES}")
    return name
