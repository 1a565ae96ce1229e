"""The command `hardloom`. Each command imports what it needs when it runs, so that `--help` is quick."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from flows.cli import bench, chips, designs, models
from golden.errors import UserError

__all__ = ["app", "commands"]

commands = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Weave a quantized mixture-of-experts diffusion language model into silicon.",
)

for group in (models, chips, designs):
    commands.add_typer(group.commands)
commands.add_typer(bench.commands, name="bench")


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


def app() -> None:
    """Run the command line. A user's mistake is one sentence on standard error and exit code 1."""
    try:
        commands()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.strerror is None:  # not the file system's, like a template of ours that is missing: a fault of ours
            raise
        sys.exit(
            f"error: {error.filename or 'file system'}: {error.strerror}; check the path, its permissions and space"
        )
