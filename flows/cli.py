"""The command `hardloom`. Each command imports what it needs when it runs, so that `--help` is quick."""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from golden.errors import UserError

__all__ = ["app", "commands"]

commands = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Weave a quantized mixture-of-experts diffusion language model into silicon.",
)

Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hardloom {version('hardloom')}")
        raise typer.Exit


@commands.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@commands.command()
def info(
    ckpt: Annotated[
        Path, typer.Argument(help="Folder of a checkpoint, of a quantized one, or with config.json alone.")
    ],
    config_only: Annotated[bool, typer.Option("--config-only", help="Count from config.json; ignore weights.")] = False,
    scan: Annotated[bool, typer.Option(help="Read every weight and report NaN and infinity.")] = True,
    as_json: Json = False,
) -> None:
    """Print architecture, parameter counts and a table by kind of matrix.

    Example: hardloom info checkpoints/LLaDA-MoE-7B-A1B-Instruct
    """
    from flows.info import info

    info(ckpt, config_only, scan, as_json)


@commands.command("make-checkpoint")
def make_checkpoint(
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    like: Annotated[str, typer.Option(help="A published architecture, such as llada-moe-7b.")] = "llada-moe-7b",
    layers: Annotated[int | None, typer.Option(min=1, help="Layers, all by default.")] = None,
    experts: Annotated[int | None, typer.Option(min=1, help="Experts a layer, all by default.")] = None,
    vocabulary: Annotated[int | None, typer.Option(min=2, help="Tokens, all by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides every weight.")] = 0,
) -> None:
    """Write a checkpoint of published shape with random weights, to try everything at real size.

    Example: hardloom make-checkpoint --like llada-moe-7b --layers 1 -o build/7b-1layer
    """
    from flows.make_checkpoint import make_checkpoint

    make_checkpoint(like, out, layers, experts, vocabulary, seed)


