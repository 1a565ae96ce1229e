"""The models that can be trained here."""

from hardloom.golden.training.demo import DEMO
from hardloom.golden.training.demo2 import DEMO2
from hardloom.golden.training.recipe import Recipe

__all__ = ["RECIPES"]

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (DEMO, DEMO2)}
