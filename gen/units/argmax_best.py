"""What decides a prediction: the largest logit and its token; with noise, the token of the largest sum of both."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Shape, ShapeLike, Signal, Value, ValueLike, signed, unsigned
from amaranth.lib import data

from hardloom.gen.units.softmax import largest
from hardloom.gen.units.suppress import ranks

__all__ = ["Best", "best_of", "candidate", "keep_better", "lane_bests", "lane_number", "merge_best"]

Best = dict[str, ValueLike]
"""Members of a `candidate`."""


def candidate(beat: data.StructLayout, token: ShapeLike) -> data.StructLayout:
    """Of a `gen.units.suppress.marked_beat`: `value`, its largest logit, and that one's `token`.

    Of a `gen.units.gumbel.ranked_beat`: `value`, likewise; `rank`, the largest, its `token` and that one's `logit`.
    """
    element = beat.members["data"].elem_shape
    members = {"value": signed(element.width + 1), "token": token}
    if "rank" in beat.members:
        members |= {"rank": beat.members["rank"].elem_shape, "logit": element}
    return data.StructLayout(members)


def lane_bests(x: Any, lanes: range) -> list[Best]:
    """Of each of these lanes of a beat its candidate, whose token is the lane's number among them."""
    values = ranks(x)[lanes.start : lanes.stop]
    if "rank" not in x.shape().members:
        return [{"value": value, "token": k} for k, value in enumerate(values)]
    bits = lane_number(len(lanes)).width
    others = [(Const(k, bits), x.rank[n], x.data[n]) for k, n in enumerate(lanes)]
    names = "value", "token", "rank", "logit"
    return [dict(zip(names, (value, *other), strict=True)) for value, other in zip(values, others, strict=True)]


def lane_number(lanes: int) -> Shape:
    """The token of the candidates of so many lanes."""
    return unsigned(max(1, (lanes - 1).bit_length()))


def best_of(m: Module, some: Sequence[Any]) -> Best:
    """Of candidates, of `lane_bests` or in registers, the first of the best."""
    given = [one if isinstance(one, dict) else {name: one[name] for name in one.shape().members} for one in some]
    if "rank" not in given[0]:
        value, token = largest(m, [(one["value"], one["token"]) for one in given])
        return {"value": value, "token": token}
    bits = len(given[0]["token"])
    rank, told = largest(m, [(one["rank"], Cat(one["token"], one["logit"])) for one in given])
    value, _ = largest(m, [(one["value"], Const(0)) for one in given])
    return {"value": value, "rank": rank, "logit": told[bits:].as_signed(), "token": told[:bits]}


def merge_best(m: Module, some: Sequence[Any], y: Any) -> None:
    """Drive `y`, a candidate, with `best_of`."""
    m.d.comb += [y[name].eq(value) for name, value in best_of(m, some).items()]


def keep_better(m: Module, first: Value, new: Best, old: Any, in_order: bool) -> dict[str, tuple[Value, Value]]:
    """Of each member of a candidate whether the new one takes its place, and what then; `first`: whatever the old is.

    in_order: tokens come in ascending order, so that of equals the old one stays; else that of the lowest token does.
    """
    ranked = "rank" in new
    by = "rank" if ranked else "value"
    better = Signal()
    taken = first | (new[by] > old[by])
    if not in_order:
        taken |= (new[by] == old[by]) & (new["token"] < old.token)
    m.d.comb += better.eq(taken)
    kept: dict[str, tuple[Value, Value]] = {name: (better, value) for name, value in new.items()}
    if ranked:
        higher = Signal()
        m.d.comb += higher.eq(first | (new["value"] > old.value))
        kept["value"] = higher, new["value"]
    return kept
