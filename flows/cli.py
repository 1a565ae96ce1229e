"""The command `hardloom`. Each command imports what it needs when it runs, so that `--help` is quick."""

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
