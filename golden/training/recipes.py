"""The models that can be trained here."""

from golden.training.demo import DEMO
from golden.training.demo2 import DEMO2
from golden.training.recipe import Recipe

__all__ = ["RECIPES"]

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (DEMO, DEMO2)}