@commands.command()
def quantize(
    ckpt: Annotated[Path, typer.Argument(help="Folder of a Hugging Face checkpoint.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    format: Annotated[str, typer.Option(help="mxfp4, int4 or ternary.")] = "mxfp4",
    as_json: Json = False,
) -> None:
    """Quantize a checkpoint to 4 bits and print what that cost, by kind of matrix.

    Example: hardloom quantize checkpoints/demo -o build/demo-mxfp4 --format mxfp4
    """
    from flows.quantize import quantize

    quantize(ckpt, out, format, as_json)


@commands.command()
def generate(
    quantized: Annotated[Path, typer.Argument(help="Folder that `hardloom quantize` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Build folder to write; a killed run goes on there.")],
    hardware: Annotated[Path | None, typer.Option(help="JSON file of hardware fields; see docs/chip.md.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Elements a beat of every stream.")] = None,
    max_positions: Annotated[int | None, typer.Option(help="Prompt and generation together, at most.")] = None,
    style: Annotated[str | None, typer.Option(help="Embedding style of the arrays: metal or cell.")] = None,
    slices: Annotated[
        str | None, typer.Option(help="Cycles a bit plane by kind of array, like gate_up=8,down=4.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Arrays of these layers alone, like 0-3,7; no chip.")] = None,
    experts: Annotated[str | None, typer.Option(help="Of the experts' arrays those of these experts alone.")] = None,
    matrices: Annotated[
        str | None, typer.Option(help="Arrays of these kinds alone: qkv, o, router, gate_up, down, head.")
    ] = None,
    compress: Annotated[str | None, typer.Option(help="zstd: arrays as .v.zst; with chosen parts only.")] = None,
    as_json: Json = False,
) -> None:
    """Write the Verilog of the whole chip, its weights in the wiring; or of chosen arrays alone.

    Example: hardloom generate build/demo/quantized -o build/demo/chip
    """
    from flows.generate import generate, parse_numbers, parse_slices
    from gen.matrices import Selection

    chosen = None if slices is None else parse_slices(slices)
    options = {"lanes": lanes, "max_positions": max_positions, "style": style, "slices": chosen}
    kinds = None if matrices is None else tuple(matrices.split(","))
    selection = Selection(parse_numbers("layers", layers), parse_numbers("experts", experts), kinds)
    if compress not in (None, "zstd"):
        raise UserError(f"--compress: {compress!r} is unknown; the only way is zstd")
    generate(quantized, out, hardware, options, selection, compress is not None, as_json)


@commands.command()
def train(
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder to write; a killed run goes on from here.")],
    seed: Annotated[int, typer.Option(min=0, help="Decides everything random.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Updates; for a quick try, fewer than the default.")] = None,
) -> None:
    """Train the demonstration model from scratch, quantization-aware: about 20 minutes of one core.

    Example: hardloom train -o build/trained
    """
    from flows.train import run_training

    run_training(out, seed, steps)


@commands.command()
def sample(
    ckpt: Annotated[Path, typer.Argument(help="Folder of a checkpoint; of a quantized one for golden and rtl.")],
    engine: Annotated[str, typer.Option(help="float, golden or rtl.")] = "golden",
    prompt: Annotated[str | None, typer.Option(help="The prompt as text.")] = None,
    prompt_tokens: Annotated[str | None, typer.Option(help="The prompt as token ids, like 5,9,2.")] = None,
    gen_length: Annotated[int, typer.Option(help="Tokens to generate.")] = 16,
    block_length: Annotated[int, typer.Option(help="Tokens of a block; divides the generation length.")] = 8,
    steps: Annotated[int, typer.Option(help="Denoising steps in all; a multiple of the number of blocks.")] = 8,
    threshold: Annotated[
        float | None, typer.Option(help="Commit what is more probable than this, instead of by steps.")
    ] = None,
    device: Annotated[str, typer.Option(help="A torch device, for float and golden.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Generate text behind a prompt by denoising masked tokens.

    Example: hardloom sample checkpoints/demo --engine golden --prompt 47+85=
    """
    from flows.sample import sample
    from golden.sampler import SamplerParams

    params = SamplerParams(gen_length, block_length, steps, threshold)
    sample(ckpt, engine, prompt, prompt_tokens, params, as_json, device)


@commands.command()
def logits(
    ckpt: Annotated[Path, typer.Argument(help="Folder of a checkpoint; of a quantized one for golden.")],
    tokens: Annotated[str, typer.Option(help="The sequence as token ids, like 5,9,2.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="File to write, NumPy format.")],
    engine: Annotated[str, typer.Option(help="float or golden.")] = "golden",
    device: Annotated[str, typer.Option(help="A torch device.")] = "cpu",
) -> None:
    """Write the logits of one sequence, float32 [positions, vocabulary].

    Example: hardloom logits checkpoints/demo --engine float --tokens 5,9,2 -o out.npy
    """
    from flows.sample import logits

    logits(ckpt, engine, tokens, out, device)


@commands.command()
def verify(
    build: Annotated[Path, typer.Argument(help="Build folder that `hardloom generate` wrote.")],
    static: Annotated[bool, typer.Option("--static", help="Read every weight back out of the Verilog.")] = False,
    against: Annotated[Path | None, typer.Option(help="Another build: which files differ, how many wires.")] = None,
    sim: Annotated[bool, typer.Option("--sim", help="Simulate chip and units against the integer model.")] = False,
    units: Annotated[bool, typer.Option(help="With --sim: the bench of every unit as well.")] = True,
    tiles: Annotated[
        int | None, typer.Option(min=1, help="With --sim, instead of the chip: so many tiles of arrays, and an expert.")
    ] = None,
    faults: Annotated[int | None, typer.Option(min=1, help="Plant so many faults of each kind; all are found?")] = None,
    gates: Annotated[
        bool, typer.Option("--gate-level", help="Simulate the mapped netlists of an array of every kind.")
    ] = False,
    unit: Annotated[
        list[str] | None, typer.Option(help="With --gate-level: a unit's bench as well; repeat it.")
    ] = None,
    liberty: Annotated[list[Path] | None, typer.Option(help="With --gate-level: Liberty file; repeat it.")] = None,
    as_json: Json = False,
) -> None:
    """Prove that a build is what its checkpoint says. Exit code 1 on any difference.

    Example: hardloom verify build/demo/chip --static
    """
    from flows.verify import verify_against, verify_faults, verify_simulation, verify_static

    if not (static or sim or against or faults or gates):
        raise UserError("nothing to verify; give one of --static, --sim, --gate-level, --against BUILD2 and --faults N")
    passed = [verify_static(build, as_json)] if static else []
    passed += [verify_against(build, against, as_json)] if against else []
    if sim and tiles:
        from flows.verify_tiles import verify_tiles

        passed += [verify_tiles(build, tiles, as_json)]
    elif sim:
        passed += [verify_simulation(build, units, as_json)]
    passed += [verify_faults(build, faults, as_json)] if faults else []
    if gates:
        from flows.synth.gate_level import verify_gates

        passed.append(verify_gates(build, unit or [], liberty or [], as_json))
    if not all(passed):
        raise typer.Exit(1)


@commands.command()
def estimate(
    ckpt: Annotated[Path | None, typer.Argument(help="Folder of a checkpoint; its config.json is enough.")] = None,
    like: Annotated[str | None, typer.Option(help="A published architecture by name, like llada-moe-7b.")] = None,
    node: Annotated[str, typer.Option(help="5nm, 7nm, 28nm or 130nm.")] = "5nm",
    design: Annotated[str | None, typer.Option(help="hardloom, or hnlpu: the design of that paper.")] = None,
    arrays: Annotated[str | None, typer.Option(help="With design hnlpu: hnlpu's arrays, or hardloom's.")] = None,
    sampler: Annotated[str | None, typer.Option(help="whole, cached, block or autoregressive.")] = None,
    tokens_per_second: Annotated[float | None, typer.Option(help="Throughput to design for.")] = None,
    prompt_length: Annotated[int | None, typer.Option(help="Tokens of a prompt.")] = None,
    gen_length: Annotated[int | None, typer.Option(help="Tokens generated.")] = None,
    tokens_per_forward: Annotated[float | None, typer.Option(help="Tokens that a forward pass commits.")] = None,
    expert_imbalance: Annotated[float | None, typer.Option(help="Load of the busiest expert over the mean.")] = None,
    styles: Annotated[str | None, typer.Option(help="Array styles to choose from, like metal,rom.")] = None,
    tornado: Annotated[Path | None, typer.Option(help="File of a sensitivity plot; PNG and SVG are written.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Table of published systems beside ours.")] = False,
    as_json: Json = False,
) -> None:
    """What a whole chip would be: area, dies, tokens a second and a joule, masks, cost, carbon; docs/estimate.md.

    Example: hardloom estimate --like llada-moe-7b --node 5nm --tornado build/tornado.png
    """
    from flows.estimate.arrays import STYLES
    from flows.estimate.figures import HNLPU_TOKENS_PER_S, Request
    from flows.estimate.report import report, report_comparison

    if compare:
        report_comparison(node, as_json)
        return
    target = HNLPU_TOKENS_PER_S if tokens_per_second is None else tokens_per_second
    lengths = (prompt_length, gen_length, tokens_per_forward, expert_imbalance)
    chosen = STYLES if styles is None else tuple(styles.split(","))
    request = Request(node, design, arrays, sampler, target, *lengths, chosen)
    report(like, ckpt, request, tornado, as_json)


@commands.command()
def explore(
    ckpt: Annotated[Path | None, typer.Argument(help="Folder of a checkpoint; its config.json is enough.")] = None,
    like: Annotated[str | None, typer.Option(help="A published architecture by name, like llada-moe-7b.")] = None,
    tokens_per_second: Annotated[float, typer.Option(help="Throughput to reach.")] = 1000.0,
    node: Annotated[str, typer.Option(help="5nm, 7nm, 28nm or 130nm.")] = "5nm",
    objective: Annotated[str, typer.Option(help="What to minimise: area or energy.")] = "area",
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Hardware file for `hardloom generate`.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG of the Pareto front to write.")] = None,
    front: Annotated[Path | None, typer.Option(help="JSON of the Pareto front to write.")] = None,
    fit: Annotated[Path | None, typer.Option(help="Cost model from `hardloom bench tiles`.")] = None,
    sampler: Annotated[str | None, typer.Option(help="whole, cached, block or autoregressive.")] = None,
    prompt_length: Annotated[int | None, typer.Option(help="Tokens of a prompt.")] = None,
    gen_length: Annotated[int | None, typer.Option(help="Tokens generated.")] = None,
    tokens_per_forward: Annotated[float | None, typer.Option(help="Tokens that a forward pass commits.")] = None,
    expert_imbalance: Annotated[float | None, typer.Option(help="Load of the busiest expert over the mean.")] = None,
    keys_per_cycle: Annotated[int, typer.Option(help="Keys that attention takes a cycle; emitted units take 1.")] = 1,
    head_tiles: Annotated[int, typer.Option(help="Parts of the head that drain side by side; emitted are 1.")] = 1,
    as_json: Json = False,
) -> None:
    """Choose slices by kind of array, and lanes, for a throughput at the least area or energy; docs/explore.md.

    Example: hardloom explore --like llada-moe-7b --tokens-per-second 2000 --node 5nm -o build/hardware.json
    """
    from flows.estimate.figures import Request
    from flows.explore.report import Outputs, Units, explore

    lengths = (prompt_length, gen_length, tokens_per_forward, expert_imbalance)
    request = Request(node, "hardloom", None, sampler, tokens_per_second, *lengths)
    units = Units(keys_per_cycle, head_tiles)
    explore(like, ckpt, request, objective, Outputs(out, plot, front), fit, units, as_json)


@commands.command()
def demo(
    ckpt: Annotated[Path, typer.Argument(help="Folder of a checkpoint from `hardloom train`.")] = Path(
        "checkpoints/demo"
    ),
    prompts: Annotated[int, typer.Option(min=1, help="Held-out prompts, the tasks in turn.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("build/demo"),
    as_json: Json = False,
) -> None:
    """A trained checkpoint to a simulated chip that answers prompts, compared bit for bit with the integer model.

    Example: hardloom demo --prompts 20 --out build/demo
    """
    from flows.demo import demo

    if not demo(ckpt, out, prompts, as_json):
        raise typer.Exit(1)


@commands.command()
def synth(
    build: Annotated[Path, typer.Argument(help="Build folder that `hardloom generate` wrote.")],
    unit: Annotated[str | None, typer.Option(help="A module with everything in it; default: the whole chip.")] = None,
    tile: Annotated[
        str | None, typer.Option(help="An array: its prefabricated cells counted, and flattened as the check.")
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="The whole chip, by unit.")] = False,
    liberty: Annotated[
        list[Path] | None, typer.Option(help="Liberty file, gzip too; repeat for a library in several files.")
    ] = None,
    generic: Annotated[bool, typer.Option("--generic", help="Yosys' own gates, without a library.")] = False,
    clock_ns: Annotated[
        float | None, typer.Option(min=0.001, help="Clock period to size for; default: area first.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Yosys processes at once; default: one a core.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one module may take.")] = 900,
    memory: Annotated[float, typer.Option(min=0.5, help="GiB that one module may take.")] = 8,
    power: Annotated[
        bool, typer.Option("--power", help="With --tile: energy of a vector, from a gate-level simulation.")
    ] = False,
    fpga: Annotated[str | None, typer.Option(help="With --tile: place and route it instead, on ecp5 or ice40.")] = None,
    html: Annotated[Path | None, typer.Option(help="Page to write as well.")] = None,
    as_json: Json = False,
) -> None:
    """Gates, area, flip-flops and the longest path, by unit, after Yosys and ABC. Exit code 1 if a module fails.

    Example: hardloom synth build/demo/chip --tile wired_layer_0_o --liberty nangate45_typ.lib.gz
    """
    from flows.synth.command import synth

    if whole and (unit or tile):
        raise UserError("--all: goes not together with --unit and --tile; give one of them")
    limits = {"clock_ns": clock_ns, "jobs": jobs or os.cpu_count() or 1, "timeout_s": timeout, "memory_gib": memory}
    if not synth(build, unit, tile, generic, liberty or [], html, as_json, power, fpga, **limits):
        raise typer.Exit(1)


bench = typer.Typer(no_args_is_help=True, help="Measure the figures of docs/benchmarks.md.")
commands.add_typer(bench, name="bench")


@bench.command()
def accuracy(
    ckpt: Annotated[Path, typer.Argument(help="Folder of a checkpoint from `hardloom train`.")] = Path(
        "checkpoints/demo"
    ),
    prompts: Annotated[int, typer.Option(min=1, help="Held-out problems, the tasks in turn.")] = 500,
    device: Annotated[str, typer.Option(help="A torch device.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Held-out exact match of the float and the 4-bit model, and the load of every expert.

    Example: hardloom bench accuracy --prompts 500
    """
    from flows.bench import accuracy

    accuracy(ckpt, prompts, device, as_json)


@bench.command("arrays")
def bench_arrays(
    sizes: Annotated[str, typer.Option(help="Neurons x inputs, separated by commas.")] = (
        "16x64,64x256,128x1024,128x2048"
    ),
    styles: Annotated[str, typer.Option(help="Styles, separated by commas; all by default.")] = "",
    liberty: Annotated[
        list[Path] | None, typer.Option(help="Cell library; several files that belong together. Default: embedded.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to write, as PNG and SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Area, cycles and time of hardwired arrays in every style, of da4ml's and of plain Verilog.

    Example: hardloom bench arrays --sizes 16x64,128x2048 --liberty nangate45.lib
    """
    from flows.bench_arrays import arrays

    arrays(sizes, styles, liberty or [], as_json, plot)


@bench.command()
def chip(
    build: Annotated[Path, typer.Argument(help="Build folder that `hardloom generate` wrote.")] = Path(
        "build/demo/chip"
    ),
    prompts: Annotated[int, typer.Option(min=1, help="Random prompts to run.")] = 20,
    as_json: Json = False,
) -> None:
    """Build time, simulated cycles a second, cycles a step and the bound of the busiest unit.

    Example: hardloom bench chip build/demo/chip
    """
    from flows.bench_chip import chip

    chip(build, prompts, as_json)


@bench.command()
def layer(
    experts: Annotated[int, typer.Option(min=1, max=64, help="Experts of the layer.")] = 64,
    growth: Annotated[bool, typer.Option("--growth", help="Layers of 1, 4, 16 and 64 experts too.")] = False,
    compress: Annotated[bool, typer.Option("--compress", help="Verilog as .v.zst, a fifth of the disk.")] = False,
    folder: Annotated[Path, typer.Option(help="Where to work; emptied again.")] = Path("build/bench-layer"),
    as_json: Json = False,
) -> None:
    """One layer of LLaDA-MoE-7B from checkpoint to Verilog to proof: seconds, memory, bytes.

    Example: hardloom bench layer --experts 4
    """
    from flows.bench_layer import layer

    layer(experts, growth, compress, folder, as_json)


@bench.command()
def tiles(
    out: Annotated[Path, typer.Option("-o", "--output", help="File of the fitted cost model to write.")],
    liberty: Annotated[list[Path] | None, typer.Option(help="Cell library; several of a process one by one.")] = None,
    as_json: Json = False,
) -> None:
    """Synthesize array tiles, fit the cost model of `hardloom explore` to some and check it on others.

    Example: hardloom bench tiles -o build/fit.json
    """
    from flows.explore.bench import tiles

    tiles(out, liberty or [], as_json)


def app() -> None:
    """Run the command line. A user's mistake is one sentence on standard error and exit code 1."""
    try:
        commands()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(
            f"error: {error.filename or 'file system'}: {error.strerror}; check the path, its permissions and space"
        )
