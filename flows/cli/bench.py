"""The commands that measure the figures of docs/benchmarks.md."""

from pathlib import Path
from typing import Annotated

import typer

from hardloom.flows.cli.options import MOST, Json, LayoutCells, LayoutLiberty, folder, given_file, new_folder, text
from hardloom.flows.cli.outputs import COST_MODEL, PAGE, PICTURE
from hardloom.flows.console.report import show
from hardloom.golden.checkpoints.shipped import DEMO, DEMO2
from hardloom.golden.errors import UserError

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Measure the figures of docs/benchmarks.md.")


@commands.command()
def accuracy(
    ckpt: Annotated[
        Path | None, typer.Argument(parser=folder, help="Folder of a checkpoint from `hardloom train`; default: demo.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, max=MOST, help="Held-out problems, the tasks in turn.")] = 500,
    device: Annotated[str, typer.Option(parser=text, help="A torch device.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Held-out exact match of the float and the 4-bit model, what a pass of each costs, and the load of every expert.

    Example: hardloom bench accuracy --prompts 500
    """
    from hardloom.flows.bench.accuracy import accuracy, accuracy_parts

    found = accuracy(ckpt or DEMO, prompts, device=device)
    show(found, as_json, accuracy_parts(found))


@commands.command("samplers")
def bench_samplers(
    ckpt: Annotated[
        Path | None, typer.Argument(parser=folder, help="Folder of a checkpoint from `hardloom train`; default: demo2.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, max=MOST, help="Held-out problems, the tasks in turn.")] = 300,
    vicinity: Annotated[
        list[int] | None,
        typer.Option(min=0, max=MOST, help="Each sampler with this vicinity besides; may be given several times."),
    ] = None,
    device: Annotated[str, typer.Option(parser=text, help="A torch device.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Exact match and tokens a forward pass of every sampler of the library, of the float and the 4-bit model.

    Example: hardloom bench samplers checkpoints/demo2 --prompts 300
    """
    from hardloom.flows.bench.samplers import samplers, samplers_parts

    found = samplers(ckpt or DEMO2, prompts, device, vicinity or ())
    show(found, as_json, samplers_parts(found))


@commands.command("arrays")
def bench_arrays(
    sizes: Annotated[str, typer.Option(parser=text, help="Neurons x inputs, separated by commas.")] = (
        "16x64,64x256,128x1024,128x2048"
    ),
    styles: Annotated[
        str | None, typer.Option(parser=text, help="Styles, separated by commas; all by default.")
    ] = None,
    liberty: Annotated[
        list[Path] | None,
        typer.Option(parser=given_file, help="Cell library; several files that belong together. Default: embedded."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(parser=folder, help="Quantized checkpoint whose rows are taken. Default: normal weights."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(parser=text, help="Kind of the checkpoint's matrices, such as down. Default: whichever fit."),
    ] = None,
    format: Annotated[str, typer.Option(parser=text, help="Weight format, as of `hardloom quantize`.")] = "mxfp4",
    plot: Annotated[Path | None, typer.Option(parser=PICTURE.path, help="Picture to write, PNG or SVG.")] = None,
    place: Annotated[
        bool,
        typer.Option("--place", help="Place arrays whole, too (Coloquinte): their wires over the tracks there are."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Area, cycles and time of hardwired arrays in every style, of da4ml's and of plain Verilog.

    Example: hardloom bench arrays --sizes 16x64,128x2048 --liberty nangate45.lib
    """
    from hardloom.flows.bench.arrays import arrays, arrays_parts, parse_sizes
    from hardloom.flows.synth.library.files import read_library

    wanted, library = parse_sizes(sizes), read_library(liberty or [])
    found = arrays(wanted, styles or "", library, weights, kind, format, plot, place)
    show(found, as_json, arrays_parts(found, library.name, format), width=120)


@commands.command()
def chip(
    build: Annotated[Path, typer.Argument(parser=folder, help="Build folder that `hardloom generate` wrote.")] = Path(
        "build/demo/chip"
    ),
    prompts: Annotated[int, typer.Option(min=1, max=MOST, help="Random prompts to run.")] = 20,
    as_json: Json = False,
) -> None:
    """Build time, simulated cycles a second, cycles a step and the bound of the busiest unit.

    Example: hardloom bench chip build/demo/chip
    """
    from hardloom.flows.bench.chip import chip, chip_parts
    from hardloom.flows.models.sample import quantized_of
    from hardloom.flows.models.saturations import counted_by_chip, report_saturated

    found = chip(build, prompts)
    show(found, as_json, chip_parts(found))
    report_saturated(quantized_of(build), counted_by_chip(found.saturated))


@commands.command()
def cycles(as_json: Json = False) -> None:
    """The cycle model of `estimate` and `explore` against Verilator: small chips of many geometries.

    Example: hardloom bench cycles
    """
    from hardloom.flows.bench.cycles import cycles, cycles_parts

    found = cycles()
    show(found, as_json, cycles_parts(found))


@commands.command()
def timeline(
    build: Annotated[Path, typer.Argument(parser=folder, help="Build folder that `hardloom generate` wrote.")] = Path(
        "build/demo/chip"
    ),
    out: Annotated[
        Path | None, typer.Option("-o", "--output", parser=PICTURE.path, help="PNG or SVG to write.")
    ] = None,
    as_json: Json = False,
) -> None:
    """When packets pass each probe point of a chip, over a forward of 22 positions: measured, and by the cycle model.

    Example: hardloom bench timeline build/demo/chip -o build/timeline.png
    """
    from hardloom.flows.bench.timeline import timeline, timeline_parts

    found = timeline(build, out)
    show(found, as_json, timeline_parts(found))


@commands.command("layout")
def bench_layout(
    liberty: LayoutLiberty = None,
    cells: LayoutCells = None,
    as_json: Json = False,
) -> None:
    """Tiles of several styles and sizes in metal: wires routed and predicted, faults, the clock with wires.

    Example: hardloom bench layout --liberty sky130hd_tt.lib.gz
    """
    from hardloom.flows.bench.layout import layout_rows_parts, layouts

    found = layouts(cells, liberty or ())
    show(found, as_json, layout_rows_parts(found), width=120)


@commands.command()
def equivalence(
    styles: Annotated[
        str | None, typer.Option(parser=text, help="Styles, separated by commas; all by default.")
    ] = None,
    formats: Annotated[
        str | None, typer.Option(parser=text, help="Weight formats, separated by commas; all by default.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=64, help="Neurons of each array.")] = 4,
    inputs: Annotated[int, typer.Option(min=2, max=64, help="Inputs of each array; eight take long.")] = 4,
    lanes: Annotated[int, typer.Option(min=1, max=64, help="Elements a beat.")] = 2,
    as_json: Json = False,
) -> None:
    """Yosys proves small arrays of every style equal to W @ x, for all inputs. Exit code 1 where it does not.

    Example: hardloom bench equivalence --styles metal,rom --formats mxfp4
    """
    from hardloom.flows.bench.equivalence import equivalence

    chosen = [tuple(filter(None, (names or "").split(","))) for names in (styles, formats)]
    if not equivalence(chosen[0], chosen[1], rows, inputs, lanes).show(as_json, width=100):
        raise typer.Exit(1)


@commands.command()
def layer(
    experts: Annotated[int, typer.Option(min=1, max=64, help="Experts of the layer.")] = 64,
    growth: Annotated[bool, typer.Option("--growth", help="Layers of 1, 4, 16 and 64 experts too.")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="With embedding, head and units, the vocabulary published.")
    ] = False,
    compress: Annotated[bool, typer.Option("--compress", help="Verilog as .v.zst, a fifth of the disk.")] = False,
    folder: Annotated[Path, typer.Option(parser=folder, help="Where to work, in a new folder that goes again.")] = Path(
        "build/bench-layer"
    ),
    as_json: Json = False,
) -> None:
    """One layer of LLaDA-MoE-7B from checkpoint to Verilog to proof: seconds, weights a second, memory, bytes.

    Example: hardloom bench layer --experts 4
    """
    from hardloom.flows.bench.layer import layer, layer_parts

    found = layer(experts, growth, compress, whole, folder)
    show(found, as_json, layer_parts(found))


@commands.command()
def whole(
    ckpt: Annotated[
        Path | None, typer.Argument(parser=folder, help="Folder of a checkpoint. Default: a made-up one, see --like.")
    ] = None,
    like: Annotated[
        str, typer.Option(parser=text, help="A published architecture, such as llada-moe-7b.")
    ] = "llada-moe-7b",
    layers: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Layers of the made-up one, all by default.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(parser=text, help="Of all matrices, as `hardloom quantize` has it.")
    ] = None,
    hardware: Annotated[
        Path | None,
        typer.Option(parser=given_file, help="JSON file of hardware fields, as from `hardloom explore -o`."),
    ] = None,
    drop: Annotated[
        bool, typer.Option("--prove-and-drop", help="Read each array back as it is written, and keep its hash alone.")
    ] = False,
    out: Annotated[
        Path, typer.Option("-o", "--output", parser=new_folder, help="Folder to work in; a killed run goes on there.")
    ] = Path("build/whole"),
    as_json: Json = False,
) -> None:
    """A whole model of published size from checkpoint to compressed Verilog to proof: seconds, memory, bytes.

    Example: hardloom bench whole --like llada-moe-7b --layers 1
    """
    from hardloom.flows.bench.whole import whole, whole_parts

    found = whole(ckpt, like, layers, hardware, format, out, drop)
    show(found, as_json, whole_parts(found))


@commands.command()
def llm(
    ckpt: Annotated[
        Path | None, typer.Argument(parser=folder, help="Folder of a causal model's checkpoint. Default: SmolLM2.")
    ] = None,
    recipes: Annotated[
        str | None, typer.Option(parser=text, help="Recipes, separated by commas; all by default.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=512, max=MOST, help="Of each evaluation text, at most.")] = 2048,
    ask: Annotated[bool, typer.Option(help="Let the last recipe's integer model answer a question.")] = True,
    page: Annotated[
        Path | None, typer.Option(parser=PAGE.path, help="Page whose table is written anew, docs/accuracy.md.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Perplexity of a real language model in floating point, with rounded weights, and in integers.

    Example: hardloom bench llm --recipes float,default
    """
    from hardloom.flows.bench.llm import llm, llm_parts
    from hardloom.flows.bench.llm_page import check_page, write_page

    if page is not None:
        check_page(page)
    found = llm(ckpt, [*filter(None, (recipes or "").split(","))], tokens, ask)
    if page is not None:
        write_page(page, found)
    show(found, as_json, llm_parts(found), width=120)
    if found.broken:
        raise UserError(found.broken)


@commands.command()
def tiles(
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            parser=COST_MODEL.path,
            help="File of the fitted cost model to write; quantities.jsonl beside it.",
        ),
    ],
    liberty: Annotated[
        list[Path] | None, typer.Option(parser=given_file, help="Cell library; several of a process one by one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Synthesize array tiles, fit the cost model of `hardloom explore` to some and check it on others.

    Example: hardloom bench tiles -o build/fit.json
    """
    from hardloom.flows.bench.tiles import tiles, tiles_parts

    found = tiles(out, liberty or [])
    show(found, as_json, tiles_parts(found))
