"""Benches of `gen.units.flow`, and of `gen.stream.stream.Skid`."""

from functools import partial

import torch
from torch import Generator

from hardloom.gen.stream.stream import Skid, activations
from hardloom.gen.units.flow import MOST_VECTOR, Broadcast, Collect, Dispatch, Fork, HeadSplit, Route, job
from hardloom.gen.units.router import choice
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.router import Router as RouterSpec
from hardloom.verif.streams.bench import Case, Packet, Stimulus, packets
from hardloom.verif.streams.stimulus import Flat, integers

__all__ = ["CASES"]


def vectors(generator: Generator, count: int, lanes: int, beats: int) -> list[Packet]:
    """Packets of random elements of 8 bits and scales of 5."""
    return packets(
        integers(generator, -128, 127, (count, beats * lanes)), lanes, integers(generator, 0, 31, (count, 1))
    )


def experts(generator: Generator, kind: str, count: int, num_experts: int) -> list[int]:
    """A sequence of experts: random, or for long one and the same, then each in turn ("corners")."""
    if kind == "corners":
        return [num_experts - 1] * (count // 2) + [k % num_experts for k in range(count - count // 2)]
    return integers(generator, 0, num_experts - 1, (count,)).tolist()


def jobs_of(generator: Generator, chosen: list[int], biased: bool = False) -> list[dict[str, int]]:
    low, high = (-(1 << 24), (1 << 24) - 1) if biased else (0, 65536)
    weights = integers(generator, low, high, (len(chosen),)).tolist()
    return [{"expert": e, "weight": w} for e, w in zip(chosen, weights, strict=True)]


def _fork(count: int) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        sent = vectors(generator, 12, 2, 1 if kind == "corners" else 3)
        return Stimulus({"i": sent}, {f"o_{k}": sent for k in range(count)})

    return Case(f"fork_{count}", lambda: Flat(Fork(activations(Quantize(), 2), count)), stimulus, 0)


def _skid() -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        sent = vectors(generator, 12, 2, 1 if kind == "corners" else 3)
        return Stimulus({"i": sent}, {"o": sent})

    return Case("skid", lambda: Skid(activations(Quantize(), 2)), stimulus, 0)


def _head_split(lanes: int, head_beats: int, heads: int, count: int = 3) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        sent = vectors(generator, 6, count * lanes, heads * head_beats)
        flat = [part["data"] for packet in sent for part in packet]
        banks = []
        for bank in range(count):
            parts = [{"data": row[bank * lanes : (bank + 1) * lanes]} for row in flat]
            found = [parts[k : k + head_beats] for k in range(0, len(parts), head_beats)]
            banks.append([[*head[:-1], head[-1] | {"last": 1}] for head in found])
        return Stimulus({"i": sent}, {f"o_{bank}": found for bank, found in enumerate(banks)})

    name = f"head_split_{lanes}x{head_beats}_{count}"
    return Case(name, lambda: Flat(HeadSplit(8, lanes, head_beats, count)), stimulus, 0)


def _jobs(num_experts: int, readers: int, depth: int, biased: bool = False) -> Case:
    task = job(choice(RouterSpec(num_experts, 1, biased)), num_experts)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        sent = [[given] for given in jobs_of(generator, experts(generator, kind, 40, num_experts), biased)]
        return Stimulus({"i": sent}, {f"o_{k}": sent for k in range(readers)})

    name = f"jobs_{num_experts}x{readers}" + "_biased" * biased
    return Case(name, lambda: Flat(Broadcast(task, readers, depth)), stimulus, 3)


def _dispatch(num_experts: int, top_k: int, beats: int, groups: int = 1, biased: bool = False) -> Case:
    """Tokens at `top_k` different experts each; "corners": most at the same ones."""
    lanes, chosen = 2, choice(RouterSpec(num_experts, top_k, biased))

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        count = 12
        sent = vectors(generator, count, lanes, beats)
        turns = [torch.randperm(num_experts, generator=generator)[:top_k].tolist() for _ in range(count)]
        turns = [turns[0] if kind == "corners" and k % 4 else turn for k, turn in enumerate(turns)]
        weights = [[task["weight"] for task in jobs_of(generator, turn, biased)] for turn in turns]
        choices = [[{"experts": turn, "weights": each}] for turn, each in zip(turns, weights, strict=True)]
        outputs: dict[str, list[Packet]] = {f"o_{e}": [] for e in range(num_experts)}
        outputs |= {f"jobs_{g}": [] for g in range(groups)}
        for packet, turn, each in zip(sent, turns, weights, strict=True):
            finals = {e % groups: e for e in turn}.values()
            for e, weight in zip(turn, each, strict=True):
                outputs[f"o_{e}"].append(packet)
                task = {"expert": e // groups, "weight": weight, "final": e in finals}
                outputs[f"jobs_{e % groups}"].append([task])
        return Stimulus({"i": sent, "choice": choices}, outputs, cycles=count * max(beats, top_k + 1))

    name = f"dispatch_{num_experts}_{top_k}x{beats}_{groups}" + "_biased" * biased
    unit = partial(Dispatch, activations(Quantize(), lanes), chosen, num_experts, groups)
    return Case(name, lambda: Flat(unit()), stimulus, 0)


def _route(num_experts: int) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        chosen, sent = experts(generator, kind, 20, num_experts), vectors(generator, 20, 2, 3)
        into = [[{"expert": e, "beat": part} for part in p] for e, p in zip(chosen, sent, strict=True)]
        parts = {f"o_{e}": [p for c, p in zip(chosen, sent, strict=True) if c == e] for e in range(num_experts)}
        return Stimulus({"i": into}, parts)

    return Case(f"route_{num_experts}", lambda: Flat(Route(activations(Quantize(), 2), num_experts), "i"), stimulus, 0)


def _collect(num_experts: int, beats: int, most_vector: int = MOST_VECTOR) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        chosen, sent = experts(generator, kind, 20, num_experts), vectors(generator, 20, 2, beats)
        inputs = {f"i_{e}": [p for c, p in zip(chosen, sent, strict=True) if c == e] for e in range(num_experts)}
        inputs["jobs"] = [[task] for task in jobs_of(generator, chosen)]
        given = [[{"expert": e, "beat": part} for part in p] for e, p in zip(chosen, sent, strict=True)]
        return Stimulus(inputs, {"o": given})

    task = job(choice(RouterSpec(num_experts, 1)), num_experts)
    unit = partial(Collect, activations(Quantize(), 2), num_experts, task, most_vector)
    name = f"collect_{num_experts}x{beats}" + f"_in_{most_vector}" * (most_vector != MOST_VECTOR)
    return Case(name, lambda: Flat(unit(), "o"), stimulus, 0)


CASES = [
    _skid(),
    *(_fork(1), _fork(2), _fork(5)),
    *(_head_split(2, 3, 2), _head_split(1, 1, 3), _head_split(2, 2, 3, 1), _head_split(2, 1, 2, 2)),
    *(_jobs(5, 4, 8), _jobs(1, 1, 4), _jobs(5, 2, 4, biased=True)),
    *(_dispatch(5, 2, 3), _dispatch(3, 3, 1), _dispatch(8, 1, 4), _dispatch(1, 1, 2), _dispatch(5, 2, 3, biased=True)),
    *(_dispatch(8, 3, 5, groups=2), _dispatch(6, 2, 4, groups=3), _dispatch(4, 4, 2, groups=4)),
    *(_route(5), _route(1)),
    *(_collect(5, 3), _collect(4, 1), _collect(1, 2), _collect(5, 3, 32), _collect(3, 2, 3)),
]
