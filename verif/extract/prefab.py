"""What the readers of prefabricated modules share: finding one by its name."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from hardloom.verif.extract.errors import ExtractionError

__all__ = ["Prefab", "read_prefab"]


class Named(Protocol):
    @property
    def name(self) -> str: ...


Cell = TypeVar("Cell", bound=Named)


class Prefab(dict[str, str]):
    """Texts of prefabricated files by name. asked: modules whose text was looked at."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__(texts)
        self.asked: set[str] = set()

    def __getitem__(self, file: str) -> str:
        self.asked.add(file.removesuffix(".v"))
        return super().__getitem__(file)


def read_prefab(array: str, what: str, module: str, prefab: Mapping[str, str], read: Callable[[str], Cell]) -> Cell:
    """The prefabricated module that `array` instantiates as its `what`, by `read`.

    prefab: texts of prefabricated files by name. Raises ExtractionError where none is the module's, or where it holds
    another module or one that `read` does not read.
    """
    if f"{module}.v" not in prefab:
        raise ExtractionError(f"{array}: its {what} {module} is not among the prefabricated files")
    try:
        cell = read(prefab[f"{module}.v"])
    except ExtractionError as error:
        raise ExtractionError(f"{array}: its {what} {module}: {error}") from None
    if cell.name != module:
        raise ExtractionError(f"{module}.v holds {cell.name}")
    return cell
