"""What `import hardloom` gives."""

import inspect
import re
from collections.abc import Callable, Iterator

import hardloom
from docs.drawing.rooms import ROOT
from hardloom import api

__all__ = ["PAGE", "page"]

PAGE = ROOT / "docs" / "api.md"

FENCE = "`" * 3

HEAD = """# Python

Made from the code by `make reference`; the tests run the examples. Every function has the options of the command of its
name in [cli.md](cli.md), and returns the figures that the command prints with `--json`. A mistake is a
`hardloom.UserError` whose sentence is the one that the command prints. `hardloom.DEMO` and `hardloom.DEMO2` are the
folders of the trained demonstrations.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for name in api.__all__ for line in section(name))])


def section(name: str) -> Iterator[str]:
    """A function or class: how it is called and its docstring; of a class its methods, too."""
    held = getattr(hardloom, name)
    yield f"## {name}\n"
    yield from described(held, name)
    for inner, method in vars(held).items() if inspect.isclass(held) else ():
        if inspect.isfunction(method) and not inner.startswith("_"):
            yield f"### {name}.{inner}\n"
            yield from described(method, inner)


def described(held: object, name: str) -> Iterator[str]:
    """Call and docstring, as text that keeps its lines."""
    assert callable(held)
    given = list(parameters(held))
    call = f"{name}({', '.join(given)})"
    if len(call) > 100:
        call = f"{name}(\n" + "".join(f"    {one},\n" for one in given) + ")"
    yield f"{FENCE}python\n{call}\n{FENCE}\n"
    yield f"{FENCE}text\n{inspect.getdoc(held)}\n{FENCE}\n"


def parameters(held: Callable[..., object]) -> Iterator[str]:
    """As they stand in a call, with their types and defaults."""
    behind_star = False
    for one in inspect.signature(held).parameters.values():
        if one.kind is one.KEYWORD_ONLY and not behind_star:
            behind_star = True
            yield "*"
        if one.name != "self":
            yield re.sub(r": '([^']*)'", r": \1", str(one)).replace("Place", "str | Path")
