"""Chip top: host ports, sampler, embedding, layer engines, head."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.adapters import AdapterMap, layer_bits
from hardloom.gen.design.axi_ports import AXI_LITE, STREAM_IN, STREAM_OUT
from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.design.registers import constants, field, registers_of
from hardloom.gen.engine.chains import (
    adapter_ports,
    array_ports,
    gain_ports,
    norm_to_packets,
    rescaled,
    scale_ports,
    span_ports,
)
from hardloom.gen.engine.hardwired import ConstantPorts, HardwiredArray, HardwiredConstants
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.gating import gated
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.stream import chain, residual_beat
from hardloom.gen.units.argmax import Argmax
from hardloom.gen.units.argmax_tiles import TileJoin
from hardloom.gen.units.axi_lite import AxiLiteRegisters
from hardloom.gen.units.embedding import Embedding
from hardloom.gen.units.flow import Fork
from hardloom.gen.units.gumbel import NoiseWord
from hardloom.gen.units.head_gate import HeadGate, PositionBefore
from hardloom.gen.units.manner import told_manner
from hardloom.gen.units.rescale import Rescale
from hardloom.gen.units.sampler import Sampler

__all__ = ["Chip"]


class Chip(Component):
    """The accelerator.

    Parameters
    ----------
    sizes: of the parts around the layers (prefix `chip`).
    embedding_width: bits of an embedding weight integer.

    Attributes
    ----------
    test_enable: all gated clocks run while it is high, as scan needs it; low otherwise.
    s_axil_*: AXI4-Lite, 32 bits, registers of `gen.design.registers`.
    s_axis_*: AXI4-Stream in, 32 bits: the prompt's token ids, one a beat, `tlast` on the last, `tid` the slot.
    m_axis_*: AXI4-Stream out, 64 bits: `gen.design.axi_ports.commit_record`, a packet a denoising step, `tid` the slot.
    irq: high while a run has ended (done or error) and neither START nor acknowledgement of its slot has followed.
    """

    def __init__(self, sizes: LayerSizes, embedding_width: int) -> None:
        self.sizes, self.embedding_width = sizes, embedding_width
        ports = {"test_enable": In(1)} | {f"s_axil_{name}": member for name, member in AXI_LITE.items()}
        ports |= {f"s_axis_{name}": member for name, member in STREAM_IN.items()}
        ports |= {f"m_axis_{name}": member for name, member in STREAM_OUT.items()}
        super().__init__(ports | {"irq": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        embedding, gate, argmax, engines = self._model(m)
        model = self.sizes.model
        m.submodules.sampler = sampler = Sampler(
            model.token_ids,
            model.mask_token,
            self.sizes.max_positions,
            len(argmax.o.payload.spread),
            self.sizes.hardware.sequences,
            shift=model.shift,
            noise=self.sizes.hardware.temperature,
            block=(self.sizes.shape.attention.block_length or 0) if self.sizes.slots else 0,
            vicinity=self.sizes.slots > 0 and model.bidirectional,
        )
        self._send(m, sampler, embedding, gate)
        if self.sizes.slots:
            m.submodules.span_branch = spans = Fork(sampler.spans.payload.shape(), len(engines))
            chain(m, sampler.spans, spans)
            for span, engine in zip(spans.o, engines, strict=True):
                wiring.connect(m, span, engine.spans)
        wiring.connect(m, gate.passed, sampler.passed)
        wiring.connect(m, sampler.manners, gate.manners)
        m.d.comb += [
            sampler.result.valid.eq(argmax.o.valid),
            sampler.result.payload.token.eq(argmax.o.payload.token),
            sampler.result.payload.spread.eq(argmax.o.payload.spread),
            argmax.o.ready.eq(sampler.result.ready),
        ]
        registers = self._registers(m, sampler, self._saturations(m, sampler, [one.saturated for one in engines]))
        if self.sizes.hardware.adapter_rank:
            self._adapters(m, registers, engines)
        self._streams(m, sampler)
        return m

    def _send(self, m: Module, sampler: Sampler, embedding: Embedding, gate: HeadGate) -> None:
        """Tokens to the embedding, and past the layers to the head's gate which of them are wanted."""
        m.submodules.token_branch = branch = Fork(sampler.tokens.payload.shape(), 2)
        token, wanted = branch.o[0], branch.o[1]
        chain(m, sampler.tokens, branch)
        known = token.payload.token
        if self.sizes.model.mask_token_id is None:
            known = Mux(known == self.sizes.model.mask_token, 0, known)
        m.d.comb += [
            embedding.i.payload.token.eq(known),
            embedding.i.payload.end.eq(token.payload.end),
            embedding.i.valid.eq(token.valid),
            token.ready.eq(embedding.i.ready),
        ]
        if not self.sizes.model.shift:
            m.d.comb += [
                gate.wanted.payload.eq(wanted.payload.wanted),
                gate.wanted.valid.eq(wanted.valid),
                wanted.ready.eq(gate.wanted.ready),
            ]
            return
        m.submodules.position_before = before = PositionBefore()
        wiring.connect(m, before.o, gate.wanted)
        m.d.comb += [
            before.i.payload.wanted.eq(wanted.payload.wanted),
            before.i.payload.end.eq(wanted.payload.end),
            before.i.valid.eq(wanted.valid),
            wanted.ready.eq(before.i.ready),
        ]

    def _model(self, m: Module) -> tuple[Embedding, HeadGate, Argmax, list[SimpleNamespace]]:
        """Embedding to argmax, all layers in between: the first unit, the gate behind the layers, the last unit, and
        the layers."""
        g = self.sizes
        embedding = self._embedding(m)
        engines = [self._engine(m, number) for number in range(len(g.model.layers))]
        in_flight = g.hardware.sequences * g.max_positions
        m.submodules.head_gate = gate = HeadGate(
            g.numerics.word.width,
            g.lanes,
            in_flight,
            g.max_positions,
            told_manner(g.model.token_ids, g.hardware.temperature),
        )
        norm = norm_to_packets(m, self.test_enable, g, "final", self._final_gain(m))
        chain(m, embedding, *engines, gate, *norm)
        argmax = self._head(m, norm[-1].o)
        self._told(m, gate, argmax)
        add_probe(m, "embedding", embedding.o, g.hidden)
        add_probe(m, "final_norm", norm[-1].o, g.hidden, wanted=True)
        add_probe(m, "argmax.token", argmax.o, 1, value=argmax.o.payload.token, wanted=True)
        add_probe(m, "argmax.spread", argmax.o, 1, value=argmax.o.payload.spread, wanted=True)
        return embedding, gate, argmax, engines

    def _told(self, m: Module, gate: HeadGate, argmax: Argmax) -> None:
        """The manner of each packet from the gate to the argmax; a noise's word is there before the packet's logits."""
        if not self.sizes.hardware.temperature:
            wiring.connect(m, gate.manner, argmax.manner)
            return
        m.submodules.noise_word = word = NoiseWord(self.sizes.model.token_ids)
        wiring.connect(m, gate.manner, word.i)
        wiring.connect(m, word.o, argmax.manner)

    def _head(self, m: Module, packets) -> Argmax:
        """The head of the stream `packets`, in one array or in tiles side by side, and the argmax behind it."""
        g, tiles = self.sizes, self.sizes.hardware.head_tiles
        argmax = Argmax(g.units.argmax, g.model.vocab_size, g.lanes, tiles, g.model.token_ids, g.hardware.temperature)
        if tiles == 1:
            logits: Component = self._head_array(m, "head", g.model.vocab_size, packets)
        else:
            logits = self._tiles(m, argmax.rows, packets)
        chain(m, logits, gated(m, self.test_enable, "argmax", argmax))
        return argmax

    def _tiles(self, m: Module, rows: list[int], packets) -> TileJoin:
        """Tiles of the head, each of so many rows, and their logits side by side."""
        m.submodules.head_branch = branch = Fork(packets.payload.shape(), len(rows))
        m.submodules.head_join = joined = TileJoin(self.sizes.numerics.word.width, self.sizes.lanes, rows)
        chain(m, packets, branch)
        for tile, count in enumerate(rows):
            chain(m, self._head_array(m, f"head.{tile}", count, branch.o[tile]), getattr(joined, f"i_{tile}"))
        return joined

    def _head_array(self, m: Module, name: str, rows: int, packets) -> Rescale:
        """The array `name`, of so many rows of the vocabulary, and its rescale."""
        g, instance = self.sizes, name.replace(".", "_")
        array = HardwiredArray(g.module(name), array_ports(g, name, 1))
        scales = HardwiredConstants(g.module(f"{name}_scales"), scale_ports(g, 1, rows))
        m.submodules[f"{instance}_array"], m.submodules[f"{instance}_scales"] = array, scales
        rescale = rescaled(m, self.test_enable, g, name, 1, rows, array.o, scales)
        m.d.comb += array.test_enable.eq(self.test_enable)
        chain(m, packets, array)
        add_probe(m, "logits", rescale.o, rows, net=name.replace("head", "logits").replace(".", "_"), wanted=True)
        return rescale

    def _final_gain(self, m: Module) -> HardwiredConstants | None:
        """The ROM of the last norm's gain, where that stands behind it."""
        g = self.sizes
        if "final" not in g.norms:
            return None
        ports = gain_ports(g, g.units.gain.width, g.hidden)
        m.submodules.final_gain_constants = rom = HardwiredConstants(g.module("final_gain"), ports)
        return rom

    def _embedding(self, m: Module) -> Embedding:
        """The embedding and the ROMs of its rows and of their scales."""
        g, vocabulary = self.sizes, self.sizes.model.vocab_size
        beats = g.beats(g.hidden)
        embedding = gated(
            m,
            self.test_enable,
            "embedding",
            Embedding(g.units.rescale, self.embedding_width, vocabulary, g.lanes, beats),
        )
        m.submodules.embedding_rows = rows = HardwiredConstants(
            g.module("embedding"), ConstantPorts(vocabulary * beats, embedding.weights.shape())
        )
        m.submodules.embedding_scales = scales = HardwiredConstants(
            g.module("embedding_scales"), ConstantPorts(vocabulary, embedding.scale.shape())
        )
        m.d.comb += [
            rows.index.eq(embedding.index),
            embedding.weights.eq(rows.data),
            scales.index.eq(embedding.row),
            embedding.scale.eq(scales.data),
        ]
        return embedding

    def _engine(self, m: Module, number: int) -> SimpleNamespace:
        """Module `layer_N`, written on its own (`gen.engine.netlist`): its ports `i`, `o`, `saturated`, and those of
        `span_ports` and `adapter_ports`."""
        word = stream.Signature(residual_beat(self.sizes.numerics.word.width, self.sizes.lanes))
        name = f"layer_{number}"
        saturated = Signal(range(2 * self.sizes.lanes + 1), name=f"{name}_saturated")
        i, o = word.flip().create(path=(name, "i")), word.create(path=(name, "o"))
        sizes = replace(self.sizes, layer=number)
        told: dict[str, Any] = {}
        connected: dict[str, Value] = {}
        for port, member in (span_ports(sizes) | adapter_ports(sizes)).items():
            if member.is_port:
                told[port] = connected[f"i_{port}"] = Signal(member.shape, name=f"{name}_{port}")
                continue
            shape = member.signature.members["payload"].shape
            told[port] = one = stream.Signature(shape).flip().create(path=(name, port))
            connected |= {f"i_{port}__payload": Value.cast(one.payload), f"i_{port}__valid": one.valid}
            connected |= {f"o_{port}__ready": one.ready}
        m.submodules[name] = Instance(
            name,
            **connected,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_test_enable=self.test_enable,
            i_i__payload=Value.cast(i.payload),
            i_i__valid=i.valid,
            o_i__ready=i.ready,
            o_o__payload=Value.cast(o.payload),
            o_o__valid=o.valid,
            i_o__ready=o.ready,
            o_saturated=saturated,
        )
        return SimpleNamespace(i=i, o=o, saturated=saturated, **told)

    def _saturations(self, m: Module, sampler: Sampler, saturated: list[Signal]) -> Signal:
        """Register SATURATIONS: counts from a START on that finds the chip idle, and stays at its end."""
        count, total = Signal(32, name="saturations"), Signal(33, name="saturations_next")
        m.d.comb += total.eq(count + sum(saturated))
        m.d.sync += count.eq(Mux(total[-1], (1 << len(count)) - 1, total))
        with m.If(sampler.start & ~sampler.any_busy):
            m.d.sync += count.eq(0)
        return count

    def _adapters(self, m: Module, registers: AxiLiteRegisters, engines: list[SimpleNamespace]) -> None:
        """The host's words to the layer that their address names."""
        places, at = self._places, Signal(self._places.address_bits, name="adapter_at")
        with m.If(registers.strobe_adapter_word):
            m.d.sync += at.eq(at + 1)
        with m.If(registers.strobe_adapter_address):
            m.d.sync += at.eq(registers.write_adapter_address)
        for number, engine in enumerate(engines):
            loads, bits = engine.adapter_loads, layer_bits(places.layers[number])
            first = number << places.inside_bits >> bits
            m.d.comb += [
                engine.adapter_enable.eq(registers.write_adapter[field("ADAPTER", "ENABLE").bits]),
                loads.payload.address.eq(at),
                loads.payload.data.eq(registers.write_adapter_word),
                loads.valid.eq(registers.strobe_adapter_word & (at[bits:] == first)),
            ]

    @property
    def _places(self) -> AdapterMap:
        """Addresses of the memories of adapters."""
        return AdapterMap.of(self.sizes.model, self.sizes.lanes, self.sizes.hardware.adapter_rank)

    def _registers(self, m: Module, sampler: Sampler, saturations: Signal) -> AxiLiteRegisters:
        hardware = self.sizes.hardware
        largest = {"SLOT": hardware.sequences - 1}
        if hardware.adapter_rank:
            largest["ADAPTER_ADDRESS"] = (1 << self._places.address_bits) - 1
        registers = AxiLiteRegisters(largest, registers_of(hardware.adapter_rank))
        m.submodules.registers = registers
        for name, member in AXI_LITE.items():
            inside, outside = getattr(registers, name), getattr(self, f"s_axil_{name}")
            m.d.comb += inside.eq(outside) if member.flow == In else outside.eq(inside)
        fixed = constants(self.sizes.model, self.sizes.max_positions, self.sizes.hardware.sequences)
        control, status = registers.write_control, registers.read_status
        parts = {"BUSY": sampler.busy, "ERROR": sampler.error, "DONE": sampler.done, "CODE": sampler.code}
        m.d.comb += [
            sampler.slot.eq(registers.write_slot),
            sampler.start.eq(registers.strobe_control & control[field("CONTROL", "START").bits]),
            sampler.acknowledge.eq(registers.strobe_control & control[field("CONTROL", "ACKNOWLEDGE").bits]),
            sampler.prompt_length.eq(registers.write_prompt_length),
            sampler.gen_length.eq(registers.write_gen_length),
            sampler.entry.eq(registers.write_program),
            sampler.program_seek.eq(registers.strobe_program_address),
            sampler.program_address.eq(registers.write_program_address),
            sampler.program_word.eq(registers.write_program_word),
            sampler.program_write.eq(registers.strobe_program_word),
            *(status[field("STATUS", name).bits].eq(value) for name, value in parts.items()),
            registers.read_cycles.eq(sampler.cycles),
            registers.read_forwards.eq(sampler.forwards),
            registers.read_saturations.eq(saturations),
            *(getattr(registers, f"read_{name.lower()}").eq(value) for name, value in fixed.items()),
            registers.read_ended[field("ENDED", "SLOT").bits].eq(sampler.ended_slot),
            registers.read_ended[field("ENDED", "VALID").bits].eq(sampler.ended),
            self.irq.eq(sampler.ended),
        ]
        return registers

    def _streams(self, m: Module, sampler: Sampler) -> None:
        if self.sizes.hardware.sequences > 1:
            m.d.comb += sampler.prompt.payload.slot.eq(self.s_axis_tid)
        else:  # a host of one sequence may leave `tid` open
            m.d.comb += Signal.like(self.s_axis_tid, name="unused_tid", attrs={"keep": 1}).eq(self.s_axis_tid)
        m.d.comb += [
            sampler.prompt.payload.token.eq(self.s_axis_tdata),
            sampler.prompt.payload.last.eq(self.s_axis_tlast),
            sampler.prompt.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(sampler.prompt.ready),
            self.m_axis_tdata.eq(sampler.commits.payload.record),
            self.m_axis_tlast.eq(sampler.commits.payload.last),
            self.m_axis_tid.eq(sampler.commits.payload.slot),
            self.m_axis_tvalid.eq(sampler.commits.valid),
            sampler.commits.ready.eq(self.m_axis_tready),
        ]
