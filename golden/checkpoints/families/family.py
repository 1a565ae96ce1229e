"""What an adapter of a family of models gives."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from hardloom.golden.checkpoints.families.rules import FieldRules
from hardloom.golden.shape import EMBEDDING, HEAD, ModelShape, TensorShape

__all__ = ["Family", "Place"]


@dataclass(frozen=True)
class Place:
    """Where a family's files hold a tensor: under the name `stored`.

    shape: of the stored tensor. first: its row (all of its dimensions but the last counted as rows) where the model's
    tensor begins; None where it is the stored one itself.
    """

    stored: str
    shape: tuple[int, ...]
    first: int | None = None


class Family(ABC):
    """An adapter: one family's `config.json` and tensor names.

    Attributes
    ----------
    name: in words. model_types: values of `model_type` in `config.json`. rules: of its fields.
    """

    name: ClassVar[str]
    model_types: ClassVar[tuple[str, ...]]
    rules: ClassVar[FieldRules]

    @abstractmethod
    def shape(self, raw: dict[str, Any]) -> ModelShape:
        """The model of a `config.json`, whose fields `rules` has let pass; `UserError` naming field and remedy."""

    def places(self, tensor: TensorShape, model: ModelShape) -> tuple[Place, ...]:
        """Where `tensor` of `model` may lie in the family's files; one of these places must exist, and no two.

        By itself a tensor is stored under its name; the head that is the embedding's matrix, under that one's.
        """
        return (Place(EMBEDDING if model.tied and tensor.name == HEAD else tensor.name, tensor.shape),)

    def accepts(self, raw: dict[str, Any]) -> bool:
        """Whether a `config.json` is of this family."""
        return raw.get("model_type") in self.model_types

    def ignored(self, model: ModelShape) -> tuple[str, ...]:
        """Endings of names of stored tensors that `model` does not have and that change nothing."""
        return (".rotary_emb.inv_freq",)  # a buffer of older transformers, which follows from rope_theta
