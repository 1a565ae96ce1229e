"""The sampler with a host and a model in hardware, for its bench: a request in, a run, its status out."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import Queue
from hardloom.gen.units.head_gate import PositionBefore
from hardloom.gen.units.sampler import Sampler
from hardloom.gen.units.sampler_slot import PARAMETERS

__all__ = ["Hosted"]

REQUEST = data.StructLayout({"fresh": 1, "again": 1, "load": 1, "seek": 10, **PARAMETERS})
"""`load`: words of a program come first, to address `seek` on; `fresh`: then a prompt; `again`: START once more while
busy."""
PROGRAM = data.StructLayout({"word": unsigned(32), "end": 1})
PROMPT = data.StructLayout({"token": unsigned(32), "last": 1, "end": 1, "early": 1})
"""`end`: the request's last token, whether or not it is marked `last`; `early`: it is offered during the run before."""
STATUS = data.StructLayout({"error": 1, "done": 1, "code": 8, "forwards": 32, "counted": 1})
"""`counted`: the cycle counter is what the bench counted."""


class Hosted(Component):
    """The parameters are right in the cycle of START alone: the host may prepare the next run meanwhile."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        result = sampler.result.payload.shape()
        streams = {"program": PROGRAM, "prompt": PROMPT, "request": REQUEST, "result": result}
        outputs = {
            "tokens": sampler.tokens.payload.shape(),
            "manners": sampler.manners.payload.shape(),
            "commits": sampler.commits.payload.shape(),
            "status": STATUS,
        } | ({"spans": sampler.spans.payload.shape()} if sampler.kept else {})
        members = {name: In(stream.Signature(shape)) for name, shape in streams.items()}
        super().__init__(members | {name: Out(stream.Signature(shape)) for name, shape in outputs.items()})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sampler = s = self.sampler
        self._model(m, s)
        wiring.connect(m, wiring.flipped(self.commits), s.commits)
        wiring.connect(m, wiring.flipped(self.manners), s.manners)
        if s.kept:
            wiring.connect(m, wiring.flipped(self.spans), s.spans)
        for name in PARAMETERS:
            value = self.request.payload[name]
            m.d.comb += getattr(s, name).eq(Mux(s.start, value, ~value))
        count, once = Signal(32), Signal()
        with m.If(s.start):
            m.d.sync += [count.eq(0), once.eq(self.request.payload.again)]
        with m.If(s.busy):
            m.d.sync += [count.eq(count + 1), once.eq(0)]
        self._host(m, s, once)
        shown = ("error", "done", "code", "forwards")
        m.d.comb += [self.status.payload[name].eq(getattr(s, name)) for name in shown]
        m.d.comb += self.status.payload.counted.eq(count == s.cycles)
        return m

    def _host(self, m: Module, s: Sampler, once: Signal) -> None:
        """Program and prompt where they come, START, the run's end, its status."""
        request, loading, loaded = self.request.payload, Signal(), Signal()
        offered = loading | (s.busy & self.prompt.payload.early)
        m.d.comb += [
            s.prompt.payload.token.eq(self.prompt.payload.token),
            s.prompt.payload.last.eq(self.prompt.payload.last),
            s.prompt.valid.eq(self.prompt.valid & offered),
            self.prompt.ready.eq(s.prompt.ready & offered),
            s.program_address.eq(request.seek),
            s.program_word.eq(self.program.payload.word),
            s.program_write.eq(self.program.valid & self.program.ready),
        ]
        with m.FSM(name="host"):
            with m.State("REQUEST"), m.If(self.request.valid):
                m.d.comb += s.program_seek.eq(request.load)
                m.next = "LOAD"
                with m.If(request.load):
                    m.next = "PROGRAM"
            with m.State("PROGRAM"):
                m.d.comb += self.program.ready.eq(1)
                with m.If(self.program.valid & self.program.payload.end):
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += loading.eq(request.fresh & ~loaded)
                with m.If(loading & self.prompt.valid & self.prompt.ready & self.prompt.payload.end):
                    m.d.sync += loaded.eq(1)
                with m.Elif(~loading):
                    m.d.comb += s.start.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += s.start.eq(once)
                with m.If(~s.busy):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [self.status.valid.eq(1), self.request.ready.eq(self.status.ready)]
                with m.If(self.status.ready):
                    m.d.sync += loaded.eq(0)
                    m.next = "REQUEST"

    def _model(self, m: Module, s: Sampler) -> None:
        """A position has passed the layers once its token has been taken; results are offered at any time."""
        m.submodules.layers = layers = Queue(unsigned(1), s.max_positions + 1)
        wiring.connect(m, wiring.flipped(self.tokens), s.tokens)
        wiring.connect(m, wiring.flipped(self.result), s.result)
        taken = self.tokens.valid & self.tokens.ready
        if s.shift:
            m.submodules.position_before = before = PositionBefore()
            wiring.connect(m, before.o, layers.i)
            m.d.comb += [
                before.i.payload.wanted.eq(s.tokens.payload.wanted),
                before.i.payload.end.eq(s.tokens.payload.end),
                before.i.valid.eq(taken),
            ]
        else:
            m.d.comb += [layers.i.payload.eq(s.tokens.payload.wanted), layers.i.valid.eq(taken)]
        wiring.connect(m, layers.o, s.passed)
