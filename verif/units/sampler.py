"""Bench of `gen.units.sampler`: whole runs, with random predictions in place of a model."""

import itertools
from dataclasses import dataclass, field

import torch
from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from torch import Generator, Tensor

from gen.design.axi_ports import NO_POSITION
from gen.design.registers import ErrorCode
from gen.stream.component import Component
from gen.stream.queue import Queue
from gen.units.head_gate import PositionBefore
from gen.units.sampler import Sampler
from gen.units.sampler_slot import PARAMETERS
from golden.samplers.denoise import Prediction, SamplerParams, Step, denoise
from golden.samplers.spans import span
from verif.streams.bench import Case, Packet, Stimulus
from verif.streams.stimulus import integers

__all__ = ["CASES", "Hosted", "records"]

SPREAD_TOP = (1 << 24) - 1

REQUEST = data.StructLayout({"fresh": 1, "again": 1, **PARAMETERS})
"""`fresh`: a prompt comes first; `again`: START once more while busy."""
PROMPT = data.StructLayout({"token": unsigned(32), "last": 1, "end": 1, "early": 1})
"""`end`: the request's last token, whether or not it is marked `last`; `early`: it is offered during the run before."""
STATUS = data.StructLayout({"error": 1, "done": 1, "code": 8, "forwards": 32, "counted": 1})
"""`counted`: the cycle counter is what the bench counted."""


