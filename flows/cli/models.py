"""The commands on models: count, make up, quantize, train, run."""

from pathlib import Path
from typing import Annotated

import typer

from hardloom.flows.cli.options import (
    MOST,
    Json,
    factor,
    folder,
    given_file,
    new_folder,
    parse_bits,
    parse_formats,
    positive,
    text,
)
from hardloom.flows.cli.outputs import CONTRACT, LOGITS, PICTURE, SENSITIVITY
from hardloom.flows.console.report import show

__all__ = ["commands"]

commands = typer.Typer()

TextFile = Annotated[Path | None, typer.Option(parser=given_file, help="Text in UTF-8 to run the model on.")]
TokenFile = Annotated[Path | None, typer.Option(parser=given_file, help="The same as token ids, instead.")]
Most = Annotated[
    int, typer.Option(min=1, max=MOST, help="Tokens that are taken from the beginning, at most; 512 are needed.")
]
Gains = Annotated[
    str | None, typer.Option(parser=text, help="behind norms, or folded into the matrices after them. Default: behind.")
]
ActivationBits = Annotated[
    str | None,
    typer.Option(
        parser=text,
        help="Of activations, 4 to 12: 8 for all, or by site: norm=10,query=8; go before those of a contract. "
        "Default: norm and swiglu 10.",
    ),
]
MaskSeed = Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="Decides which tokens are masked.")]


@commands.command()
def info(
    ckpt: Annotated[
        Path,
        typer.Argument(
            parser=folder, help="Folder of a checkpoint, of a quantized one, of a config.json alone, or of a build."
        ),
    ],
    config_only: Annotated[bool, typer.Option("--config-only", help="Count from config.json; ignore weights.")] = False,
    scan: Annotated[bool, typer.Option(help="Read every weight and report NaN and infinity.")] = True,
    as_json: Json = False,
) -> None:
    """Print architecture, parameter counts and a table by kind of matrix; of a build its hardware and throughput.

    Example: hardloom info checkpoints/LLaDA-MoE-7B-A1B-Instruct
    """
    from hardloom.flows.chips.info import build_info, build_info_parts, is_build
    from hardloom.flows.models.info import info, info_parts

    if is_build(ckpt):
        chip = build_info(ckpt)
        show(chip, as_json, build_info_parts(chip))
        return
    found = info(ckpt, config_only, scan)
    show(found, as_json, info_parts(found))


@commands.command("make-checkpoint")
def make_checkpoint(
    out: Annotated[Path, typer.Option("-o", "--output", parser=new_folder, help="Folder to write.")],
    like: Annotated[
        str, typer.Option(parser=text, help="A published architecture, such as llada-moe-7b.")
    ] = "llada-moe-7b",
    layers: Annotated[int | None, typer.Option(min=1, max=MOST, help="Layers, all by default.")] = None,
    experts: Annotated[int | None, typer.Option(min=1, max=MOST, help="Experts a layer, all by default.")] = None,
    vocabulary: Annotated[int | None, typer.Option(min=2, max=1 << 24, help="Tokens, all by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="Decides every weight.")] = 0,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Tensors are made as they are read: the folder holds no weights.")
    ] = False,
) -> None:
    """Write a checkpoint of published shape with random weights, to try everything at real size.

    Example: hardloom make-checkpoint --like llada-moe-7b --layers 1 -o build/7b-1layer
    """
    from hardloom.flows.models.make_checkpoint import make_checkpoint

    make_checkpoint(like, out, layers, experts, vocabulary, seed, virtual)


