"""Adapters: a family of models each, from its `config.json` and tensor names to the description of `golden.shape`."""

from dataclasses import replace
from typing import Any

from hardloom.golden.checkpoints.families.dream import Dream
from hardloom.golden.checkpoints.families.family import Family, Place
from hardloom.golden.checkpoints.families.gpt_oss import GptOss
from hardloom.golden.checkpoints.families.llada import LLaDA
from hardloom.golden.checkpoints.families.llada2 import LLaDA2
from hardloom.golden.checkpoints.families.llada_moe import LLaDAMoE
from hardloom.golden.checkpoints.families.llama import Llama
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["FAMILIES", "Family", "Place", "family_of", "shape_of"]

FAMILIES: tuple[Family, ...] = (LLaDAMoE(), LLaDA2(), LLaDA(), Dream(), Llama(), GptOss())


def family_of(raw: dict[str, Any]) -> Family:
    """The adapter of a `config.json`; `UserError` where its `model_type` is of no family."""
    for family in FAMILIES:
        if family.accepts(raw):
            return family
    known = sorted({model_type for family in FAMILIES for model_type in family.model_types})
    raise UserError(
        f"model_type {raw.get('model_type')!r:.80} is not supported; give a checkpoint of one of {', '.join(known)}"
    )


def shape_of(raw: dict[str, Any], name: str = "") -> ModelShape:
    """The description of the model of a `config.json`, called `name`.

    Raises `UserError` naming the first field that asks for a model of no family here, or that is wrong, and the remedy.
    """
    family = family_of(raw)
    family.rules.check(raw)
    return replace(family.shape(raw), name=name)
