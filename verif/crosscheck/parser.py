"""Verilog modules as pyverilog's syntax trees."""

import tempfile
from functools import cache, lru_cache

import pyverilog.vparser.ast as ast
from ply.lex import LexError
from pyverilog.vparser.parser import ParseError, VerilogParser

from verif.extract.errors import ExtractionError

__all__ = ["ast", "parse"]


@lru_cache(maxsize=64)
def parse(text: str) -> ast.ModuleDef:
    """The one module in `text`, about 150 kB a second. Raises ExtractionError where it is no Verilog."""
    _parser().lexer.reset_lineno()
    try:
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
        return VerilogParser(outputdir=folder, debug=False)
