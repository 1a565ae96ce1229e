"""Bench of `gen.units.attention`."""

import torch
from torch import Generator, Tensor

from gen.units.attention import Attention
from golden.units.attention import Attention as AttentionSpec
from golden.units.fixed import FixedPoint
from golden.units.quantize import Quantize
from verif.streams.bench import Case, Packet, Stimulus, packets
from verif.streams.stimulus import integers

__all__ = ["CASES"]


Vectors = tuple[Tensor, Tensor]
"""Elements, int64 [heads, positions, head_dim], and scales, [heads, positions, 1]."""


def _largest_scale(made: Quantize) -> int:
    """That its field holds, which is more than a packet ever has."""
    return (1 << made.scale_width) - 1


def _random(generator: Generator, made: Quantize, shape: tuple[int, int, int], scales: tuple[int, int]) -> Vectors:
    """Vectors whose scales lie within 3 of each other, somewhere in `scales`."""
    base = integers(generator, scales[0], scales[1] - 3, ())
    return integers(generator, -made.limit, made.limit, shape), base + integers(generator, 0, 3, (*shape[:2], 1))


def _random_pass(
    generator: Generator, spec: AttentionSpec, shape: tuple[int, int, int]
) -> tuple[Vectors, Vectors, Vectors]:
    usual = (spec.word.frac - 11, spec.word.frac - 3)
    q, k = _random(generator, spec.query, shape, usual), _random(generator, spec.key, shape, usual)
    return q, k, _random(generator, spec.value, shape, (0, _largest_scale(spec.value)))


def _corner_passes(
    generator: Generator, spec: AttentionSpec, shape: tuple[int, int, int]
) -> list[tuple[Vectors, Vectors, Vectors]]:
    """Ties, both ends of the score, lone winners, small products of large scales, every mixture of value scales, both
    ends of the output."""

    def same(value: int, scale: int) -> Vectors:
        return torch.full(shape, value), torch.full((*shape[:2], 1), scale)

    def either(*values: int) -> Tensor:
        return torch.tensor(values)[integers(generator, 0, len(values) - 1, (*shape[:2], 1))]

    q, k, v = spec.query.limit, spec.key.limit, spec.value.limit
    q_top, k_top, v_top = (_largest_scale(made) for made in (spec.query, spec.key, spec.value))
    random, other, values = _random_pass(generator, spec, shape)
    k_scales, v_scales = (integers(generator, 0, top, (*shape[:2], 1)) for top in (k_top, v_top))
    signs, real = either(k, -k).expand(shape), spec.word.width - 7
    unit = torch.nn.functional.one_hot(torch.zeros(shape[:2], dtype=torch.int64), shape[2])
    steps = unit * (1 - torch.arange(shape[1]) % 3)[:, None]
    return [
        (same(q, min(real, q_top)), same(k, min(real, k_top)), same(v, v_top)),
        (same(q, q_top), same(-k, k_top), same(-v, v_top)),
        (same(0, 0), other, (values[0], v_scales)),
        (same(q, q_top), (signs, either(k_top)), (values[0], v_scales)),
        (random, other, (values[0], either(0, v_top))),
        (same(-q, 0), (signs, either(0, k_top)), same(1, 0)),
        (random, (other[0], k_scales), same(-v, min(16, v_top))),
        ((unit, either(q_top)), (steps, either(8)), (values[0], either(min(16, v_top)))),
        ((unit, either(q_top)), (steps, either(k_top)), (values[0], either(min(16, v_top)))),
    ]


def _stimulus(spec: AttentionSpec, lanes: int, passes: list[tuple[Vectors, Vectors, Vectors]], held: int) -> Stimulus:
    """Passes one after the other, of which so many are held at once."""
    inputs: dict[str, list[Packet]] = {name: [] for name in ("q", "k", "v", "q_ends", "k_ends", "v_ends")}
    outputs: list[Packet] = []
    cycles = waiting = 0
    for vectors in passes:
        for name, (x, scale) in zip("qkv", vectors, strict=True):
            inputs[name] += packets(x.transpose(0, 1).flatten(0, 1), lanes, scale.transpose(0, 1).flatten(0, 1))
            inputs[f"{name}_ends"] += [[0]] * (x.shape[1] - 1) + [[1]]
        expected = spec.compute(*vectors[0], *vectors[1], *vectors[2])
        outputs += packets(expected.transpose(0, 1).flatten(1), lanes)
        heads, positions, head_dim = expected.shape
        fill, slowest = positions * heads * head_dim // lanes, max(positions, head_dim // lanes + 2)
        cycles += max(fill, waiting)
        waiting = positions * heads * slowest
        if held == 1:
            cycles, waiting = cycles + waiting, 0
        cycles += positions + head_dim // lanes + 20
    return Stimulus(inputs, {"o": outputs}, cycles=cycles + waiting)


def _equal_passes(lanes: int, spec: AttentionSpec, heads: int, max_positions: int) -> Case:
    """Passes of one length, one held at a time."""

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        positions = max_positions if kind == "corners" else int(integers(generator, 1, max_positions, ()))
        shape = (heads, positions, spec.head_dim)
        random = [_random_pass(generator, spec, shape) for _ in range(3)]
        return _stimulus(spec, lanes, _corner_passes(generator, spec, shape) if kind == "corners" else random, 1)

    return Case(
        f"attention_{lanes}x{spec.head_dim}_{spec.word.width}",
        lambda: Attention(spec, heads, lanes, max_positions),
        stimulus,
        latency=0,
    )


def _changing_passes(lanes: int, head_dim: int, heads: int, max_positions: int, held: int) -> Case:
    """Passes of different lengths, one after the other."""
    spec = AttentionSpec(head_dim)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        random = integers(generator, 1, max_positions, (4,)).tolist()
        lengths = [1, max_positions, 2, 1, max_positions - 1] if kind == "corners" else random
        passes = [_random_pass(generator, spec, (heads, positions, head_dim)) for positions in lengths]
        return _stimulus(spec, lanes, passes, held)

    return Case(
        f"attention_{held}_passes_{lanes}x{head_dim}",
        lambda: Attention(spec, heads, lanes, max_positions, held),
        stimulus,
        latency=0,
    )


def _other(head_dim: int, word: FixedPoint, score: FixedPoint, bits: tuple[int, int, int]) -> AttentionSpec:
    """Of words, and of bits of q, k and v, that are not the usual ones."""
    q, k, v = (Quantize(word, width) for width in bits)
    return AttentionSpec(head_dim, None, word, score, q, k, v)


CASES = [
    _equal_passes(4, AttentionSpec(16), 2, 12),
    _equal_passes(1, AttentionSpec(34), 1, 3),
    _equal_passes(1, AttentionSpec(2), 1, 1),
    _equal_passes(2, _other(8, FixedPoint(36, 16), FixedPoint(20, 9), (10, 6, 4)), 1, 3),
    _equal_passes(2, _other(4, FixedPoint(24, 12), FixedPoint(24, 12), (6, 8, 12)), 2, 2),
    _changing_passes(2, 12, 3, 5, 1),
    _changing_passes(4, 8, 2, 16, 1),
    _changing_passes(2, 12, 3, 5, 2),
    _changing_passes(4, 8, 2, 16, 2),
]