class Hosted(Component):
    """The sampler with a host and a model in hardware: a request in, a run, its status out.

    The parameters are right in the cycle of START alone: the host may prepare the next run while one is under way.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        streams = {"prompt": PROMPT, "request": REQUEST, "result": sampler.result.payload.shape()}
        outputs = {
            "tokens": sampler.tokens.payload.shape(),
            "commits": sampler.commits.payload.shape(),
            "status": STATUS,
        } | ({"spans": sampler.spans.payload.shape()} if sampler.block else {})
        members = {name: In(stream.Signature(shape)) for name, shape in streams.items()}
        super().__init__(members | {name: Out(stream.Signature(shape)) for name, shape in outputs.items()})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sampler = s = self.sampler
        self._model(m, s)
        wiring.connect(m, wiring.flipped(self.commits), s.commits)
        if s.block:
            wiring.connect(m, wiring.flipped(self.spans), s.spans)
        for name in PARAMETERS:
            value = self.request.payload[name]
            m.d.comb += getattr(s, name).eq(Mux(s.start, value, ~value))
        count, loading, loaded, once = Signal(32), Signal(), Signal(), Signal()
        offered = loading | (s.busy & self.prompt.payload.early)
        m.d.comb += [
            s.prompt.payload.token.eq(self.prompt.payload.token),
            s.prompt.payload.last.eq(self.prompt.payload.last),
            s.prompt.valid.eq(self.prompt.valid & offered),
            self.prompt.ready.eq(s.prompt.ready & offered),
        ]
        with m.If(s.start):
            m.d.sync += [count.eq(0), once.eq(self.request.payload.again)]
        with m.If(s.busy):
            m.d.sync += [count.eq(count + 1), once.eq(0)]
        with m.FSM(name="host"):
            with m.State("LOAD"), m.If(self.request.valid):
                m.d.comb += loading.eq(self.request.payload.fresh & ~loaded)
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
                    m.next = "LOAD"
        shown = ("error", "done", "code", "forwards")
        m.d.comb += [self.status.payload[name].eq(getattr(s, name)) for name in shown]
        m.d.comb += self.status.payload.counted.eq(count == s.cycles)
        return m

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


@dataclass
class Engine:
    """A made-up model: random predictions, whatever the tokens.

    limit: SPREAD_LIMIT of threshold decoding; near: spreads are drawn from few values around it, so that many tie;
    passes: tokens that were asked about, and which of them are wanted; results: what came of those.
    """

    generator: Generator
    vocab_size: int
    mask_token_id: int
    spread_width: int
    near: bool
    limit: int
    passes: list[list[tuple[int, bool]]] = field(default_factory=list)
    results: list[Packet] = field(default_factory=list)

    def spread_limit(self, threshold: float) -> int:
        return self.limit

    def predict(self, tokens: Tensor, wanted: Tensor | None = None) -> Prediction:
        assert wanted is not None
        shape, g = tokens.shape, self.generator
        chosen = integers(g, 0, self.vocab_size - 1, shape)
        chosen = torch.where(torch.rand(shape, generator=g) < 0.25, self.mask_token_id, chosen)
        middle = min(max(self.limit, 2), (1 << self.spread_width) - 3)
        around = integers(g, middle - 2, middle + 2, shape)
        spread = around if self.near else integers(g, 1, (1 << self.spread_width) - 1, shape)
        self.passes.append(list(zip(tokens[0].tolist(), wanted[0].tolist(), strict=True)))
        pairs = zip(chosen[wanted].tolist(), spread[wanted].tolist(), strict=True)
        self.results.append([{"token": t, "spread": s} for t, s in pairs])
        return Prediction(chosen, spread)


@dataclass
class Host:
    """What the host sends, and what must come of it, run by run.

    held, whole: the prompt that the chip holds, and whether its last token was marked so.
    fresh: the run before had a prompt of its own.
    cycles: of all runs, with nobody waiting.
    """

    sampler: Sampler
    generator: Generator
    held: list[int] = field(default_factory=list)
    whole: bool = True
    fresh: bool = False
    cycles: int = 0
    inputs: dict[str, list[Packet]] = field(default_factory=lambda: {n: [] for n in ("prompt", "request", "result")})
    outputs: dict[str, list[Packet]] = field(default_factory=lambda: {n: [] for n in ("tokens", "commits", "status")})

    def draw(self, low: int, high: int) -> int:
        return int(integers(self.generator, low, high, ()))

    def run(self, prompt: list[int] | None, marked: int = 1, again: int = 0, **parameters: int) -> None:
        """One request; `prompt` None keeps the one before, `marked` marks its last token."""
        if prompt is not None:
            marks = [{"early": int(self.fresh)}] * (len(prompt) - 1) + [{"last": marked, "end": 1}]
            self.inputs["prompt"].append([{"token": t} | mark for t, mark in zip(prompt, marks, strict=True)])
            self.held, self.whole = prompt, bool(marked)
        self.fresh = prompt is not None
        request = {"fresh": prompt is not None, "again": again, "prompt_length": len(self.held)} | parameters
        self.inputs["request"].append([request])
        code = self.refusal(request)
        if not self.whole:  # what came of it is gone, and the next one begins anew
            self.held, self.whole = [], True
        forwards = 0 if code else self.denoise(request)
        fits = code not in (ErrorCode.LENGTH, ErrorCode.NONE)
        self.cycles += 10 + len(prompt or ()) + (request["gen_length"] + request["steps"] if fits else 0)
        busy = bool(again) and not code
        status = {"error": code != 0 or busy, "done": not code, "code": ErrorCode.BUSY if busy else code}
        self.outputs["status"].append([status | {"forwards": forwards, "counted": 1}])

    def refusal(self, p: dict[str, int]) -> ErrorCode:
        """The error that the parameters come to."""
        lengths = [p["prompt_length"], p["gen_length"], p["block_length"]]
        if not all(lengths) or lengths[0] + lengths[1] > self.sampler.max_positions:
            return ErrorCode.LENGTH
        if lengths[0] != len(self.held) or not self.whole:
            return ErrorCode.PROMPT
        if max(self.held) >= self.sampler.vocab_size or self.sampler.mask_token_id in self.held:
            return ErrorCode.TOKEN
        if lengths[1] % lengths[2]:
            return ErrorCode.BLOCK
        if not p["spread_limit"] and (not p["steps"] or p["steps"] % (lengths[1] // lengths[2])):
            return ErrorCode.STEPS
        return ErrorCode.NONE

    def denoise(self, p: dict[str, int]) -> int:
        """The golden sampler's run: passes, results and commits; how many passes there were."""
        s, limit = self.sampler, p["spread_limit"]
        width = len(s.result.payload.spread)
        engine = Engine(self.generator, s.vocab_size, s.mask_token_id, width, bool(self.draw(0, 2)), limit)
        params = SamplerParams(p["gen_length"], p["block_length"], max(1, p["steps"]), 0.5 if limit else None)
        steps = list(denoise(engine, torch.tensor([self.held]), params, s.mask_token_id))
        whole = [range(len(row)) for row in engine.passes]
        spans = self.spans(params, steps) if s.block else whole
        self.outputs["tokens"] += [
            [{"token": row[at][0], "wanted": row[at][1], "end": at + 1 == span.stop} for at in span]
            for row, span in zip(engine.passes, spans, strict=True)
        ]
        if s.block:
            self.outputs.setdefault("spans", []).extend([{"slot": 0, "first": span.start}] for span in spans)
        self.inputs["result"] += engine.results
        self.outputs["commits"] += [records(step) for step in steps]
        positions, block = len(self.held) + p["gen_length"], p["block_length"]
        scans = sum(int(step.committed.sum()) + 1 for step in steps)
        blocks = p["gen_length"] // block
        self.cycles += 2 * blocks + p["steps"] // blocks + block + p["gen_length"]
        self.cycles += len(steps) * (2 * positions + block + 20) + scans * (block + 4)
        return len(steps)

    def spans(self, params: SamplerParams, steps: list[Step]) -> list[range]:
        """Positions of each step's pass where keys and values are kept."""
        pairs = zip(steps, [None, *steps[:-1]], strict=True)
        return [span(self.sampler.block, len(self.held), params, step, before) for step, before in pairs]


