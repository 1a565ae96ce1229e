"""Outcomes of tests in simulation: for people as a table, for continuous integration as JUnit XML."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from hardloom.flows.console.report import Check, table
from hardloom.gen.build.folder import MANIFEST
from hardloom.golden.files import sha256, write_file

__all__ = ["Outcome", "junit", "report_outcomes"]


@dataclass
class Outcome:
    """One test: its group and name, seconds, what it did, and the message of its failure, or None."""

    group: str
    name: str
    seconds: float
    detail: str
    failure: str | None


def junit(outcomes: Sequence[Outcome], manifest: str) -> bytes:
    """JUnit XML of all outcomes. manifest: SHA-256 of that of the build, a property of the suite."""
    failed = sum(outcome.failure is not None for outcome in outcomes)
    suite = ElementTree.Element("testsuite", name="hardloom", tests=str(len(outcomes)), failures=str(failed))
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", name=MANIFEST, value=manifest)
    for outcome in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=outcome.group, name=outcome.name, time=f"{outcome.seconds:.2f}"
        )
        if outcome.failure is not None:
            ElementTree.SubElement(case, "failure", message=outcome.failure)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True) + b"\n"


def outcome_table(outcomes: Sequence[Outcome]) -> Table:
    """A line for every test of the chip and for every failure; the units' other tests are counted."""
    units = [outcome for outcome in outcomes if outcome.group == "units"]
    rows: list[tuple[str | Text, ...]] = []
    for outcome in outcomes:
        if outcome.group != "units" or outcome.failure is not None:
            result = Text("passed", "green") if outcome.failure is None else Text("FAILED", "bold red")
            what = outcome.failure or outcome.detail
            rows.append((f"{outcome.group}: {outcome.name}", result, f"{outcome.seconds:.1f}", what))
    passed = sum(outcome.failure is None for outcome in units)
    if units:
        rows.append(("units", f"{passed} of {len(units)} passed", f"{sum(u.seconds for u in units):.1f}", ""))
    columns = ("test", "result", "seconds", "what")
    return table(columns, rows, "simulation against the integer model", left=("test", "result", "what"))


def report_outcomes(path: Path, outcomes: Sequence[Outcome]) -> Check:
    """All of them passed. Writes them as JUnit XML to `path`/verify.xml."""
    write_file(path / "verify.xml", junit(outcomes, sha256(path / MANIFEST)))
    return Check(outcomes, [outcome_table(outcomes)], all(outcome.failure is None for outcome in outcomes))
