"""A format for each kind of matrix of a model: embedding, head, q, k, v, o, router, gate, up, down."""

from collections.abc import Mapping
from typing import Any

from hardloom.golden.errors import UserError
from hardloom.golden.quantization.format_names import FORMAT_NAMES, format_name
from hardloom.golden.shape import ModelShape

__all__ = ["check_formats", "formats_by_kind", "in_words", "kinds_of"]

REST = "mxfp4"
BETTER = {**dict.fromkeys("qkvo", "mxfp6"), **dict.fromkeys(("router", "head", "embedding"), "int8")}
"""The kinds for which `REST` costs a model most, for what they store: docs/accuracy.md."""


def formats_by_kind(model: ModelShape, format: str | None, chosen: Mapping[str, str]) -> dict[str, str]:
    """Name of the format of each kind of matrix (`TensorShape.short_kind`): the one that is `chosen`, or `format`.

    format: None: `BETTER` and `REST`.

    Raises `UserError` for a kind that the model does not have, and for an unknown format.
    """
    kinds = kinds_of(model)
    if strange := [kind for kind in chosen if kind not in kinds]:
        raise UserError(
            f"formats: {strange[0]!r:.40} is no kind of matrix of this model; choose from {', '.join(kinds)}"
        )
    return {kind: format_name(chosen.get(kind, format or BETTER.get(kind, REST))) for kind in kinds}


def check_formats(model: ModelShape, formats: Any) -> dict[str, str]:
    """`formats` as `formats_by_kind` made it, read from a file; `UserError` where it is something else."""
    kinds = kinds_of(model)
    if not isinstance(formats, dict) or set(formats) != set(kinds):
        raise UserError(f"formats must name one of each of {', '.join(kinds)}, and no other")
    if strange := [kind for kind in kinds if formats[kind] not in [*FORMAT_NAMES]]:
        raise UserError(f"formats: {strange[0]} is {formats[strange[0]]!r:.40}, not one of {', '.join(FORMAT_NAMES)}")
    return {kind: formats[kind] for kind in kinds}


def kinds_of(model: ModelShape) -> list[str]:
    return list(dict.fromkeys(matrix.short_kind for matrix in model.matrices()))


def in_words(formats: Mapping[str, str]) -> str:
    """The format of most kinds, then the others: "mxfp4, head int8, down mxfp6_e2m3"."""
    names = [*formats.values()]
    most = max(dict.fromkeys(names), key=names.count)
    return ", ".join([most, *(f"{kind} {name}" for kind, name in formats.items() if name != most)])
