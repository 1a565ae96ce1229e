"""The bench around the chip: its ports, and taps that record probe points from inside."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gen.design.axi_ports import AXI_LITE, STREAM_IN, STREAM_OUT
from gen.stream.probe import Probe

__all__ = ["BENCH", "PROTOCOL_CHECKER", "SPAN", "bench_verilog", "read_taps"]

BENCH = "hardloom_bench"

PROTOCOL_CHECKER = Path(__file__).parent / "protocol_checker.v"
"""Verilog of the module that watches the chip's ports."""


SPAN = "span"
"""The probe that says which positions a pass has, where that is not all of them."""


def _ports(prefix: str, members: dict) -> list[tuple[str, str, int]]:
    return [(f"{prefix}_{name}", member.flow.name, member.shape) for name, member in members.items()]


def bench_verilog(top: str, probes: list[Probe], sequences: int) -> str:
    """Verilog of the bench's top: chip `top` of so many slots, the checker of its ports, with `+taps=FILE` all taps.

    A tap writes `NUMBER HEX` for every beat that is accepted, NUMBER counting the probes from 0. `host_rst` is for
    the bus models, which sleep while it is high; `violations` counts what the checker finds.
    """
    ports = [*_ports("s_axil", AXI_LITE), *_ports("s_axis", STREAM_IN), *_ports("m_axis", STREAM_OUT)]
    lines = [f"module {BENCH} (", "    input wire clk,", "    input wire rst,", "    input wire host_rst,"]
    for name, flow, width in ports:
        direction = "input " if flow == "In" else "output"
        lines.append(f"    {direction} wire [{width - 1}:0] {name},")
    lines += ["    output wire irq,", "    output wire [31:0] violations", ");"]
    connections = [(name, name) for name, _, _ in ports] + [("clk", "clk"), ("rst", "rst"), ("irq", "irq")]
    chip = [*connections, ("test_enable", "1'b0")]
    lines.append(f"    {top} chip (" + ", ".join(f".{a}({b})" for a, b in chip) + ");")
    connections.append(("violations", "violations"))
    lines.append(
        f"    protocol_checker #({sequences}) checker_ (" + ", ".join(f".{a}({b})" for a, b in connections) + ");"
    )
    lines += ["    integer taps = 0;", "    reg [8*512-1:0] file;"]
    lines += ['    initial if ($value$plusargs("taps=%s", file)) taps = $fopen(file, "w");']
    lines += ["    always @(posedge clk) if (taps != 0 && !rst) begin"]
    for number, probe in enumerate(probes):
        lines.append(f'        if (chip.{probe.path}) $fwrite(taps, "{number} %h\\n", chip.{probe.path}_value);')
    lines += ["    end", "endmodule", ""]
    return "\n".join(lines)


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
            for elements, same in _runs(probe, _rows_of(probe, span, values)):
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


def _runs(probe: Probe, span: range) -> Iterator[tuple[int, int]]:
    """Elements of a packet, and positions of a pass, those of `span`, that follow one another with as many."""
    if not probe.block:
        yield probe.elements or len(span), len(span)
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
