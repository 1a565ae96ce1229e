"""What decides a prediction: the largest logit and its token; with noise, the token of the largest sum of both."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, ShapeLike, Signal, Value, signed
from amaranth.lib import data

from hardloom.gen.units.softmax import largest
from hardloom.gen.units.suppress import ranks

__all__ = ["Best", "best_lane", "best_of", "candidate", "keep_better"]

Best = dict[str, Value]
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


def best_lane(m: Module, x: Any, lanes: range) -> tuple[Best, Value]:
    """The candidate of these lanes of a beat, without its token, and which of them, from 0, has it."""
    values = ranks(x)[lanes.start : lanes.stop]
    if "rank" not in x.shape().members:
        value, lane = largest(m, [(v, k) for k, v in enumerate(values)])
        return {"value": value}, lane
    bits = max(1, (len(lanes) - 1).bit_length())
    rank, told = largest(m, [(x.rank[n], Cat(Const(k, bits), x.data[n])) for k, n in enumerate(lanes)])
    value, _ = largest(m, [(v, Const(0)) for v in values])
    return {"value": value, "rank": rank, "logit": told[bits:].as_signed()}, told[:bits]


def best_of(m: Module, some: Sequence[Any]) -> Best:
    """Of candidates, the first of the best."""
    if "rank" not in some[0].shape().members:
        value, token = largest(m, [(one.value, one.token) for one in some])
        return {"value": value, "token": token}
    bits = len(some[0].token)
    rank, told = largest(m, [(one.rank, Cat(one.token, one.logit)) for one in some])
    value, _ = largest(m, [(one.value, Const(0)) for one in some])
    return {"value": value, "token": told[:bits], "rank": rank, "logit": told[bits:].as_signed()}


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
