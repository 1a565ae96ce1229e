"""Plays packets into a unit's streams and compares what comes out, beat by beat; for cocotb tests."""

import random
from collections.abc import Callable, Iterator

from amaranth.hdl import Shape
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time

from hardloom.verif.streams.bench import Case, Port, Stimulus, pack, ports, unpack

__all__ = ["STEP", "Mismatch", "Player", "always", "sometimes"]

CLOCK_NS = 1
STEP = Timer(500 * CLOCK_NS, "ps")
"""Half a clock cycle."""
IDLE_LIMIT = 20000
"""Cycles without any transfer after which a unit counts as stuck."""
EXTRA = 50
"""Cycles after the last expected beat in which no other may come."""


SHOWN = 4
"""Elements of a wrong beat that its message has."""


def now() -> str:
    return f"at {get_sim_time('ns'):g} ns"


class Mismatch(AssertionError):
    """The first difference between a unit's output and the golden unit's."""


class Player:
    """Clocks one unit, plays a stimulus into it and compares every beat that comes out.

    Parameters
    ----------
    dut: the simulator's handle of the bench.
    case: what to drive.
    """

    def __init__(self, dut, case: Case) -> None:
        self.dut, self.case = dut, case
        self.ports = {port.name: port for port in ports(case.component())}
        self.cycle = 0
        self.parts: list[Source | Sink] = []

    def signal(self, name: str):
        return getattr(self.dut, f"{self.case.name}__{name}")

    async def tick(self) -> None:
        self.signal("clk").value = 1
        await STEP
        self.signal("clk").value = 0
        self.cycle += 1

    async def reset(self) -> None:
        for port in self.ports.values():
            if port.is_stream:
                self.signal(f"{port.name}__{'valid' if port.is_input else 'ready'}").value = 0
        self.signal("clk").value = 0
        self.signal("rst").value = 1
        await STEP
        await self.tick()
        self.signal("rst").value = 0
        await STEP

    async def play(
        self,
        stimulus: Stimulus,
        valid: Callable[[], bool],
        ready: Callable[[], bool],
        limit: int | None = None,
        asked: bool = False,
    ) -> int:
        """Until all outputs have come (or `limit` cycles have passed); gives the cycles from first beat to last.

        asked: nobody shows that he is ready before a beat is there, as a unit whose clock stands until then.
        """
        for name, value in stimulus.constants.items():
            self.signal(name).value = value
        sources = [Source(self, self.ports[name], beats, valid) for name, beats in stimulus.inputs.items()]
        sinks = [Sink(self, self.ports[name], beats, ready, asked) for name, beats in stimulus.outputs.items()]
        self.parts = [*sources, *sinks]
        first: int | None = None
        begin = moved = self.cycle
        patience = IDLE_LIMIT
        while self.cycle < moved + patience and (limit is None or self.cycle < begin + limit):
            for part in self.parts:
                part.drive()
            await STEP
            if any([part.sample() for part in self.parts]):
                first, moved = self.cycle if first is None else first, self.cycle
                patience = IDLE_LIMIT if any(sink.left for sink in sinks) else EXTRA
            await self.tick()
        if limit is None and any(sink.left for sink in sinks):
            raise Mismatch(f"{self.case.name}: stuck {now()}, {'; '.join(part.progress() for part in self.parts)}")
        return moved + 1 - (begin if first is None else first)


class Source:
    """Offers the packets of one input stream; an offered beat stays until it is taken."""

    def __init__(self, player: Player, port: Port, packets: list, valid: Callable[[], bool]) -> None:
        self.name = f"{player.case.name}.{port.name}"
        self.words = [pack(port.shape, beat) for packet in packets for beat in packet]
        self.next, self.offered, self.valid = 0, False, valid
        self.payload, self.valid_signal, self.ready_signal = (
            player.signal(f"{port.name}__{part}") for part in ("payload", "valid", "ready")
        )

    def progress(self) -> str:
        return f"{self.next} of {len(self.words)} beats of {self.name} were taken"

    def drive(self) -> None:
        if not self.offered:
            self.offered = self.next < len(self.words) and self.valid()
            if self.offered:
                self.payload.value = self.words[self.next]
            self.valid_signal.value = int(self.offered)

    def sample(self) -> bool:
        """Whether the beat was taken at this clock edge."""
        taken = self.offered and bool(self.ready_signal.value)
        if taken:
            self.next, self.offered = self.next + 1, False
        return taken


class Sink:
    """Takes the packets of one output stream and compares them; a beat that waits must not change. asked: as `play`."""

    def __init__(
        self, player: Player, port: Port, packets: list, ready: Callable[[], bool], asked: bool = False
    ) -> None:
        self.name, self.port, self.packets, self.ready = f"{player.case.name}.{port.name}", port, packets, ready
        self.asked = asked
        self.mask = (1 << Shape.cast(port.shape).width) - 1
        self.expected: Iterator[tuple[int, int, int]] = (
            (p, b, pack(port.shape, beat)) for p, packet in enumerate(packets) for b, beat in enumerate(packet)
        )
        self.total = self.left = sum(len(packet) for packet in packets)
        self.waiting: int | None = None
        self.payload, self.valid_signal, self.ready_signal = (
            player.signal(f"{port.name}__{part}") for part in ("payload", "valid", "ready")
        )

    def progress(self) -> str:
        return f"{self.total - self.left} of {self.total} beats of {self.name} came"

    def _wrong(self, what: str) -> Mismatch:
        return Mismatch(f"{self.name}: {what}, {now()}; {self.progress()}")

    def drive(self) -> None:
        self.accept = self.ready() and not (self.asked and self.waiting is None)
        self.ready_signal.value = int(self.accept)

    def sample(self) -> bool:
        """Whether a beat was taken at this clock edge."""
        if not self.valid_signal.value:
            if self.waiting is not None:
                raise self._wrong("valid fell while the beat was waiting for ready")
            return False
        word = int(self.payload.value) & self.mask
        if self.waiting not in (None, word):
            raise self._wrong("the beat changed while it was waiting for ready")
        self.waiting = None if self.accept else word
        if self.accept:
            self.compare(word)
        return self.accept

    def compare(self, word: int) -> None:
        if not self.left:
            raise self._wrong(f"a beat more than the {self.total} expected")
        self.left -= 1
        packet, beat, expected = next(self.expected)
        if word != expected:
            got, want = unpack(self.port.shape, word), unpack(self.port.shape, expected)
            wrong = [key for key in want if want[key] != got[key]]
            shown = "; ".join(
                f"element {key or 'payload'}: expected {want[key]}, got {got[key]}" for key in wrong[:SHOWN]
            )
            more = f"; {len(wrong)} of {len(want)} elements differ" if len(wrong) > SHOWN else ""
            raise self._wrong(f"packet {packet}, beat {beat}, {shown}{more}")


def always() -> bool:
    return True


def sometimes(rng: random.Random) -> Callable[[], bool]:
    """True in bursts: a coin of changing weight."""
    state = {"left": 0, "weight": 0.5}

    def toss() -> bool:
        if not state["left"]:
            state.update(left=rng.randrange(1, 30), weight=rng.choice((0.1, 0.5, 0.9, 1.0)))
        state["left"] -= 1
        return rng.random() < state["weight"]

    return toss
