"""The commands on the cache of chips that were built in passing."""

import typer

from hardloom.flows.cli.options import Json
from hardloom.flows.console.report import show

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="List or empty the cache of chips that `hardloom sample` built.")


@commands.command("list")
def list_entries(as_json: Json = False) -> None:
    """What the cache holds, and where it is: $HARDLOOM_CACHE, or ~/.cache/hardloom.

    Example: hardloom cache list
    """
    from hardloom.flows.models.cache import cached, listing

    found = cached()
    show(found, as_json, listing(found, "held"), width=100)


@commands.command("empty")
def empty_cache(as_json: Json = False) -> None:
    """Delete all that it holds; the next `hardloom sample --engine rtl` builds anew.

    Example: hardloom cache empty
    """
    from hardloom.flows.models.cache import empty, listing

    found = empty()
    show(found, as_json, listing(found, "deleted"), width=100)
