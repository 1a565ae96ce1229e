"""`hardloom export`: the folder, file by file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.console.report import Part, facts
from hardloom.flows.export.bench_files import bench
from hardloom.flows.export.constraints import physical
from hardloom.flows.export.lists import lists, rtl, verilog_names
from hardloom.flows.export.registers import check_tools, registers
from hardloom.flows.export.templates import render
from hardloom.flows.models.sample import Prompt
from hardloom.gen.build.folder import Build
from hardloom.gen.design.adapter_image import check_rank
from hardloom.golden.checkpoints.lora import read_lora
from hardloom.golden.checkpoints.tokenizer import load_tokenizer
from hardloom.golden.errors import UserError
from hardloom.golden.files import Contents, write_file
from hardloom.golden.folders import claimed, delete, inside
from hardloom.golden.samplers.sampling import Sampling
from hardloom.verif.simulators.links import is_plain

__all__ = ["Exported", "export", "exported_parts"]

SUMS = "SHA256SUMS"
"""Names every file of the export, as `sha256sum -c` reads it; written last."""

NAME = re.compile(r"[0-9a-f]{64}  ((?:\w[\w.-]*/)*\w[\w.-]*)", re.ASCII)


@dataclass(frozen=True)
class Exported:
    """What was written: to which folder, the top module, files in all and of Verilog, the prompt if it has a bench."""

    folder: str
    top: str
    files: int
    verilog: int
    prompt: list[int] | None


def export(
    path: Path,
    out: Path,
    given: Prompt,
    sampling: Sampling,
    fpga: bool = False,
    adapter: Path | None = None,
    boxes: bool = False,
) -> Exported:
    """The build `path` into the folder `out`; fpga: for an FPGA, with register enables for clock gates; adapter: a
    folder of PEFT, for the bench; boxes: arrays as empty modules, and no bench.

    Raises UserError for a build that is no whole chip, a prompt that it cannot take, options that go not together, and
    a folder that is not ours or that tools cannot name.
    """
    if boxes and (fpga or adapter or given != Prompt()):
        raise UserError("--boxes: has no bench, and is not for FPGAs; leave out --fpga, --adapter and the prompt")
    build = Build(path)
    top = build.require_chip()
    check_tools()
    if not is_plain(out):
        raise UserError(
            f"{out.resolve()}: holds characters at which tools split a file list; name a folder of letters, digits, "
            "dots, dashes and underscores"
        )
    prompt, tests = (None, {}) if boxes else asked_bench(build, given, sampling, adapter)
    with claimed(out, "export"):
        sums = {name: write_file(inside(out, name), contents) for name, contents in products(build, out, fpga, boxes)}
        sums |= {name: write_file(inside(out, name), contents) for name, contents in tests.items()}
        for name in earlier(out) - sums.keys():
            delete(out, name)
        write_file(inside(out, SUMS), "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))
    return Exported(str(out), top, len(sums), len(verilog_names(build, boxes)), prompt)


def asked_bench(
    build: Build, given: Prompt, sampling: Sampling, adapter: Path | None
) -> tuple[list[int], dict[str, Contents]]:
    """The bench's prompt and files, and what is refused before anything is written."""
    checkpoint = build.checkpoint()
    prompt = given.read_or_choose(checkpoint.path, checkpoint.model, load_tokenizer(checkpoint.path))
    lora = None if adapter is None else read_lora(adapter, checkpoint.config, checkpoint.model)
    if lora:
        check_rank(build.hardware, lora)
    return prompt, dict(bench(build, checkpoint, prompt, sampling, lora))


def products(build: Build, out: Path, fpga: bool, boxes: bool) -> Iterator[tuple[str, Contents]]:
    """Every file but those of the bench, by its name in the folder `out`."""
    yield from rtl(build, fpga, boxes)
    yield from lists(build, out, fpga, boxes)
    yield from registers(build)
    yield from physical(build, fpga, boxes)
    version = build.manifest.tool_version
    yield "README.md", render("README.md", top=build.require_chip(), version=version, fpga=fpga, boxes=boxes)


def earlier(out: Path) -> set[str]:
    """Names of the files of an earlier export there."""
    sums = inside(out, SUMS)
    lines = sums.read_text(errors="replace").splitlines() if sums.is_file() else []
    return {found[1] for line in lines if (found := NAME.fullmatch(line))}


def exported_parts(found: Exported) -> Iterator[Part]:
    """What is where, and how to begin."""
    rows = [("top module", found.top), ("files", f"{found.files:,}, {found.verilog:,} of them Verilog")]
    yield facts([*rows, ("first page", f"{found.folder}/README.md")])
    if found.prompt is not None:
        yield f"pip install -r {found.folder}/bench/requirements.txt; python {found.folder}/bench/run.py"
