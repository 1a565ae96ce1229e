"""The documentation says what the code does."""

import ast
import inspect
import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import typer

from hardloom.flows.cli.app import commands
from hardloom.gen.design.axi_ports import NO_POSITION, commit_record
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.latency import INSTRUCTION, LONGER
from hardloom.gen.design.queues import Queues
from hardloom.gen.design.registers import ErrorCode, registers_of
from hardloom.golden.checkpoints.families import FAMILIES
from hardloom.golden.checkpoints.families.rules import HARMLESS
from hardloom.golden.samplers import machine
from hardloom.golden.samplers.machine import Op
from hardloom.golden.samplers.sampling import SAMPLERS
from tests import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CHIP = (ROOT / "docs" / "chip.md").read_text()


def table(text: str, first: str) -> list[list[str]]:
    """Rows of the Markdown table whose first header is `first`, as cells without backquotes."""
    rows = re.search(rf"^\| {first} \|.*\n\|[ |-]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)[1].splitlines()
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def test_the_register_table_is_the_hardware_s():
    expected = [[r.name, f"0x{r.address:02X}", r.access, str(r.width), r.meaning] for r in registers_of(1)]
    assert table(CHIP, "register") == expected


def test_the_error_codes_are_the_hardware_s():
    assert table(CHIP, "code") == [[str(int(c)), c.name, c.doc] for c in ErrorCode if c]


def test_the_commit_record_is_the_hardware_s():
    layout = {name: f"{field.offset + field.width - 1}:{field.offset}" for name, field in commit_record()}
    assert {row[1]: row[0] for row in table(CHIP, "bits")} == layout
    assert f"0x{NO_POSITION:X}" in CHIP


def test_every_field_of_the_hardware_configuration_is_described():
    assert [row[0] for row in table(CHIP, "field")] == [f.name for f in fields(HardwareConfig)]
    assert [row[:2] for row in table(CHIP, "queue")] == [[n, str(depth)] for n, depth in asdict(Queues()).items()]


def names_of(text: str, first: str) -> dict[str, str]:
    """Of a table whose rows have several names first: each name to the row's last cell."""
    return {name.strip(" `"): why for names, why in table(text, first) for name in names.split(",")}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_field_of_a_checkpoint_is_described_with_its_reason(family):
    page = (ROOT / "docs" / "checkpoints.md").read_text()
    rules = family.rules
    fixed = [(row[0], row[2]) for row in table(page, f"fixed field of {family.name}")]
    assert fixed == [(name, why) for name, (_, why) in rules.fixed.items()]
    if rules.harmless:
        assert names_of(page, f"field of {family.name} without effect") == rules.harmless
    section = page.split(f"### {family.name}\n")[1].split("###")[0]
    assert [name for name in rules.used if f"`{name}`" not in section] == []
    assert names_of(page, "field without effect") == HARMLESS


def test_the_samplers_and_their_instructions_are_those_of_the_code():
    page = (ROOT / "docs" / "samplers.md").read_text()
    assert [row[0] for row in table(page, "sampler")] == list(SAMPLERS)
    (body,) = (n.body for n in ast.walk(ast.parse(inspect.getsource(machine))) if getattr(n, "name", "") == "Op")
    texts = [" ".join(one.value.value.split()) for one in body[2::2]]  # behind the docstring, name and text in turns
    rows = zip(Op, texts, strict=True)
    expected = [f"| {int(op)} | {op.name} | {text} | {INSTRUCTION + LONGER.get(op, 0)} |" for op, text in rows]
    assert page.split("| op | name |")[1].replace("\\|", "|").splitlines()[2:] == expected


def anchors(page: Path) -> set[str]:
    """What links may name of a page: its headings, as browsers of repositories spell them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_pictures_are_small():
    assert [p.name for p in (ROOT / "docs" / "images").glob("*") if p.stat().st_size > 300_000] == []


def test_the_page_of_commands_names_every_command_and_no_other():
    group = typer.main.get_command(commands)
    documented = set(re.findall(r"`hardloom ([a-z-]+)", (ROOT / "docs" / "commands.md").read_text()))
    assert documented == set(group.commands)


def test_every_command_has_an_example():
    group = typer.main.get_command(commands)
    leaves = [c for g in group.commands.values() for c in getattr(g, "commands", {"": g}).values()]
    assert [c.name for c in leaves if "Example: hardloom" not in (c.help or "")] == []
