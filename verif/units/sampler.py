"""Bench of `gen.units.sampler`: whole runs of programs, with random predictions in place of a model."""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from hardloom.gen.design.axi_ports import NO_POSITION
from hardloom.gen.design.latency import sampler as instruction_cycles
from hardloom.gen.design.registers import ErrorCode
from hardloom.gen.units.sampler import Sampler
from hardloom.golden.samplers.denoise import Pass
from hardloom.golden.samplers.interpreter import Machine, SamplerFault
from hardloom.golden.samplers.machine import PROGRAM_WORDS, SUPPRESSED, Fault, HeadWord, Program
from hardloom.golden.samplers.spans import span
from hardloom.verif.samplers.host import Hosted
from hardloom.verif.samplers.programs import fixed_programs, near_programs, random_program
from hardloom.verif.streams.bench import Case, Packet, Stimulus
from hardloom.verif.streams.manners import manner_packet
from hardloom.verif.streams.stimulus import integers

__all__ = ["CASES", "Host", "tokens_but_mask"]

SPREAD_TOP = (1 << 24) - 1
LIMIT = 300
"""Instructions of a run from one pass to the next, here."""

CODES = {
    Fault.ILLEGAL: ErrorCode.ILLEGAL,
    Fault.POSITION: ErrorCode.POSITION,
    Fault.TOKEN: ErrorCode.VOCABULARY,
    Fault.ENDLESS: ErrorCode.ENDLESS,
    Fault.EARLY: ErrorCode.EARLY,
}


def head_words(sampler: Sampler) -> list[int]:
    """Of a chip's head: suppressed tokens, and what it has besides."""
    drawn = [HeadWord.TEMPERATURE, HeadWord.SEED] * sampler.noise
    return [*range(SUPPRESSED), *drawn, *[HeadWord.VICINITY] * sampler.vicinity]


def records(written: list[tuple[int, int, int]]) -> Packet:
    """The packet of a step: position, token and spread of everything that it wrote, in order."""
    words = [{"token": t, "position": p, "spread": min(s, SPREAD_TOP)} for p, t, s in written]
    packet: Packet = [{"record": word} for word in words or [{"token": 0, "position": NO_POSITION, "spread": 0}]]
    packet[-1]["last"] = 1
    return packet