def records(step: Step) -> Packet:
    """Commit records of a golden step, the most confident first."""
    prediction = step.prediction
    where = step.committed[0].nonzero().flatten().tolist()
    found = sorted((int(prediction.spread[0, p]), p, int(prediction.tokens[0, p])) for p in where)
    words = [{"token": t, "position": p, "spread": min(s, SPREAD_TOP)} for s, p, t in found]
    packet: Packet = [{"record": word} for word in words or [{"token": 0, "position": NO_POSITION, "spread": 0}]]
    packet[-1]["last"] = 1
    return packet


def tokens_but_mask(host: Host, count: int) -> list[int]:
    """Tokens that a prompt may have."""
    mask = host.sampler.mask_token_id
    return [t + (t >= mask) for t in integers(host.generator, 0, host.sampler.vocab_size - 2, (count,)).tolist()]


def random_runs(host: Host, runs: int) -> None:
    """Prompts and parameters of which some make no sense."""
    for _ in range(runs):
        depth = host.sampler.max_positions
        block = host.draw(1, 4)
        gen = block * host.draw(1, max(1, depth // 2 // block)) + (host.draw(0, 7) == 0)
        blocks = max(1, gen // block)
        steps = blocks * host.draw(1, block + 2) + (host.draw(0, 7) == 0)
        prompt = tokens_but_mask(host, host.draw(1, max(1, depth - gen)))
        if host.draw(0, 7) == 0:
            prompt[host.draw(0, len(prompt) - 1)] = host.sampler.mask_token_id
        marked = host.draw(0, 7) != 0
        limit = host.draw(1, (1 << len(host.sampler.result.payload.spread)) - 1) if host.draw(0, 1) else 0
        again = host.draw(0, 3) == 0
        host.run(prompt, marked, again, gen_length=gen, block_length=block, steps=steps, spread_limit=limit)


def corner_runs(host: Host) -> None:
    """Every refusal for each of its reasons, and a good run behind each; every way to share a block over steps."""
    s, kept = host.sampler, {"gen_length": 4, "block_length": 2, "steps": 4, "spread_limit": 0}
    others = [token for token in (0, 1, s.vocab_size - 2, s.vocab_size - 1) if token != s.mask_token_id]
    first, last = others[0], others[-1]
    host.run([last, first, last], **kept)
    for name in ("prompt_length", "gen_length", "block_length", "steps"):
        host.run(None, **kept | {name: 0})
    for change in ({"gen_length": s.max_positions - 2}, {"gen_length": 65535}, {"prompt_length": 65535}):
        host.run(None, **kept | change)
    for change in ({"gen_length": 5}, {"block_length": 3}, {"block_length": 65535}, {"steps": 3}, {"steps": 1}):
        host.run(None, **kept | change)
    host.run(None, **kept | {"steps": 0, "spread_limit": 5})
    host.run(None, **kept, prompt_length=2)
    for token in (s.vocab_size, s.vocab_size | 1 << 31, 1 << 24, s.mask_token_id):
        host.run([first, token, last], **kept)
        host.run([first, last, token], **kept)
    host.run([first] * (s.max_positions + 5), **kept, prompt_length=3)
    host.run([first, s.vocab_size, last], marked=0, **kept)
    host.run([last], **kept)
    host.run([last, last], marked=0, **kept | {"gen_length": 0})
    host.run(None, **kept, prompt_length=2)
    host.run([first], **kept)
    depth = s.max_positions
    host.run([last] * (depth - 1), gen_length=1, block_length=1, steps=1, spread_limit=0)
    host.run([last], gen_length=depth - 1, block_length=depth - 1, steps=depth + 1, spread_limit=0)
    for steps, limit in itertools.product(range(1, 7), (0, 7)):
        host.run(None, gen_length=5, block_length=5, steps=steps, spread_limit=limit, prompt_length=1)


def _case(
    vocab_size: int, mask_token_id: int, max_positions: int, spread_width: int, block: int = 0, shift: int = 0
) -> Case:
    def component() -> Sampler:
        return Sampler(vocab_size, mask_token_id, max_positions, spread_width, block=block, shift=shift)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        host = Host(component(), generator)
        if kind == "corners":
            corner_runs(host)
        else:
            random_runs(host, 12)
        return Stimulus(host.inputs, host.outputs, cycles=host.cycles)

    name = f"sampler_{vocab_size}_{max_positions}" + f"_blocks_of_{block}" * (block > 0) + "_shifted" * shift
    return Case(name, lambda: Hosted(component()), stimulus, 0)


CASES = [_case(19, 17, 12, 22), _case(300, 0, 16, 27), _case(5, 4, 9, 4)]
CASES += [_case(19, 17, 14, 22, 4), _case(5, 4, 9, 4, 1), _case(19, 17, 12, 22, shift=1)]