@commands.command()
def quantize(
    ckpt: Annotated[Path, typer.Argument(parser=folder, help="Folder of a Hugging Face checkpoint.")],
    out: Annotated[Path, typer.Option("-o", "--output", parser=new_folder, help="Folder to write.")],
    format: Annotated[
        str | None,
        typer.Option(
            parser=text,
            help="mxfp4, mxfp6 (E2M3), mxfp6_e3m2, int4, int8 or ternary, for all matrices. Default: mxfp4, but mxfp6 "
            "for q, k, v and o, and int8 for router, head and embedding.",
        ),
    ] = None,
    formats: Annotated[
        str | None, typer.Option(parser=text, help="Other formats for kinds of matrix, like head=int8,down=mxfp6.")
    ] = None,
    numerics: Annotated[
        Path | None,
        typer.Option(parser=given_file, help="Numeric contract from `hardloom calibrate`. Default: one for any model."),
    ] = None,
    gains: Gains = None,
    activation_bits: ActivationBits = None,
    method: Annotated[str, typer.Option(parser=text, help="nearest, or gptq: with care, by calibration.")] = "nearest",
    calibration: Annotated[
        Path | None, typer.Option(parser=given_file, help="Text in UTF-8 that gptq is calibrated on.")
    ] = None,
    calibration_tokens: Annotated[
        Path | None, typer.Option(parser=given_file, help="The same as token ids, instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Quantize a checkpoint to few bits and print what that cost, by kind of matrix.

    Kinds of matrix: embedding, head, q, k, v, o, router, gate, up, down.

    Example: hardloom quantize checkpoints/demo -o build/demo-mxfp4 --formats head=int8
    """
    from hardloom.flows.models.choices import Choices
    from hardloom.flows.models.quantize import careful_text, quantize, quantize_parts
    from hardloom.golden.quantization.by_kind import in_words

    careful = careful_text(method, calibration, calibration_tokens)
    choices = Choices(gains, parse_bits(activation_bits))
    found = quantize(ckpt, out, format, parse_formats(formats), numerics, choices, careful)
    show(found, as_json, quantize_parts(found, f"{out}: {in_words(found.report['formats'])}"))


@commands.command()
def calibrate(
    ckpt: Annotated[Path, typer.Argument(parser=folder, help="Folder of a Hugging Face checkpoint.")],
    out: Annotated[Path, typer.Option("-o", "--output", parser=CONTRACT.path, help="Contract to write, for quantize.")],
    text: TextFile = None,
    tokens: TokenFile = None,
    most: Most = 16384,
    margin: Annotated[
        float, typer.Option(parser=factor, help="How much more than what is seen the words must hold, 1 or more.")
    ] = 2.0,
    gains: Gains = None,
    activation_bits: ActivationBits = None,
    seed: MaskSeed = 0,
    plot: Annotated[Path | None, typer.Option(parser=PICTURE.path, help="Picture of the outliers, PNG or SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the range of every activation on text, and write the numeric contract that holds them.

    Example: hardloom calibrate build/smollm2 --text book.txt -o build/numerics.json
    """
    from hardloom.flows.models.calibrate import CalibrationText, calibrate, calibrate_parts
    from hardloom.flows.models.choices import Choices
    from hardloom.golden.units.numerics import GENERAL

    base = Choices(gains, parse_bits(activation_bits)).applied(GENERAL)
    found = calibrate(ckpt, CalibrationText(text, tokens, most, seed), base, margin, out, plot)
    show(found, as_json, calibrate_parts(found, out))


@commands.command()
def sensitivity(
    ckpt: Annotated[Path, typer.Argument(parser=folder, help="Folder of a Hugging Face checkpoint.")],
    text: TextFile = None,
    tokens: TokenFile = None,
    most: Most = 1024,
    format: Annotated[str, typer.Option(parser=text, help="Format that each kind of matrix is tried in.")] = "mxfp4",
    numerics: Annotated[
        Path | None, typer.Option(parser=given_file, help="Contract whose bits each site is tried with.")
    ] = None,
    seed: MaskSeed = 0,
    plot: Annotated[Path | None, typer.Option(parser=PICTURE.path, help="Picture to write, PNG or SVG.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", parser=SENSITIVITY.path, help="JSON to write, which `hardloom report` shows."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure what rounding each kind of matrix, and each activation, costs by itself.

    Example: hardloom sensitivity build/smollm2 --text book.txt --format mxfp4
    """
    from hardloom.flows.models.calibrate import CalibrationText
    from hardloom.flows.models.sensitivity import sensitivity, sensitivity_parts

    found = sensitivity(ckpt, CalibrationText(text, tokens, most, seed), format, numerics, plot, out)
    show(found, as_json, sensitivity_parts(found))


@commands.command()
def import_gguf(
    gguf: Annotated[Path, typer.Argument(parser=given_file, help="A GGUF file of a Llama-shaped model.")],
    out: Annotated[Path, typer.Option("-o", "--output", parser=new_folder, help="Folder to write.")],
) -> None:
    """Write the model of a GGUF file as a checkpoint folder, float32 (needs the extra llm).

    Example: hardloom import-gguf SmolLM2-135M-Instruct.Q4_1.gguf -o build/smollm2
    """
    from hardloom.flows.models.info import billions
    from hardloom.golden.checkpoints.gguf_files import import_gguf

    model = import_gguf(gguf, out)
    print(f"{out}: {model.family}, {billions(model.parameters)} parameters, float32")


@commands.command()
def train(
    out: Annotated[
        Path, typer.Option("-o", "--output", parser=new_folder, help="Folder to write; a killed run goes on from here.")
    ],
    model: Annotated[str, typer.Option(parser=text, help="demo, or demo2 of LLaDA2's shape.")] = "demo",
    seed: Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="Decides everything random.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Updates; for a quick try, fewer than the default.")
    ] = None,
) -> None:
    """Train a demonstration model from scratch, quantization-aware: about 20 minutes of one core.

    Example: hardloom train --model demo2 -o build/trained
    """
    from hardloom.flows.models.train import run_training

    run_training(out, model, seed, steps)


def print_samplers(wanted: bool) -> None:
    if wanted:
        from hardloom.flows.models.samplers import sampler_parts

        show(None, False, sampler_parts())
        raise typer.Exit


@commands.command()
def sample(
    ckpt: Annotated[
        Path,
        typer.Argument(
            parser=folder, help="Folder of a checkpoint, of a quantized one, or a build for golden and rtl."
        ),
    ],
    engine: Annotated[str, typer.Option(parser=text, help="float, golden or rtl.")] = "golden",
    prompt: Annotated[str | None, typer.Option(help="The prompt as text.")] = None,
    prompt_tokens: Annotated[str | None, typer.Option(parser=text, help="The prompt as token ids, like 5,9,2.")] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            parser=text,
            help="A name of --list-samplers, or a file; by default llada, threshold or left_to_right.",
        ),
    ] = None,
    gen_length: Annotated[int, typer.Option(min=1, max=MOST, help="Tokens to generate.")] = 16,
    block_length: Annotated[int | None, typer.Option(min=1, max=MOST, help="Tokens of a block.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Denoising steps in all; a multiple of the number of blocks.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(parser=positive, help="Commit what is more probable than this, instead of by steps."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=(1 << 32) - 1, help="Decides what is drawn; with --set temperature=0.5.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", parser=text, help="A parameter of the sampler, like threshold=0.9.")
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(parser=folder, help="Folder of a LoRA adapter that PEFT wrote."),
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print what each step writes, too.")] = False,
    device: Annotated[str, typer.Option(parser=text, help="A torch device, for float and golden.")] = "cpu",
    as_json: Json = False,
    list_samplers: Annotated[
        bool, typer.Option("--list-samplers", callback=print_samplers, is_eager=True, help="Print them and exit.")
    ] = False,
) -> None:
    """Generate text behind a prompt by denoising masked tokens.

    Example: hardloom sample checkpoints/demo --engine golden --prompt 47+85=
    """
    from hardloom.flows.models.sample import Prompt, is_causal, quantized_of, sample
    from hardloom.flows.models.samplers import asked_sampling
    from hardloom.flows.models.saturations import report_saturated

    options = {"block_length": block_length, "steps": steps, "threshold": threshold, "seed": seed}
    sampling = asked_sampling(sampler, gen_length, options, settings or [], is_causal(ckpt))
    found = sample(ckpt, engine, Prompt(prompt, prompt_tokens), sampling, device, not as_json, adapter)
    show(found, as_json, [found.line(), *(found.trace_parts() if trace else [])], indent=None)
    report_saturated(quantized_of(ckpt), found.saturated)


@commands.command()
def logits(
    ckpt: Annotated[Path, typer.Argument(parser=folder, help="Folder of a checkpoint; of a quantized one for golden.")],
    tokens: Annotated[str, typer.Option(parser=text, help="The sequence as token ids, like 5,9,2.")],
    out: Annotated[Path, typer.Option("-o", "--output", parser=LOGITS.path, help="File to write, NumPy format.")],
    engine: Annotated[str, typer.Option(parser=text, help="float or golden.")] = "golden",
    device: Annotated[str, typer.Option(parser=text, help="A torch device.")] = "cpu",
) -> None:
    """Write the logits of one sequence, float32, positions x vocabulary.

    Example: hardloom logits checkpoints/demo --engine float --tokens 5,9,2 -o out.npy
    """
    from hardloom.flows.models.sample import logits, quantized_of
    from hardloom.flows.models.saturations import report_saturated

    report_saturated(quantized_of(ckpt), logits(ckpt, engine, tokens, out, device))