@dataclass
class Host:
    """What the host sends, and what must come of it, run by run.

    held, whole: the prompt that the chip holds, and whether its last token was marked so; fresh: the run before had a
        prompt of its own; words: of programs that the chip holds, from the first on.
    cycles: of all runs, with nobody waiting.
    """

    sampler: Sampler
    generator: Generator
    held: list[int] = field(default_factory=list)
    whole: bool = True
    fresh: bool = False
    words: int = 0
    cycles: int = 0
    inputs: dict[str, list[Packet]] = field(
        default_factory=lambda: {name: [] for name in ("program", "prompt", "request", "result")}
    )
    outputs: dict[str, list[Packet]] = field(
        default_factory=lambda: {n: [] for n in ("tokens", "manners", "commits", "status")}
    )

    def draw(self, low: int, high: int) -> int:
        return int(integers(self.generator, low, high, ()))

    def run(
        self,
        prompt: list[int] | None,
        program: Program | None,
        gen_length: int,
        at: int = 0,
        marked: int = 1,
        again: int = 0,
        registers: dict[str, int] | None = None,
    ) -> None:
        """One request; `prompt` None keeps the one before, `program` None all of them; `at`: where the program goes.

        registers: what is written instead of what is right.
        """
        if prompt is not None:
            marks = [{"early": int(self.fresh)}] * (len(prompt) - 1) + [{"last": marked, "end": 1}]
            self.inputs["prompt"].append([{"token": t} | mark for t, mark in zip(prompt, marks, strict=True)])
            self.held, self.whole = prompt, bool(marked)
        self.fresh = prompt is not None
        words = program.words if program else ()
        self.load(words, at)
        request = {"fresh": prompt is not None, "again": again, "load": bool(words), "seek": at}
        request |= {"prompt_length": len(self.held), "gen_length": gen_length, "entry": at | len(words) << 16}
        request |= registers or {}
        self.inputs["request"].append([request])
        code: int = self.refusal(request)
        forwards = 0
        self.cycles += 10 + len(prompt or ()) + len(words)
        if not self.whole:  # what came of it is gone, and the next one begins anew
            self.held, self.whole = [], True
        elif not code and program:
            code, forwards = self.denoise(program, gen_length)
        busy = bool(again) and not code
        status = {"error": code != 0 or busy, "done": not code, "code": ErrorCode.BUSY if busy else code}
        self.outputs["status"].append([status | {"forwards": forwards, "counted": 1}])

    def load(self, words: tuple[int, ...], at: int) -> None:
        """The words of a program to `at` and behind it."""
        if words:
            self.inputs["program"].append([{"word": word} for word in words])
            self.inputs["program"][-1][-1]["end"] = 1
            self.words = max(self.words, at + len(words)) if at <= self.words else self.words

    def refusal(self, p: dict[str, int]) -> ErrorCode:
        """The error that the parameters come to."""
        total = p["prompt_length"] + p["gen_length"]
        if not p["prompt_length"] or not p["gen_length"] or total > self.sampler.max_positions:
            return ErrorCode.LENGTH
        if p["prompt_length"] != len(self.held) or not self.whole:
            return ErrorCode.PROMPT
        if max(self.held) >= self.sampler.vocab_size or self.sampler.mask_token_id in self.held:
            return ErrorCode.TOKEN
        first, count = p["entry"] & 0xFFFF, p["entry"] >> 16
        if not count or first + count > self.words:
            return ErrorCode.PROGRAM
        return ErrorCode.NONE

    def denoise(self, program: Program, gen_length: int) -> tuple[ErrorCode, int]:
        """The interpreter's run: passes, results and records; the error that ends it, and the number of passes."""
        s, code = self.sampler, ErrorCode.NONE
        machine = Machine(program, self.held, gen_length, s.mask_token_id, s.vocab_size, s.limit, head_words(s))
        self.cycles += 40 + gen_length
        running, passes = self.go_on(machine), 0
        while running is True:
            passes += 1
            self.answer(machine)
            running = self.go_on(machine)
            self.outputs["commits"].append(records(machine.records))
            self.cycles += 2 * machine.positions + len(machine.wanted) + 20
        if isinstance(running, SamplerFault):
            code = CODES[running.fault]
        return code, passes

    def go_on(self, machine: Machine) -> bool | SamplerFault:
        try:
            return machine.run()
        except SamplerFault as fault:
            return fault
        finally:
            self.cycles += instruction_cycles(machine.executed, machine.jumped, machine.scanned) + 4

    def answer(self, machine: Machine) -> None:
        """A pass: what the model is asked, and random predictions of what is wanted, of which many are alike."""
        s, wanted, g = self.sampler, machine.wanted, self.generator
        one = Pass(*machine.block, machine.since, tuple(wanted), machine.manner, machine.span)
        positions = span(s.block or None, one, machine.positions, s.shift)
        beats: Packet = [
            {"token": machine.tokens[p], "wanted": p in wanted, "end": p + 1 == positions.stop} for p in positions
        ]
        self.outputs["tokens"].append(beats)
        self.outputs["manners"].append(self.told(machine, positions.start))
        if s.kept:
            seen = positions.stop if s.block else machine.positions
            told = {"slot": 0, "first": positions.start, "stop": positions.stop, "seen": seen}
            self.outputs.setdefault("spans", []).append([told])
        tokens = integers(g, 0, s.vocab_size - 1, (len(wanted),))
        tokens = torch.where(torch.rand(len(wanted), generator=g) < 0.2, s.mask_token_id, tokens)
        spreads: Tensor = integers(g, 1, (1 << len(s.result.payload.spread)) - 1, (len(wanted),))
        if self.draw(0, 1):
            spreads = integers(g, 6, 8, (len(wanted),))
        self.predict(machine, tokens.tolist(), spreads.tolist())

    def told(self, machine: Machine, first: int) -> Packet:
        """The manner of a pass from position `first` on."""
        packet, manner = manner_packet(machine.head[:SUPPRESSED], self.sampler.vocab_size), machine.manner
        if self.sampler.noise:
            packet[0] |= {name: getattr(manner, name) for name in ("temperature", "seed", "step")} | {"position": first}
        return packet

    def predict(self, machine: Machine, tokens: list[int], spreads: list[int]) -> None:
        """What the model says of the positions that are wanted."""
        machine.answer(tokens, spreads)
        if tokens:
            pairs = zip(tokens, spreads, strict=True)
            self.inputs["result"].append([{"token": t, "spread": v} for t, v in pairs])


