"""Comparisons of the argmax that decide ties, and logits for which each of them does."""

import re
from collections.abc import Iterator
from functools import partial

from torch import Generator

from hardloom.gen.design.head_tiles import TILE_FAN_IN, head_tiles, lane_steps
from hardloom.gen.design.trees import tree_levels
from hardloom.gen.stream.fold import runs
from hardloom.gen.units.argmax import Argmax
from hardloom.golden.units.argmax import Argmax as ArgmaxSpec
from hardloom.verif.faults.tie_rules import TieRule, TieUnit, draw
from hardloom.verif.streams.bench import Stimulus
from hardloom.verif.streams.manners import manner_packet
from hardloom.verif.streams.stimulus import integers
from hardloom.verif.units.argmax import side_by_side

__all__ = ["tie_argmax"]

Places = list[tuple[int, int]]
"""Lanes of a beat, each with its tile."""


def tree(leaves: int) -> list[tuple[list[int], list[int]]]:
    """What is on the left and on the right of each comparison of `gen.units.softmax.largest`, in the order made."""
    nodes, comparisons = [[leaf] for leaf in range(leaves)], []
    while len(nodes) > 1:
        pairs = list(zip(nodes[::2], nodes[1::2], strict=False))
        comparisons += pairs
        nodes = [a + b for a, b in pairs] + nodes[2 * len(pairs) :]
    return comparisons


def steps(lanes: int, tiles: int) -> list[list[range]]:
    """Which of the candidates that are left each step takes the best of: lanes of a tile, a tile's own, tiles."""
    found = [runs(count, fan_in, tiles) for count, fan_in in lane_steps(lanes, tiles)]
    rest = 1 if found else lanes
    found.append(runs(rest, rest, tiles))
    return found + [runs(count, TILE_FAN_IN) for count in (tiles, *tree_levels(tiles, TILE_FAN_IN)) if count > 1]


def comparisons(lanes: int, tiles: int) -> Iterator[tuple[str, int, Places, Places]]:
    """Those within a beat: the end of the module's name, the number there, and what is on the left and on the right."""
    held, levels = [[(tile, lane)] for tile in range(tiles) for lane in range(lanes)], steps(lanes, tiles)
    for level, taken in enumerate(levels):
        module = f"_delay_level_{level}" if tiles > 1 or level < len(levels) - 1 else "_delay"
        groups, number = [held[run.start : run.stop] for run in taken], 0
        for group in groups:
            for left_side, right_side in tree(len(group)):
                left, right = ([place for k in side for place in group[k]] for side in (left_side, right_side))
                yield module, number, left, right
                number += 1
        held = [[place for places in group for place in places] for group in groups]
    assert len(held) == 1


def tie_argmax(vocab_size: int, lanes: int, tiles: int) -> TieUnit:
    """The argmax with every comparison that can make a difference."""
    spec, parts = ArgmaxSpec(), head_tiles(vocab_size, tiles)
    word, beats = spec.numerator.word, -(-parts[0].rows // lanes)

    def token(beat: int, place: tuple[int, int]) -> int | None:
        """What passes there; None behind the end of the tile."""
        tile, at = parts[place[0]], beat * lanes + place[1]
        return tile.first + at if at < tile.rows else None

    def met(places: Places, chosen: range) -> list[tuple[int, int]]:
        """Beats and tokens that pass there."""
        found = [(beat, token(beat, place)) for beat in chosen for place in places]
        return [(beat, one) for beat, one in found if one is not None]

    def tied(pairs: list[tuple[int, int]], generator: Generator) -> Stimulus:
        logits = integers(generator, -4 << word.frac, 4 << word.frac, (1, vocab_size))
        logits[0, list(pairs[draw(generator, list(range(len(pairs))))])] = (4 << word.frac) + 1
        best, spread = (int(part) for part in spec.compute(logits))
        beats_of = side_by_side(generator, logits, lanes, tiles, word)
        inputs = {"i": beats_of, "manner": [manner_packet([], vocab_size)]}
        return Stimulus(inputs, {"o": [[{"token": best, "spread": spread}]]})

    rules = []
    for module, number, left, right in comparisons(lanes, tiles):
        some = met(left, range(beats)), met(right, range(beats))
        if pairs := [(a, b) for beat, a in some[0] for other, b in some[1] if beat == other]:
            name = f"argmax, {described(left, tiles)} before {described(right, tiles)}"
            rules.append(TieRule(name, partial(_is_later, module=module, number=number), partial(tied, pairs)))
    everywhere = met([(tile, lane) for tile in range(tiles) for lane in range(lanes)], range(beats))
    if pairs := [(a, b) for beat, a in everywhere for later, b in everywhere if beat < later and a < b]:
        name = "argmax, a beat before those after it"
        rules.append(TieRule(name, partial(_is_better, module="_delay"), partial(tied, pairs)))
    return TieUnit("tie_argmax", Argmax(spec, vocab_size, lanes, tiles), rules)


def described(places: Places, tiles: int) -> str:
    """Lanes of a tile, or whole tiles."""
    within = sorted({tile for tile, _ in places})
    lanes = f"lanes {sorted({lane for _, lane in places})}"
    return lanes if tiles == 1 else f"tiles {within}, {lanes}"


def _is_later(match: re.Match, module: str, number: int) -> bool:
    """Whether a comparison drives its module's signal `later` of this number, in the order made."""
    signal = "later" if number == 0 else f"later_{number + 1}"
    return _in_module(match, module) and match[0].split()[1] == signal


def _is_better(match: re.Match, module: str) -> bool:
    return _in_module(match, module) and not match[0].startswith("  assign later") and match["operator"] == ">"


def _in_module(match: re.Match, name: str) -> bool:
    """Whether a match is in the module whose name ends so."""
    return match.string[match.string.rfind("\nmodule ", 0, match.start()) :].split(None, 2)[1].endswith(name)
