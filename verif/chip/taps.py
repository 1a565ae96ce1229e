"""What the taps of the bench saw at the probe points: integers by pass, and the clock cycles of transfers."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from hardloom.gen.stream.probe import Probe

__all__ = ["SPAN", "packet_times", "read_taps"]

SPAN = "span"
"""The probe that says which positions a pass has, where that is not all of them."""


def read_taps(text: bytes, probes: list[Probe], positions: list[int]) -> list[dict[str, np.ndarray]]:
    """What the taps saw, a dictionary a pass: probe name to int64 [positions, elements of all packets].

    positions: the length of the sequence in each pass, in the order in which they were sent. A pass that broke off has
    fewer rows at its end; probes behind the head's gate have as many as the probe `wanted` has ones; where there is a
    probe `span`, a pass has the positions that it says alone.
    """
    lines: list[list[bytes]] = [[] for _ in probes]
    for number, word in re.findall(rb"^(\d+) ([0-9a-f]+)$", text, re.MULTILINE):
        lines[int(number)].append(word)
    spans = _spans(probes, lines, positions)
    passes: list[dict[str, np.ndarray]] = [{} for _ in positions]
    shared: dict[str, list[_Shared]] = {}
    for probe, words in sorted(zip(probes, lines, strict=True), key=lambda pair: pair[0].wanted):
        flat, start = _elements(words, probe), 0
        if probe.share[1] > 1:
            shared.setdefault(probe.name, []).append(_Shared(probe, flat))
            continue
        for values, span, length in zip(passes, spans, positions, strict=True):
            rows, width = [], probe.elements or length
            for elements, same in _runs(probe, _rows_of(probe, span, values), length):
                beats = -(-elements // _each(probe)) * probe.packets * -(-same // probe.positions)
                rows.append(_rows(flat[start : start + beats], probe, elements, width)[:same])
                start += beats
            found = np.concatenate(rows) if rows else np.zeros((0, 1), dtype=np.int64)
            before = values.get(probe.name, found[:, :0])  # elements of other tiles, of as many rows as are whole
            whole = min(len(before), len(found))
            values[probe.name] = np.concatenate([before[:whole], found[:whole]], 1)
    for values in passes:
        for name, nets in shared.items():
            values[name] = _merged(nets, values[name.partition("expert.")[0] + "router.experts"])
    return passes


def packet_times(text: bytes, probes: list[Probe], rows: Mapping[bool, int]) -> dict[str, np.ndarray]:
    """When the packets of the first pass passed the probes, int64 [packets, 2] by name: clock cycles of their first and
    last beats.

    text: of `+times`. rows: positions of the pass that have a packet at a probe, by whether it sees the wanted alone.
    Probes whose packets are as long as the sequence, and those that share a name, are left out.
    """
    cycles: list[list[int]] = [[] for _ in probes]
    for number, cycle in re.findall(rb"^(\d+) (\d+)$", text, re.MULTILINE):
        cycles[int(number)].append(int(cycle))
    names = Counter(probe.name for probe in probes)
    found = {}
    for probe, times in zip(probes, cycles, strict=True):
        if not probe.elements or names[probe.name] > 1 or probe.name == SPAN:
            continue
        beats = -(-probe.elements // _each(probe)) * probe.packets
        count = rows[probe.wanted] * beats
        found[probe.name] = np.array(times[:count], dtype=np.int64).reshape(-1, beats)[:, [0, -1]]
    return found


class _Shared:
    """What one of several nets saw that share a probe point: packets of its experts, taken one by one."""

    def __init__(self, probe: Probe, flat: np.ndarray) -> None:
        self.probe, self.start = probe, 0
        self.packets = _rows(flat, replace(probe, packets=1), probe.elements, probe.elements)

    def next(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the experts `chosen` in a pass, [positions, top_k], are its own, and the packets of these."""
        number, count = self.probe.share
        own = chosen % count == number
        first, self.start = self.start, self.start + int(own.sum())
        return own, self.packets[first : self.start]


def _merged(nets: list[_Shared], chosen: np.ndarray) -> np.ndarray:
    """Packets of a pass in the order of the experts `chosen`, int64 [positions, top_k * elements]; as many positions as
    are complete in all nets."""
    rows = np.zeros((*chosen.shape, nets[0].packets.shape[1]), dtype=np.int64)
    complete = len(chosen)
    for net in nets:
        own, packets = net.next(chosen)
        places = np.argwhere(own)
        rows[tuple(places[: len(packets)].T)] = packets
        complete = min([complete, *places[len(packets) : len(packets) + 1, 0]])
    return rows.reshape(len(chosen), -1)[:complete]


def _spans(probes: list[Probe], lines: list[list[bytes]], positions: list[int]) -> list[range]:
    """Positions of each pass: what the probe `span` says, none of a pass that it does not know; all without one."""
    for probe, words in zip(probes, lines, strict=True):
        if probe.name == SPAN:
            said = [range(first, stop) for first, stop in _elements(words, probe).tolist()]
            return [*said[: len(positions)], *[range(0)] * (len(positions) - len(said))]
    return [range(length) for length in positions]


def _rows_of(probe: Probe, span: range, values: dict[str, np.ndarray]) -> range:
    """Rows of a probe in a pass of these positions, of which other `values` are known: its positions, but for some."""
    if probe.name == SPAN:
        return range(1)
    return range(int(values["wanted"].sum())) if probe.wanted else span


def _runs(probe: Probe, span: range, length: int) -> Iterator[tuple[int, int]]:
    """Elements of a packet, and positions of a pass, those of `span`, that follow one another with as many; length: of
    the sequence."""
    if not probe.block:
        yield probe.elements or length, len(span)
        return
    for first in range(span.start, span.stop, probe.block):
        seen = min(first + probe.block, span.stop)
        yield seen, seen - first


def _each(probe: Probe) -> int:
    """Elements of one packet in a beat."""
    return probe.lanes // (probe.banks * probe.positions)


def _rows(flat: np.ndarray, probe: Probe, elements: int, width: int) -> np.ndarray:
    """Beats of a pass, int64 [beats, lanes], to packets of `elements`, int64 [positions, packets * `width`]: with zeros
    for the positions that a block does not see."""
    each = _each(probe)
    beats = -(-elements // each)
    groups = len(flat) // (beats * probe.packets)  # of positions side by side, those that are complete
    shape = groups, probe.packets, beats, probe.positions, probe.banks, each
    packets = flat[: groups * probe.packets * beats].reshape(shape).transpose(0, 3, 1, 4, 2, 5)
    rows = packets.reshape(groups * probe.positions, probe.packets, probe.banks, beats * each)[..., :elements]
    padded = np.pad(rows, ((0, 0), (0, 0), (0, 0), (0, width - elements)))
    return padded.reshape(-1, probe.packets * probe.banks * width)


def _elements(words: list[bytes], probe: Probe) -> np.ndarray:
    """Hex payloads to int64 [beats, lanes]."""
    if not words:
        return np.zeros((0, probe.lanes), dtype=np.int64)
    digits = len(words[0]) + len(words[0]) % 2
    raw = np.frombuffer(bytes.fromhex(b"".join(w.rjust(digits, b"0") for w in words).decode()), dtype=np.uint8)
    bits = np.unpackbits(raw.reshape(len(words), -1)[:, ::-1], axis=1, bitorder="little")
    bits = bits[:, : probe.width * probe.lanes].reshape(len(words), probe.lanes, -1)
    values = bits.astype(np.int64) @ (1 << np.arange(probe.width, dtype=np.int64))
    return values - (bits[:, :, -1].astype(np.int64) << probe.width) if probe.signed else values
