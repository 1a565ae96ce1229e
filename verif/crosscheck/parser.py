"""Verilog modules as pyverilog's syntax trees."""

import tempfile
import threading
from collections.abc import Callable
from functools import cache, lru_cache

import pyverilog.vparser.ast as ast
from ply.lex import LexError
from ply.yacc import YaccProduction
from pyverilog.vparser.parser import ParseError, VerilogParser

from hardloom.verif.extract.errors import ExtractionError

__all__ = ["ast", "parse"]

PARSING = threading.Lock()
"""Of the one parser, which has a state."""


@lru_cache(maxsize=64)
def parse(text: str) -> ast.ModuleDef:
    """The one module in `text`, about 150 kB a second; from any thread.

    Raises ExtractionError where it is no Verilog.
    """
    try:
        with PARSING:
            _parser().lexer.reset_lineno()
            definitions = _parser().parse(text).description.definitions
    except (ParseError, LexError) as error:
        raise ExtractionError(f"pyverilog does not understand it: {error}") from error
    if len(definitions) != 1 or not isinstance(definitions[0], ast.ModuleDef):
        raise ExtractionError("the text is not one module")
    return definitions[0]


@cache
def _parser() -> VerilogParser:
    """One for all: building its tables takes seconds, and leaves files that nobody wants."""
    with tempfile.TemporaryDirectory() as folder:
        parser = VerilogParser(outputdir=folder, debug=False)
    for production in parser.parser.productions:
        if production.func in ("p_ioports", "p_instance_ports_list"):
            production.callable = _growing(production.callable)
    return parser


def _growing(action: Callable[[YaccProduction], None]) -> Callable[[YaccProduction], None]:
    """What pyverilog does for one more item of a list, without a copy of all before it: a cell has 10^5 ports."""

    def grow(p: YaccProduction) -> None:
        items = [*p[1]] if isinstance(p[1], tuple) else p[1]
        p[1] = tuple(items[-1:])
        action(p)
        items.append(p[0][-1])
        p[0] = items

    return grow
