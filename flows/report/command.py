"""`hardloom report`: what is asked, the sections in order, and the page of them."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, facts
from hardloom.flows.models.demonstration import mixed_problems, recipe_of
from hardloom.flows.models.rtl_engine import simulated
from hardloom.flows.models.sample import Prompt
from hardloom.flows.models.samplers import asked_sampling
from hardloom.flows.report.area import area
from hardloom.flows.report.costs import check_costs, costs
from hardloom.flows.report.denoising import denoising, sample_words
from hardloom.flows.report.designs import designs
from hardloom.flows.report.estimate import estimate, estimated
from hardloom.flows.report.page import page
from hardloom.flows.report.proof import proof, recorded
from hardloom.flows.report.provenance import provenance
from hardloom.flows.report.registers import registers
from hardloom.flows.report.rounding import rounding
from hardloom.flows.report.routing import routing
from hardloom.flows.report.run import GoldenRun, check_run, golden_run
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.flows.report.timeline import timeline
from hardloom.flows.report.wiring import chosen_array, wiring
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file
from hardloom.golden.samplers.sampling import Sampling
from hardloom.verif.chip.simulation import SimulatedChip

__all__ = ["Asked", "Reported", "report", "report_parts"]

SECTIONS = 11
"""Beside provenance, for the progress bar."""


@dataclass(frozen=True)
class Asked:
    """What of a page is chosen.

    Attributes
    ----------
    prompt: of the run; sampler, gen_length, settings: as of `hardloom sample`.
    array, neuron: whose wires are drawn; None: an array of an expert.
    node: of the estimate.
    verify: read all weights back for the page; simulate: measure its timeline on the simulated chip.
    sensitivity: a record of `hardloom sensitivity` to show.
    """

    prompt: Prompt = field(default_factory=Prompt)
    sampler: str | None = None
    gen_length: int = 16
    settings: tuple[str, ...] = ()
    array: str | None = None
    neuron: int = 0
    node: str = "5nm"
    verify: bool = False
    simulate: bool = False
    sensitivity: Path | None = None


@dataclass(frozen=True)
class Reported:
    """What was written.

    Attributes
    ----------
    file: of the page; bytes: of it.
    sections: names of those that show something; left_out: why others do not, by name.
    prompt, tokens: of the run, as ids; tokens are those that it generated.
    """

    file: str
    bytes: int
    sections: list[str]
    left_out: dict[str, str]
    prompt: list[int]
    tokens: list[int]


def report(path: Path, out: Path, asked: Asked) -> Reported:
    """The page of a build or a checkpoint. Raises `UserError` for what cannot be, before anything is worked out."""
    subject = Subject.of(path)
    prompt, sampling = run_of(subject, asked)
    check_run(subject, prompt, sampling)
    Assumptions.of(asked.node)
    check_costs(subject, asked.sensitivity)
    check_build(subject, asked)
    chip = simulated(subject.build) if asked.simulate and subject.build is not None else None
    run = golden_run(subject, prompt, sampling)
    sections = []
    with progress_bar(f"showing {path}", "sections") as progress:
        for section in made(subject, run, chip, asked, out.parent):
            sections.append(section)
            progress(len(sections), SECTIONS)
    first = provenance(subject, page_command(subject, run, asked, out), sections)
    text = page(f"{subject.model.family}, {path.name}", [first, *sections])
    write_file(out, text)
    missing = {one.name: one.missing for one in sections if one.missing is not None}
    shown = [one.name for one in [first, *sections] if one.missing is None]
    tokens = next(one.held["tokens"] for one in sections if one.name == "denoising")
    return Reported(str(out), len(text.encode()), shown, missing, prompt, tokens)


def check_build(subject: Subject, asked: Asked) -> None:
    """Raise `UserError` where something is asked for that only a build, or a chip, has, or that this one has not."""
    if asked.simulate and not subject.is_chip:
        raise UserError(f"--simulate: {subject.no_chip}; leave it out")
    if subject.build is not None:
        chosen_array(subject.build, asked.array, asked.neuron)
        recorded(subject.build.path)
    elif asked.array is not None or asked.verify:
        option = "verify" if asked.verify else "array"
        raise UserError(f"--{option}: {subject.path} is a checkpoint, and of a build alone; leave it out")


def run_of(subject: Subject, asked: Asked) -> tuple[list[int], Sampling]:
    """Prompt and sampler. Where no prompt is given, a demonstration has the first problem of its own."""
    causal = subject.model.mask_token_id is None
    sampling = asked_sampling(asked.sampler, asked.gen_length, {}, asked.settings, causal)
    prompt = asked.prompt
    if prompt == Prompt():
        with suppress(UserError):  # no demonstration's model
            prompt = Prompt(mixed_problems(recipe_of(subject.folder).tasks, 1)[0].prompt)
    return prompt.read_or_choose(subject.folder, subject.model, subject.tokenizer), sampling


def made(subject: Subject, run: GoldenRun, chip: SimulatedChip | None, asked: Asked, folder: Path) -> Iterator[Section]:
    """All sections but provenance, in the order of the page. chip: that the timeline is measured on; folder: of it."""
    yield denoising(subject, run)
    yield routing(subject, run)
    found = estimated(subject, asked.node)
    yield area(subject, found, asked.node, folder)
    yield registers(subject)
    yield proof(subject, asked.verify)
    yield wiring(subject, asked.array, asked.neuron)
    yield timeline(subject, run, chip)
    yield rounding(subject)
    yield costs(subject, asked.sensitivity)
    yield estimate(subject, found, asked.node)
    yield designs(subject, asked.node)


def page_command(subject: Subject, run: GoldenRun, asked: Asked, out: Path) -> str:
    """The command that makes the page again."""
    words = [*sample_words(run), "--node", asked.node]
    if asked.array is not None:
        words += ["--array", asked.array]
    if asked.neuron:
        words += ["--neuron", str(asked.neuron)]
    words += ["--verify"] if asked.verify else []
    words += ["--simulate"] if asked.simulate else []
    words += [] if asked.sensitivity is None else ["--sensitivity", str(asked.sensitivity)]
    return f"{subject.command('report', *words)} -o {shlex.quote(str(out))}"


def report_parts(found: Reported) -> Iterator[Part]:
    """What is in it, and what is not and why."""
    yield facts([("page", f"{found.file}, {found.bytes:,} bytes"), ("shows", ", ".join(found.sections))])
    for name, why in found.left_out.items():
        yield f"without {name}: {why}"
