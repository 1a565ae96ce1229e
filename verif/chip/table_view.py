"""The table view of a whole chip: what weights decide, arrays and ROMs, reads files; all else is the emitted Verilog.

The files are written from what `verif.extract` reads out of the emitted text. What is compiled is the same for every
checkpoint of one geometry.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from hardloom.gen.build.folder import Build
from hardloom.gen.build.names import connection_file
from hardloom.golden.errors import UserError
from hardloom.golden.files import stamped, write_file
from hardloom.golden.parallel import ordered_map
from hardloom.verif.arrays.table_view import TABLES, TableView, table_views, write_weights
from hardloom.verif.extract.arrays import ArrayRows
from hardloom.verif.extract.constant_module import constant_ports, read_constants
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["ChipTables"]

ROM_TABLE = Path(__file__).parent / "rom_table.v"

FOLDER = "tables"
"""Of the files, within the folder in which the simulation runs."""

ROM = """
module {module} (
    input  wire [{index} - 1:0] index,
    output wire [{width} - 1:0] data
);
    rom_table #(.FILE("{file}"), .INDEX_WIDTH({index}), .DEPTH({depth}), .WIDTH({width})) table_ (index, data);
endmodule
"""

STYLES = ("metal", "packed")
"""Styles of arrays whose cycles a table view has."""


class ChipTables:
    """The table view of the chip `build`, in `folder`, where its simulation runs.

    Raises UserError for arrays of a style that has no table view.

    Attributes
    ----------
    kept: names, in the build, of the Verilog that is as it was emitted.
    """

    def __init__(self, build: Build, folder: Path) -> None:
        self.build, self.folder = build, folder
        if strange := [facts for facts in build.arrays if facts.style not in STYLES]:
            raise UserError(
                f"{build.path}: {strange[0].module} is of style {strange[0].style}, which has no table view; "
                f"simulate the wiring view, or generate with --style {' or '.join(STYLES)}"
            )
        numerics, lanes = build.checkpoint().numerics, build.hardware.lanes
        self.views = {facts.module: TableView.of(facts, numerics, lanes) for facts in build.arrays}
        rom = f"rtl/constants/{build.module('wired_')}"
        self.roms = sorted(name for name in build.files if name.startswith(rom))
        wired = {*map(connection_file, self.views), *self.roms}
        prefab = [digest for name, digest in build.files.items() if name.startswith("rtl/prefab/")]
        self.cells = hashlib.sha256("".join(prefab).encode()).hexdigest()  # say what a wire of an array is worth
        self.kept = sorted(name for name in build.files if name.endswith(".v") and name not in wired)

    def write(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Path]:
        """Read what weights decide out of the emitted text into files; those of an earlier run that still hold stay.

        progress: is called with the files done and their total. Returns what is to be simulated: Verilog and C++.
        Raises UserError where a text is not what the generator writes.
        """
        prefab = {Path(name).name: self.build.text(name) for name in self.build.files if name.startswith("rtl/prefab/")}
        jobs = [partial(self._array, facts.module, prefab) for facts in self.build.arrays]
        jobs += [partial(self._rom, Path(name).stem, name) for name in self.roms]
        texts = []
        for text in ordered_map(lambda job: job(), jobs):
            texts.append(text)
            progress(len(texts), len(jobs))
        verilog = self.folder / "tables.v"
        write_file(verilog, "\n".join([table_views(self.views, f"{FOLDER}/"), *filter(None, texts)]))
        return [*map(self.build.file, self.kept), ROM_TABLE, TABLES, verilog]

    def _array(self, module: str, prefab: Mapping[str, str]) -> str:
        """Write the weights of an array."""
        file = connection_file(module)
        self._table(file, write_weights, _Rows(self.build, file, self.views[module], prefab))
        return ""

    def _rom(self, module: str, file: str) -> str:
        """Write the words of a ROM; Verilog of its module."""
        index_width, width = constant_ports(next(self.build.pieces(file)))
        table = self._table(file, write_file, _words(self.build.pieces(file), module, width))
        depth = table.stat().st_size // -(-width // 8)
        return ROM.format(module=module, file=f"{FOLDER}/{table.name}", index=index_width, depth=depth, width=width)

    def _table(self, file: str, write: Callable[[Path, Any], Any], contents: Any) -> Path:
        """Write `contents` to the table that stands for a file of the build, where there is none yet that holds."""
        path = self.folder / FOLDER / f"{Path(file).stem}.bin"
        stamp, key = path.with_suffix(".stamp"), f"{self.build.files[file]} {self.cells}"
        if not path.is_file():
            stamp.unlink(missing_ok=True)
        with stamped(stamp, key) as stale:
            if stale:
                try:
                    write(path, contents)
                except ExtractionError as error:
                    raise UserError(f"{self.build.path / file}: {error}; run `hardloom generate` again") from None
        return path


@dataclass(frozen=True)
class _Rows:
    """The rows of an array of the build, read from its text whenever they are iterated."""

    build: Build
    file: str
    view: TableView
    prefab: Mapping[str, str]

    def __iter__(self) -> Iterator[np.ndarray]:
        rows, view = ArrayRows(self.build.pieces(self.file), self.prefab), self.view
        said = (*rows.shape, rows.acc_width, rows.width, rows.scale_width)
        made = view.activation.width, view.activation.scale_width
        if (rows.name, said) != (Path(self.file).stem, (view.banks, view.rows, view.inputs, view.acc_width, *made)):
            raise ExtractionError("the array is not the one of the manifest")
        yield from rows


def _words(pieces: Iterable[bytes], module: str, width: int) -> Iterator[bytes]:
    """The words of a ROM of `width` bits, each in whole bytes, the highest first."""
    for words in read_constants(pieces, module, part := gcd(width, 8), signed=False):
        bits = np.unpackbits(words.astype(np.uint8)[..., None], axis=-1, count=part, bitorder="little")
        packed = np.packbits(bits.reshape(len(words), width), axis=1, bitorder="little")
        yield packed[:, ::-1].tobytes()
