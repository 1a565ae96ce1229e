"""Bench of `gen.units.argmax_tiles`: beats of tiles joined and taken to their largest logit."""

import torch
from amaranth.hdl import Module
from amaranth.lib import wiring
from torch import Generator

from hardloom.gen.design import latency
from hardloom.gen.design.head_tiles import head_tiles
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import chain
from hardloom.gen.units.argmax import Argmax
from hardloom.gen.units.argmax_tiles import TileJoin
from hardloom.golden.units.argmax import Argmax as ArgmaxSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.manners import random_manners, suppressed_in
from hardloom.verif.units.argmax import logits, padded

__all__ = ["CASES"]


class Joined(Component):
    """Tiles, each a stream of its own, and the prediction that comes of them."""

    def __init__(self, lanes: int, vocab_size: int, tiles: int) -> None:
        spec = ArgmaxSpec()
        self.join = TileJoin(spec.numerator.word.width, lanes, [tile.rows for tile in head_tiles(vocab_size, tiles)])
        self.argmax = Argmax(spec, vocab_size, lanes, tiles)
        ends = {name: self.argmax.signature.members[name] for name in ("manner", "o")}
        super().__init__({n: member for n, member in self.join.signature.members.items() if n != "o"} | ends)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.tiles, m.submodules.argmax = self.join, self.argmax
        for name in self.signature.members.keys() - {"o", "manner"}:
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(self.join, name))
        wiring.connect(m, wiring.flipped(self.manner), self.argmax.manner)
        chain(m, self.join, self.argmax, wiring.flipped(self.o))
        return m


def _case(lanes: int, vocab_size: int, tiles: int) -> Case:
    spec, rows = ArgmaxSpec(), [tile.rows for tile in head_tiles(vocab_size, tiles)]

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = logits(generator, kind, vocab_size, spec.numerator)
        parts = [padded(generator, part, lanes, spec.numerator.word) for part in x.split(rows, 1)]
        given = {f"i_{tile}": packets(part, lanes) for tile, part in enumerate(parts)}
        manners = random_manners(generator, vocab_size, len(x))
        predictions = torch.stack(spec.compute(x, suppressed_in(manners, vocab_size)), -1).tolist()
        given["manner"] = manners
        return Stimulus(given, {"o": [[{"token": token, "spread": spread}] for token, spread in predictions]})

    promised = latency.argmax(-(-rows[0] // lanes), lanes, tiles)
    name = f"argmax_tiles_{lanes}x{vocab_size}_{tiles}"
    return Case(name, lambda: Joined(lanes, vocab_size, tiles), stimulus, promised + 2, alone=promised)


CASES = [_case(4, 24, 2), _case(2, 13, 3), _case(2, 17, 8), _case(32, 140, 2)]
