"""Proof status: which checks of a build have run, by what they left in its folder, and what each of them covers."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.verif.proof.static import recover

__all__ = ["Status", "proof", "recorded"]

RECORD = "verify.xml"
"""What `hardloom verify --sim` leaves in a build."""


@dataclass(frozen=True)
class Status:
    """A check. covers, not_covered: what it proves and what it does not; command: that runs it.

    state: `passed`, `failed`, `not recorded` or `of another build`; told: what it came to, or why it is not known.
    """

    name: str
    covers: str
    not_covered: str
    command: str
    state: str
    told: str


TEXTS = {
    "static": (
        "Weights read back",
        "Every weight, row scale, gain, bias and table entry is read out of the Verilog text and compared with the "
        "quantized checkpoint; a sample of cells a second time, by a parser of others.",
        "The logic of units: a forged unit is found by simulation, not by reading weights.",
        "--static",
    ),
    "chip": (
        "Chip in simulation",
        "Random prompts on the whole chip; every token, confidence and probe point of every step is compared with the "
        "integer model, and refused requests come to their error codes.",
        "Prompts that were not drawn. Timing, power and the physical chip.",
        "--sim",
    ),
    "units": (
        "Units in simulation",
        "The bench of every unit: random and corner packets, backpressure, reset at any time, throughput.",
        "How units work together, which is the chip's simulation.",
        "--sim",
    ),
    "tiles": (
        "Tiles at real width",
        "Tiles of arrays at their real width, and a whole expert, against the integer model.",
        "Tiles that were not drawn.",
        "--sim --tiles 2",
    ),
    "gates": (
        "Mapped netlists",
        "The same benches on the netlists that Yosys and ABC make of an array of every kind.",
        "Clock tree, wires and glitches; arrays that were not chosen.",
        "--gate-level",
    ),
    "faults": (
        "Planted faults",
        "Moved wires, flipped bits and ties decided the other way, each alone, in a copy: the checks find all of them.",
        "Faults of kinds that are not planted.",
        "--faults 200",
    ),
}
"""Of each check its name, what it covers and does not, and its option."""


def proof(subject: Subject, verify: bool) -> Section:
    """The section. verify: read the weights back now."""
    if subject.build is None:
        return Section("proof", "Proof status", missing=subject.no_chip)
    states = recorded(subject.build.path)
    if verify:
        states["static"] = read_back(subject.build)
    else:
        states["static"] = "not recorded", "it leaves no record; `hardloom report --verify` runs it for this page"
    rows = []
    for key, (name, covers, not_covered, option) in TEXTS.items():
        command = subject.command("verify", *option.split())
        rows.append(Status(name, covers, not_covered, command, *states.get(key, ("not recorded", "no record here"))))
    return Section(
        "proof", "Proof status", tuple(dict.fromkeys(row.command for row in rows)), {"rows": rows, "record": RECORD}
    )


def read_back(build: Build) -> tuple[str, str]:
    """State and words of `hardloom verify --static`, which this runs."""
    found = recover(build)
    told = f"{found.matching:,} of {found.weights:,} weights, "
    told += f"{found.matching_constants:,} of {found.constants:,} scales, gains and biases, "
    told += f"{found.matching_entries:,} of {found.entries:,} table entries; "
    told += f"{found.matching_sampled:,} of {found.sampled:,} weights by the second reader"
    if found.proven_when_written:
        told += f"; {found.proven_when_written:,} weights were proven when they were written, and their text is gone"
    if found.complete:
        return "passed", told
    return "failed", f"{told}; first difference: {found.first or 'not named'}"


GROUPS = {"chip": ("chip",), "units": ("units",), "tiles": ("tile", "expert")}
"""Of checks, the groups of their tests in the record, up to a comma."""


def recorded(path: Path) -> dict[str, tuple[str, str]]:
    """State and words of the checks whose record is in the build folder `path`, by their keys in `TEXTS`.

    Raises `UserError` for a record that is none.
    """
    record = path / RECORD
    if not record.is_file():
        return {}
    try:
        root = ElementTree.parse(record).getroot()
    except ElementTree.ParseError as error:
        raise UserError(f"{record}: is no JUnit XML ({error}); run `hardloom verify {path} --sim` again") from None
    named = {one.get("value") for one in root.iter("property") if one.get("name") == MANIFEST}
    same = named == {sha256(path / MANIFEST)}
    found = {}
    for key, groups in GROUPS.items():
        tests = [test for test in root.iter("testcase") if test.get("classname", "").split(",")[0] in groups]
        failures = [failure.get("message", "") for test in tests for failure in test.iter("failure")]
        if not tests:
            continue
        told = f"{len(tests) - len(failures)} of {len(tests)} tests of {RECORD} passed"
        told += f"; first failure: {failures[0]}" if failures else ""
        if not same:
            found[key] = "of another build", f"{told}, and it names another {MANIFEST} than this one"
        else:
            found[key] = "failed" if failures else "passed", told
    return found
