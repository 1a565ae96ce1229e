"""The largest activations of a model on calibration sequences: by site, layer and channel."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.calibration.streamed import (
    embedded,
    final_norm,
    load_layer,
    run_layer,
    weights_of,
)
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.models.float_model import Arithmetic
from hardloom.golden.shape import HEAD, ModelShape

__all__ = ["SCORES", "Range", "Ranges", "observe"]

SCORES = "scores"
"""The site that has a word of its own: attention's logits, to base 2."""


@dataclass(frozen=True)
class Range:
    """The largest magnitude of a site.

    Attributes
    ----------
    site: `residual`, `norm`, `query`, `key`, `value`, `mix`, `swiglu`, `scores`, `logits`, or the kind of a matrix:
        its products.
    layer, channel: where it is; layer is None beside the layers, channel a head for scores.
    largest: magnitude; typical: root mean square of that site and layer.
    """

    site: str
    layer: int | None
    channel: int
    largest: float
    typical: float


class Ranges(Arithmetic):
    """The float model's arithmetic, which notes what it sees.

    Attributes
    ----------
    layer: that runs; None beside the layers.
    matrices: its matrices' kinds by the identity of a weight.
    channels: (site, layer) to the largest magnitude of each channel, float32.
    """

    def __init__(self, gains: str) -> None:
        self.gains = gains
        self.layer: int | None = None
        self.matrices: dict[int, str] = {}
        self.channels: dict[tuple[str, int | None], Tensor] = {}
        self.squares: dict[tuple[str, int | None], list[float]] = {}
        self.queries: Tensor | None = None

    def note(self, site: str, x: Tensor) -> Tensor:
        """Note `x` [..., channels] and return it; networks of other widths share channels by number."""
        key, largest = (site, self.layer), x.abs().flatten(0, -2).amax(0)
        known = self.channels.get(key, torch.zeros(0))
        width = max(len(known), len(largest))
        both = (torch.nn.functional.pad(part, (0, width - len(part))) for part in (known, largest))
        self.channels[key] = torch.maximum(*both)
        total = self.squares.setdefault(key, [0.0, 0.0])
        total[0] += float(torch.linalg.vector_norm(x, dtype=torch.float64)) ** 2
        total[1] += x.numel()
        return x

    def vector(self, x: Tensor, site: str) -> Tensor:
        if site == "query":
            self.queries = x
        if site == "key":
            assert self.queries is not None
            keys = x.repeat_interleave(self.queries.shape[1] // x.shape[1], dim=1)
            products = self.queries @ keys.transpose(-1, -2) * (math.log2(math.e) / math.sqrt(x.shape[-1]))
            self.note(SCORES, products.transpose(1, -1))
        return self.note(site, x)

    def residual(self, x: Tensor) -> Tensor:
        return self.note("residual", x)

    def linear(self, x: Tensor, weight: Tensor, gain: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        return self.note(self.matrices[id(weight)], super().linear(x, weight, gain, bias))

    def found(self) -> list[Range]:
        """The largest of each site, over all layers."""
        best: dict[str, Range] = {}
        for (site, layer), channels in self.channels.items():
            channel = int(channels.argmax())
            total, count = self.squares[site, layer]
            here = Range(site, layer, channel, float(channels[channel]), math.sqrt(total / count))
            if site not in best or here.largest > best[site].largest:
                best[site] = here
        return list(best.values())


def observe(
    checkpoint: Checkpoint, tokens: Tensor, gains: str, progress: Callable[[int, int], None] | None = None
) -> Ranges:
    """Run the float model on `tokens` [sequences, positions], a layer in memory at a time, noting all ranges.

    progress: called with the layers done and all, the head counted as one.
    """
    model, ranges = checkpoint.model, Ranges(gains)
    kinds = {tensor.name: tensor.kind for tensor in model.matrices()}
    x, count = ranges.residual(embedded(checkpoint, tokens)), len(model.layers)
    for number in range(count):
        ranges.layer, layer = number, load_layer(checkpoint, number)
        ranges.matrices = {known: kinds[name] for known, name in weights_of(layer, number).items() if name in kinds}
        x = run_layer(checkpoint, number, layer, x, ranges)
        if progress:
            progress(number + 1, count + 1)
    ranges.layer = None
    observe_head(checkpoint, model, x, ranges)
    if progress:
        progress(count + 1, count + 1)
    return ranges


def observe_head(checkpoint: Checkpoint, model: ModelShape, x: Tensor, ranges: Ranges) -> None:
    norm, head = final_norm(checkpoint), checkpoint.tensor(HEAD).float()
    ranges.matrices = {id(head): "logits"}
    for part in x.split(1):  # logits of a large vocabulary are larger than anything else
        packet, gain = ranges.norm(norm, part)
        ranges.linear(packet, head, gain)