def tokens_but_mask(host: Host, count: int) -> list[int]:
    """Tokens that a prompt may have."""
    mask = host.sampler.mask_token_id
    return [t + (t >= mask) for t in integers(host.generator, 0, host.sampler.vocab_size - 2, (count,)).tolist()]


def random_runs(host: Host, runs: int) -> None:
    """Random prompts and programs, of which some make no sense."""
    depth = host.sampler.max_positions
    for _ in range(runs):
        prompt = tokens_but_mask(host, host.draw(1, depth - 2))
        gen = host.draw(1, depth - len(prompt)) + (host.draw(0, 9) == 0)
        if host.draw(0, 9) == 0:
            prompt[host.draw(0, len(prompt) - 1)] = host.sampler.mask_token_id
        sizes = len(prompt), len(prompt) + gen, host.sampler.vocab_size, head_words(host.sampler)
        program = random_program(host.draw, *sizes)
        at = host.draw(0, min(host.words, PROGRAM_WORDS - len(program.words)))
        host.run(prompt, program, gen, at, marked=host.draw(0, 9) != 0, again=host.draw(0, 3) == 0)


def fixed_runs(host: Host) -> None:
    """Programs that samplers are made of, at every length of prompt and generation that fits."""
    depth = host.sampler.max_positions
    for program in fixed_programs() + near_programs() * host.sampler.vicinity:
        for length in (1, 3, depth - 1):
            for gen in {1, depth - length}:
                host.run(tokens_but_mask(host, length), program, gen)


def corner_runs(host: Host) -> None:
    """Every refusal for each of its reasons, and a good run behind each."""
    s = host.sampler
    good = fixed_programs()[0]
    others = [token for token in (0, 1, s.vocab_size - 2, s.vocab_size - 1) if token != s.mask_token_id]
    first, last = others[0], others[-1]
    host.run([first], None, 4, registers={"entry": 0})
    host.run([first], None, 4, registers={"entry": 1 << 16})
    host.run([last, first, last], good, 4)
    for change in ({"prompt_length": 0}, {"gen_length": 0}, {"gen_length": s.max_positions - 2}, {"gen_length": 65535}):
        host.run(None, None, 4, registers=change)
    for program in (host.words + 1 << 16, 1 | host.words << 16):
        host.run(None, None, 4, registers={"entry": program})
    for length in (2, 65535):
        host.run(None, None, 4, registers={"prompt_length": length})
    for token in (s.vocab_size, s.vocab_size | 1 << 31, 1 << 24, s.mask_token_id):
        host.run([first, token, last], good, 4)
        host.run([first, last, token], good, 4)
    host.run([first] * (s.max_positions + 5), good, 4, registers={"prompt_length": 3})
    host.run([first, s.vocab_size, last], good, 4, marked=0)
    host.run([last], good, 4)
    host.run([last, last], good, 4, marked=0, registers={"gen_length": 0})
    host.run(None, good, 4, registers={"prompt_length": 2})
    host.run([first], good, s.max_positions - 1, at=host.words)


def _case(
    vocab_size: int,
    mask_token_id: int,
    max_positions: int,
    spread_width: int,
    block: int = 0,
    shift: int = 0,
    noise: bool = False,
    vicinity: bool = False,
) -> Case:
    def component() -> Sampler:
        size = vocab_size, mask_token_id, max_positions, spread_width
        return Sampler(*size, block=block, shift=shift, limit=LIMIT, noise=noise, vicinity=vicinity)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        host = Host(component(), generator)
        if kind == "corners":
            corner_runs(host)
            fixed_runs(host)
        else:
            random_runs(host, 25)
        return Stimulus(host.inputs, host.outputs, cycles=host.cycles)

    name = f"sampler_{vocab_size}_{max_positions}" + f"_blocks_of_{block}" * (block > 0) + "_shifted" * shift
    name += "_noise" * noise + "_vicinity" * vicinity
    return Case(name, lambda: Hosted(component()), stimulus, 0)


CASES = [_case(19, 17, 12, 22), _case(300, 0, 16, 34), _case(5, 4, 9, 4)]
CASES += [_case(19, 17, 14, 22, 4), _case(5, 4, 9, 4, 1), _case(19, 17, 12, 22, shift=1)]
CASES += [_case(19, 17, 14, 38, 4, noise=True), _case(19, 17, 12, 38, noise=True)]
CASES += [_case(19, 17, 14, 22, vicinity=True), _case(19, 17, 12, 38, shift=1, noise=True, vicinity=True)]
