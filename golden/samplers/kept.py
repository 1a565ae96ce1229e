"""Keys and values of every position, as the passes of a run have last computed them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Kept", "Shared", "alike"]


@dataclass(eq=False)
class Kept:
    """Of one run; an engine writes and reads it.

    Attributes
    ----------
    span: positions that the next pass computes, all others' keys and values being those that are here; None: it
        computes all positions and keeps nothing.
    parts: of a name and a layer, tensors [heads, positions, n], for an engine's own use; and the largest scales of
        values, [heads, 1, 1], of an engine that has some.
    """

    span: range | None = None
    parts: dict[tuple[str, int], tuple[Tensor, ...]] = field(default_factory=dict)
    largest: dict[tuple[str, int], Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Shared:
    """What runs keep that compute the same positions of a pass, side by side.

    runs: at least one; span: positions of `positions` that the pass computes; name: of the pass, where a step has two.
    """

    runs: Sequence[Kept]
    span: range
    positions: int
    name: str = ""

    @property
    def anew(self) -> bool:
        """Whether all positions are computed."""
        return len(self.span) == self.positions

    def of_all(self, layer: int, *parts: Tensor) -> tuple[Tensor, ...]:
        """What the pass has computed in a layer, [runs, heads, span, n] each, put in its places: that of all positions,
        [runs, heads, positions, n]."""
        key = self.name, layer
        if not self.anew:
            held = [torch.stack([run.parts[key][number] for run in self.runs]) for number in range(len(parts))]
            for whole, part in zip(held, parts, strict=True):
                whole[:, :, self.span.start : self.span.stop] = part
            parts = tuple(held)
        for row, run in enumerate(self.runs):
            run.parts[key] = tuple(part[row] for part in parts)
        return parts

    def largest(self, layer: int, scale: Tensor) -> Tensor:
        """The largest of the pass's `scale`, [runs, heads, span, 1], and of those before it, from the pass on that has
        computed all positions: [runs, heads, 1, 1]."""
        key, top = (self.name, layer), scale.amax(2, keepdim=True)
        if not self.anew:
            top = top.maximum(torch.stack([run.largest[key] for run in self.runs]))
        for row, run in enumerate(self.runs):
            run.largest[key] = top[row]
        return top


def alike(
    kept: Sequence[Kept] | None, rows: int, positions: int, shift: int = 0, name: str = ""
) -> Iterator[tuple[list[int], range, Shared | None]]:
    """Rows of a batch that compute the same positions, these, and what they keep.

    kept: of every row; None: nothing. shift: by which logits are before what they predict, so that they are computed
    too. name: as `Shared` has it.
    """
    groups: dict[range | None, list[int]] = {}
    for row in range(rows):
        groups.setdefault(kept[row].span if kept else None, []).append(row)
    for span, chosen in groups.items():
        if span is None or kept is None:
            yield chosen, range(positions), None
            continue
        wide = range(max(0, span.start - shift), span.stop)
        yield chosen, wide, Shared([kept[row] for row in chosen], wide, positions, name)
