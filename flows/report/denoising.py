"""Denoising: every step of a run, with the candidates that the sampler did not take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hardloom.flows.pictures.denoising import Cell, timeline, token_label
from hardloom.flows.report.run import Candidate, GoldenRun, Taken
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.golden.training.accuracy import answer_text
from hardloom.verif.chip.simulation import Run

__all__ = ["ShownCell", "ShownStep", "denoising", "sample_words"]


@dataclass(frozen=True)
class ShownCell:
    """A position after a step.

    state: `prompt`, `masked`, `rejected` (a candidate that was not taken), `written`, `edited` (written over a token),
    `returned` (a mask put back) or `kept`. label: of its token, or of the candidate; chance: its probability, or "".
    """

    position: int
    state: str
    label: str
    chance: str
    told: str


@dataclass(frozen=True)
class ShownStep:
    """number: 0 before the first one; told: in words; cells: of all positions.

    candidates: rows of a table: position, what became of the candidate, then tokens and probabilities.
    """

    number: int
    told: str
    cells: list[ShownCell]
    candidates: list[tuple[int, str, list[tuple[str, str]]]]


def sample_words(run: GoldenRun) -> list[str]:
    """What `hardloom sample` is given for the same run."""
    sampling = run.sampling
    words = ["--prompt-tokens", ",".join(map(str, run.prompt)), "--sampler", sampling.sampler]
    words += ["--gen-length", str(sampling.gen_length)]
    for name, value in sampling.values:
        words += ["--set", f"{name}={value}"]
    return words


def denoising(subject: Subject, run: GoldenRun) -> Section:
    """The section."""
    model, tokenizer = subject.model, subject.tokenizer
    records = [[list(record) for record in step.records] for step in run.steps]
    rows = timeline(Run(run.prompt, run.sampling, records), model.mask_token)
    tokens = [model.mask_token if cell.token is None else cell.token for cell in rows[-1]][len(run.prompt) :]
    held = {
        "steps": list(shown_steps(subject, run, rows)),
        "prompt": None if tokenizer is None else tokenizer.decode(run.prompt, skip_special_tokens=False),
        "answer": None if tokenizer is None else answer_text(tokens, tokenizer, model.eos_token_ids),
        "tokens": tokens,
        "sampler": str(run.sampling),
        "filled": sum(token != model.mask_token for token in tokens),
        "saturated": sum(run.saturated.values()),
    }
    command = subject.command("sample", "--engine", "golden", *sample_words(run), "--trace")
    return Section("denoising", "Denoising, step by step", (command,), held)


def shown_steps(subject: Subject, run: GoldenRun, rows: Sequence[list[Cell]]) -> Iterator[ShownStep]:
    """The sequence before the first step, and after each: `rows`."""
    nothing = Taken((), (), ())
    for number, (row, taken) in enumerate(zip(rows, [nothing, *run.steps], strict=True)):
        yield shown_step(subject, number, row, taken, len(run.prompt))


def shown_step(subject: Subject, number: int, row: list[Cell], taken: Taken, prompt: int) -> ShownStep:
    """One of them. prompt: its length."""

    def label(token: int) -> str:
        return token_label(token, subject.tokenizer, subject.model)

    fates = {one.position: fate(one, row[one.position]) for one in taken.candidates}
    rejected = {one.position: one for one in taken.candidates if fates[one.position] == REJECTED}
    returned = {position for position, token, _ in taken.records if token == subject.model.mask_token}
    cells = []
    for position, cell in enumerate(row):
        fresh = cell.step == number > 0
        if cell.token is None:
            state = "returned" if position in returned else "rejected" if position in rejected else "masked"
        else:
            state = "prompt" if position < prompt else "kept" if not fresh else "edited" if cell.edit else "written"
        text, chance = "" if cell.token is None else label(cell.token), cell.probability if fresh else 0.0
        if state == "rejected":
            token, chance = rejected[position].tops[0]
            text = label(token)
        figure = f"{chance:.3f}" if chance else ""
        told = f"position {position}: {STATES[state]}" + (f", {text}" if text else "")
        cells.append(ShownCell(position, state, text, figure, told + (f", probability {figure}" if figure else "")))
    table = [
        (one.position, fates[one.position], [(label(token), f"{chance:.3f}") for token, chance in one.tops])
        for one in taken.candidates
    ]
    written = len({position for position, _, _ in taken.records})
    told = "before the first step"
    if number:
        told = f"step {number}: {written} written, {len(rejected)} candidates not taken"
    return ShownStep(number, told, cells, table)


REJECTED = "not taken"


def fate(one: Candidate, cell: Cell) -> str:
    """What became of a candidate. cell: its position after the step."""
    return "taken" if one.taken else "there already" if one.tops[0][0] == cell.token else REJECTED


STATES = {
    "prompt": "prompt",
    "masked": "masked",
    "rejected": "masked, candidate not taken",
    "written": "written in this step",
    "edited": "written over a token in this step",
    "returned": "masked again in this step",
    "kept": "written before",
}
"""Of a cell, in words."""
