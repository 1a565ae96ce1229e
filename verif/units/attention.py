"""Bench of `gen.units.attention`."""

from collections import defaultdict
from typing import Any

import torch
from torch import Generator, Tensor

from hardloom.gen.units.attention import Attention
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.golden.units.attention import Attention as AttentionSpec
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.quantize import Quantize
from hardloom.verif.streams.bench import Case, Packet, Stimulus, packets
from hardloom.verif.streams.stimulus import integers

__all__ = ["CASES", "stimulus_of"]


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


def _stimulus(sizes: AttentionSizes, passes: list[tuple[Vectors, Vectors, Vectors]]) -> Stimulus:
    """Passes one after the other."""
    inputs: dict[str, list[Packet]] = {name: [] for name in ("q", "k", "v", "q_ends", "k_ends", "v_ends")}
    outputs: list[Packet] = []
    cycles = waiting = 0
    for full in passes:
        vectors = [full[0], *((x[:: sizes.shared], scale[:: sizes.shared]) for x, scale in full[1:])]
        for name, (x, scale) in zip("qkv", vectors, strict=True):
            inputs[name] += packets(x.transpose(0, 1).flatten(0, 1), sizes.lanes, scale.transpose(0, 1).flatten(0, 1))
            inputs[f"{name}_ends"] += [[0]] * (x.shape[1] - 1) + [[1]]
        q, k, v = (tuple(part.repeat_interleave(sizes.heads // len(part), 0) for part in pair) for pair in vectors)
        expected = sizes.spec.compute(q[0], q[1], k[0], k[1], v[0], v[1])
        outputs += packets(expected.transpose(0, 1).flatten(1), sizes.lanes)
        positions = expected.shape[1]
        cycles += max(positions * sizes.heads * sizes.beats, waiting)
        waiting = _walked(sizes, positions)
        if sizes.passes == 1:
            cycles, waiting = cycles + waiting, 0
        cycles += positions + _last_group(sizes, positions) + 20
    return Stimulus(inputs, {"o": outputs}, cycles=cycles + waiting)


def _walked(sizes: AttentionSizes, positions: int) -> int:
    """Cycles of all groups of a pass, each as many as it sees keys, or as its quotients take."""
    firsts = range(0, positions, sizes.query_lanes)
    keys = [sizes.spec.keys_of(first + 1, positions) for first in firsts]
    quotients = [min(sizes.query_lanes, positions - first) * sizes.head_lanes * sizes.beats + 2 for first in firsts]
    return sizes.groups * sum(map(max, keys, quotients))


def _last_group(sizes: AttentionSizes, positions: int) -> int:
    """Beats that follow the last key: of a group's quotients, or of all positions that come in order behind it."""
    queries = min(sizes.query_lanes, positions)
    return (1 + queries) * sizes.heads * sizes.beats if sizes.interleaved else sizes.pairs * sizes.beats


def _named(name: str, sizes: AttentionSizes) -> str:
    """By its widths and what is done at once: attention_2x12_2_3 has beats of 2 and heads of 12, and 2 heads and 3
    queries at work."""
    at_once = "".join(f"_{count}" for count in (sizes.head_lanes, sizes.query_lanes) if sizes.pairs > 1)
    at_once += f"_shared_by_{sizes.shared}" * (sizes.shared > 1)
    at_once += f"_blocks_of_{sizes.spec.block_length}" * (sizes.spec.block_length is not None)
    return f"{name}_{sizes.lanes}x{sizes.spec.head_dim}{at_once}"


def _equal_passes(sizes: AttentionSizes) -> Case:
    """Passes of one length."""
    spec, most = sizes.spec, sizes.max_positions

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        shape = (sizes.heads, most if kind == "corners" else int(integers(generator, 1, most, ())), spec.head_dim)
        random = [_random_pass(generator, spec, shape) for _ in range(3)]
        return _stimulus(sizes, _corner_passes(generator, spec, shape) if kind == "corners" else random)

    return Case(_named(f"attention_{spec.word.width}", sizes), lambda: Attention(sizes), stimulus, latency=0)


def stimulus_of(generator: Generator, sizes: AttentionSizes, lengths: list[int]) -> Stimulus:
    """Random passes of so many positions each."""
    return _stimulus(
        sizes, [_random_pass(generator, sizes.spec, (sizes.heads, n, sizes.spec.head_dim)) for n in lengths]
    )


def _changing_passes(sizes: AttentionSizes) -> Case:
    """Passes of different lengths, one after the other."""
    most = sizes.max_positions

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        random = integers(generator, 1, most, (4,)).tolist()
        return stimulus_of(generator, sizes, [1, most, 2, 1, most - 1] if kind == "corners" else random)

    name = _named(f"attention_{sizes.passes}_passes", sizes)
    return Case(name, lambda: Attention(sizes), stimulus, latency=0)


def _other(head_dim: int, word: FixedPoint, score: FixedPoint, bits: tuple[int, int, int]) -> AttentionSpec:
    """Of words, and of bits of q, k and v, that are not the usual ones."""
    q, k, v = (Quantize(word, width) for width in bits)
    return AttentionSpec(head_dim, None, word, score, q, k, v)


def _told(inputs: dict[str, list[Packet]], sizes: AttentionSizes, fresh: list[Vectors], span: dict[str, int]) -> None:
    """What comes of a pass: its queries, keys and values, and which part of a sequence they are."""
    for name, (x, scale) in zip("qkv", fresh, strict=True):
        x, scale = (part.transpose(0, 1).flatten(0, 1) for part in (x, scale))
        inputs[name] += packets(x, sizes.lanes, scale)
        inputs[f"{name}_ends"] += [[0]] * (span["stop"] - span["first"] - 1) + [[1]]
        if name != "q":
            inputs[f"{name}_spans"].append([span])


def _kept_passes(sizes: AttentionSizes) -> Case:
    """Passes of parts of sequences, whose slots keep the keys and values of the positions before; never two of one slot
    after each other where there are others."""
    spec, block, most = sizes.spec, sizes.spec.block_length or 1, sizes.max_positions

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        inputs: dict[str, list[Packet]] = defaultdict(list)
        outputs: list[Packet] = []
        nothing = [(torch.zeros(1, 0, 1), torch.zeros(1, 0, 1))] * 2
        kept: list[Any] = [nothing] * sizes.slots
        cycles = slot = 0
        for _ in range(12):
            slot = (slot + int(integers(generator, 1, max(1, sizes.slots - 1), ()))) % sizes.slots
            known = kept[slot][0][0].shape[1]
            first = block * int(integers(generator, 0, min(known, most - 1) // block, ()))
            stop = int(integers(generator, first + 1, most, ()))
            q, *pairs = _random_pass(generator, spec, (sizes.heads, stop - first, spec.head_dim))
            fresh = [q, *((x[:: sizes.shared], scale[:: sizes.shared]) for x, scale in pairs)]
            _told(inputs, sizes, fresh, {"slot": slot, "first": first, "stop": stop, "seen": stop})
            kept[slot] = [_continued(old, new, first) for old, new in zip(kept[slot], fresh[1:], strict=True)]
            (k, k_scale), (v, v_scale) = (
                [part.repeat_interleave(sizes.shared, 0) for part in pair] for pair in kept[slot]
            )
            expected = spec.compute(q[0], q[1], k, k_scale, v, v_scale, first)
            outputs += packets(expected.transpose(0, 1).flatten(1), sizes.lanes)
            cycles += 2 * stop + 2 * (stop - first) * sizes.heads * (stop + 2 * sizes.beats + 2) + 60
        return Stimulus(inputs, {"o": outputs}, cycles=cycles)

    name = _named(f"attention_{sizes.slots}_kept_{sizes.passes}_passes", sizes)
    return Case(name, lambda: Attention(sizes), stimulus, latency=0)


def _near_passes(sizes: AttentionSizes) -> Case:
    """Passes of parts of sequences in which all positions see each other: behind a pass of the whole sequence in a slot
    parts of it from anywhere to anywhere, often its beginning or its end."""
    spec, most = sizes.spec, sizes.max_positions

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        inputs: dict[str, list[Packet]] = defaultdict(list)
        outputs: list[Packet] = []
        kept: dict[int, list[Vectors]] = {}
        tops: dict[int, Tensor] = {}
        cycles = slot = 0
        for _ in range(14):
            slot = (slot + int(integers(generator, 1, max(1, sizes.slots - 1), ()))) % sizes.slots
            if slot not in kept or not int(integers(generator, 0, 3, ())):
                seen = most if kind == "corners" else int(integers(generator, 1, most, ()))
                first, stop, anew = 0, seen, True
            else:
                seen = kept[slot][0][0].shape[1]
                first, stop = sorted(integers(generator, -2, seen + 2, (2,)).clamp(0, seen).tolist())
                first, stop = (first, stop) if first < stop else (0, 1)
                anew = stop - first == seen
            q, *pairs = _random_pass(generator, spec, (sizes.heads, stop - first, spec.head_dim))
            fresh = [q, *((x[:: sizes.shared], scale[:: sizes.shared]) for x, scale in pairs)]
            _told(inputs, sizes, fresh, {"slot": slot, "first": first, "stop": stop, "seen": seen})
            top = fresh[2][1].amax(1, keepdim=True)
            tops[slot] = top if anew else top.maximum(tops[slot])
            if anew:
                kept[slot] = [(x.clone(), scale.clone()) for x, scale in fresh[1:]]
            for held, new in zip(kept[slot], fresh[1:], strict=True):
                for whole, part in zip(held, new, strict=True):
                    whole[:, first:stop] = part
            (k, k_scale), (v, v_scale) = (
                [part.repeat_interleave(sizes.shared, 0) for part in pair] for pair in kept[slot]
            )
            largest = tops[slot].repeat_interleave(sizes.shared, 0)
            expected = spec.compute(q[0], q[1], k, k_scale, v, v_scale, top=largest)
            outputs += packets(expected.transpose(0, 1).flatten(1), sizes.lanes)
            cycles += 2 * seen + 2 * (stop - first) * sizes.heads * (seen + 2 * sizes.beats + 2) + 60
        return Stimulus(inputs, {"o": outputs}, cycles=cycles)

    name = _named(f"attention_{sizes.slots}_near_{sizes.passes}_passes", sizes)
    return Case(name, lambda: Attention(sizes), stimulus, latency=0)


def _continued(old: Vectors, new: Vectors, first: int) -> Vectors:
    """The old ones before position `first`, then the new ones."""
    if not first:
        return new
    return torch.cat([old[0][:, :first], new[0]], 1), torch.cat([old[1][:, :first], new[1]], 1)


TWO_AT_ONCE = {"head_lanes": 2, "query_lanes": 2}
NARROW = _other(4, FixedPoint(24, 12), FixedPoint(24, 12), (6, 8, 12))

CASES = [
    _equal_passes(AttentionSizes(AttentionSpec(16), 2, 4, 12)),
    _equal_passes(AttentionSizes(AttentionSpec(34), 1, 1, 3)),
    _equal_passes(AttentionSizes(AttentionSpec(2), 1, 1, 1)),
    _equal_passes(AttentionSizes(_other(8, FixedPoint(36, 16), FixedPoint(20, 9), (10, 6, 4)), 1, 2, 3)),
    _equal_passes(AttentionSizes(NARROW, 2, 2, 2)),
    _equal_passes(AttentionSizes(AttentionSpec(8), 4, 4, 20, head_lanes=2)),
    _equal_passes(AttentionSizes(NARROW, 2, 2, 9, **TWO_AT_ONCE)),
    _changing_passes(AttentionSizes(AttentionSpec(12), 3, 2, 5)),
    _changing_passes(AttentionSizes(AttentionSpec(8), 2, 4, 16)),
    _changing_passes(AttentionSizes(AttentionSpec(12), 3, 2, 5, passes=2)),
    _changing_passes(AttentionSizes(AttentionSpec(8), 2, 4, 16, passes=2)),
    _changing_passes(AttentionSizes(AttentionSpec(12), 1, 2, 7, query_lanes=3)),
    _changing_passes(AttentionSizes(AttentionSpec(2), 3, 1, 6, query_lanes=5)),
    _changing_passes(AttentionSizes(AttentionSpec(4), 4, 2, 13, **TWO_AT_ONCE, passes=2)),
    _changing_passes(AttentionSizes(AttentionSpec(4), 6, 2, 13, head_lanes=2, query_lanes=4)),
    _changing_passes(AttentionSizes(AttentionSpec(4), 4, 2, 9, key_heads=2)),
    _changing_passes(AttentionSizes(AttentionSpec(4), 6, 4, 7, head_lanes=3, key_heads=1, passes=2)),
    _changing_passes(AttentionSizes(AttentionSpec(2), 8, 2, 6, head_lanes=4, query_lanes=2, key_heads=4)),
    _changing_passes(AttentionSizes(AttentionSpec(4, 4), 2, 2, 11)),
    _changing_passes(AttentionSizes(AttentionSpec(4, 1), 3, 4, 6, passes=2)),
    _changing_passes(AttentionSizes(AttentionSpec(4, 4), 4, 2, 14, **TWO_AT_ONCE, key_heads=2, passes=2)),
    _equal_passes(AttentionSizes(AttentionSpec(8, 3), 4, 4, 10, head_lanes=2, key_heads=2)),
    _kept_passes(AttentionSizes(AttentionSpec(4, 4), 2, 2, 11, slots=1)),
    _kept_passes(AttentionSizes(AttentionSpec(4, 1), 2, 4, 6, passes=2, slots=3)),
    _kept_passes(AttentionSizes(AttentionSpec(4, 4), 4, 2, 14, **TWO_AT_ONCE, key_heads=2, passes=2, slots=2)),
    _near_passes(AttentionSizes(AttentionSpec(4), 2, 2, 11, slots=1)),
    _near_passes(AttentionSizes(AttentionSpec(4), 4, 4, 6, passes=2, slots=3, key_heads=2)),
    _near_passes(AttentionSizes(AttentionSpec(4), 4, 2, 13, **TWO_AT_ONCE, passes=2, slots=2)),
    _near_passes(
        AttentionSizes(AttentionSpec(4), 6, 4, 9, head_lanes=3, query_lanes=4, key_heads=2, passes=2, slots=3)
    ),
]
