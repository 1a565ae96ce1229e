"""The command `hardloom`. Each command imports what it needs when it runs, so that `--help` is quick."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer.exceptions import TyperException

from hardloom.flows.cli import bench, cache, chips, designs, models
from hardloom.flows.cli.paths import kept_apart
from hardloom.golden.errors import UserError, one_sentence

__all__ = ["app", "commands"]

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, by the shells' convention."""

WRONG_USAGE = 2
"""Exit code where an option, a command or a value is none that there is, by the shells' convention."""

commands = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Weave a quantized mixture-of-experts diffusion language model into silicon.",
)

for group in (models, chips, designs):
    commands.add_typer(group.commands)
commands.add_typer(bench.commands, name="bench")
commands.add_typer(cache.commands, name="cache")


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


KEPT = {
    "generate": "what is written whole is kept; run the same command again, and it goes on there",
    "quantize": "layers that gptq has finished are kept; run the same command again, and it goes on there",
    "train": "the last saved state is kept; run the same command again, and it goes on there",
    "demo": "what is finished is kept; run the same command again, and it goes on there",
    "sample": "a simulator that is finished is kept; run the same command again",
}
"""Of commands that need not start over when they were interrupted: what they left."""


def run() -> int:
    """Run the command line; its exit code. A command that Ctrl-C ended says what to do to go on, and is 130."""
    with kept_apart(), one_sentence():
        code = commands(standalone_mode=False, prog_name="hardloom") or 0
    if code == INTERRUPTED:
        kept = next(
            (KEPT[word] for word in sys.argv[1:] if word in KEPT),
            "nothing half-written counts; run the same command again",
        )
        print(f"interrupted: {kept}", file=sys.stderr)
    return code


def app() -> None:
    """Run the command line and exit. A user's mistake is one sentence on standard error and exit code 1, or 2 where the
    command line itself says what there is not."""
    try:
        sys.exit(run())
    except TyperException as error:
        if message := " ".join(error.format_message().split()):  # empty where it was the help, which is printed
            print(f"error: {message[0].lower()}{message[1:]}", file=sys.stderr)
        sys.exit(WRONG_USAGE)
    except UserError as error:
        sys.exit(f"error: {error}")
