"""The weights of an array read back out of its text and compared, wherever that is done."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.build.names import connection_file
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.golden.parallel import Opened
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.extract.arrays import ArrayRows
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.proof.hierarchy import prefab_texts
from hardloom.verif.proof.reading import Comparison, Reading
from hardloom.verif.proof.row_scales import ScalesMet

__all__ = ["ArrayFound", "ArrayReader", "Source"]


@dataclass
class Met:
    """What was met on the way through an array.

    Attributes
    ----------
    shell, modules: that it instantiates, once all of it has been read.
    scales: of the rows that were compared. ports: bits of its ports for data and scales.
    """

    shell: str | None = None
    modules: set[str] = field(default_factory=set)
    scales: list[ScalesMet] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ArrayFound:
    """What reading an array, `module`, came to: the comparison of its weights, and what was met."""

    module: str
    comparison: Comparison
    met: Met


@dataclass(frozen=True)
class Source:
    """Reads arrays, and what that takes.

    Attributes
    ----------
    checkpoint: that they should hold; lanes: of their build.
    prefab: texts of prefabricated modules, by file.
    pieces: those of a file's text, which raise `UserError` behind the last where it is not the one that was written.
    shapes: of the matrices by name.
    """

    checkpoint: QuantizedCheckpoint
    lanes: int
    prefab: Mapping[str, str]
    pieces: Callable[[str], Iterable[bytes]]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {matrix.name: matrix.shape for matrix in self.checkpoint.model.matrices()}

    def read(self, facts: ArrayFacts) -> ArrayFound:
        """Read an array unit and compare."""
        met = Met()
        reading = self.reading(facts, met)
        return ArrayFound(facts.module, reading.compare(self.pieces(reading.file)), met)

    def reading(self, facts: ArrayFacts, met: Met | None = None) -> Reading:
        """How the weights of an array unit are read; `met` gets what is met on the way."""
        met = met or Met()
        whole, inputs = self.shapes[facts.matrices[0]]
        begin, end = facts.span(whole)
        shape = len(facts.matrices), end - begin, inputs

        def expected(start: int, stop: int) -> np.ndarray:
            parts = [np.zeros((0, inputs), dtype=np.int16)]
            for bank, name in enumerate(facts.matrices):
                first, last = (min(max(row - bank * shape[1], 0), shape[1]) for row in (start, stop))
                if first < last:
                    part = self.checkpoint.integers(name, begin + first, begin + last)
                    met.scales.append(ScalesMet.of(name, begin + first, part))
                    parts.append(part.weights.numpy())
            return np.concatenate(parts)

        def read(pieces: Iterable[bytes]) -> Iterator[np.ndarray]:
            rows = ArrayRows(pieces, self.prefab)
            self.check(facts, rows, shape)
            met.ports = {"in_data": rows.lanes * rows.width, "out_data": shape[0] * rows.lanes * rows.acc_width}
            met.ports |= dict.fromkeys(("in_scale", "out_scale"), rows.scale_width)
            yield from rows
            met.shell, met.modules = rows.shell, rows.modules

        return Reading(connection_file(facts.module), "weights", expected, read, shape[:2])

    def check(self, facts: ArrayFacts, rows: ArrayRows, shape: tuple[int, int, int]) -> None:
        """Raise ExtractionError where the head of an array is not what the manifest says, or its shape is another."""
        activation = facts.activation(self.checkpoint.numerics)
        if rows.name != facts.module:
            raise ExtractionError(f"holds the module {rows.name}")
        if rows.acc_width != facts.acc_width:
            raise ExtractionError(f"a sum has {rows.acc_width} bits; acc_width in the manifest: {facts.acc_width}")
        if (rows.width, rows.scale_width) != (activation.width, activation.scale_width):
            raise ExtractionError(
                f"inputs and scales have {rows.width} and {rows.scale_width} bits, and the contract "
                f"{activation.width} and {activation.scale_width}"
            )
        if rows.shape != shape:
            raise ExtractionError(f"it has {rows.shape} banks, rows and inputs, and should have {shape}")
        kind = STYLES[facts.style].shells.kind()
        found = rows.kind, rows.lanes, rows.slices if kind != "cell" else facts.slices
        if found != (wanted := (kind, self.lanes, facts.slices)):
            raise ExtractionError(f"its kind of shell, lanes and slices are {found}, and should be {wanted}")


def same_build(path: Path, digest: str) -> Source:
    """Of the build folder `path`, `digest` being the SHA-256 of its manifest.

    Raises `UserError` where this machine has another build there, or one whose files are not as its manifest says.
    """
    build = Build(path)
    if sha256(path / MANIFEST) != digest:
        raise UserError(f"{path}: differs on a worker; put it on a file system that all machines share")
    return Source(build.checkpoint(), build.hardware.lanes, prefab_texts(build), build.pieces)


@dataclass(frozen=True)
class ArrayReader:
    """Reads arrays of one build, wherever it is called."""

    source: Opened[Source]

    @classmethod
    def of(cls, build: Build, checkpoint: QuantizedCheckpoint, prefab: Mapping[str, str]) -> "ArrayReader":
        """With what is at hand in this process (`Source`)."""
        path = build.path.absolute()
        here = Source(checkpoint, build.hardware.lanes, prefab, build.pieces)
        return cls(Opened(same_build, path, sha256(path / MANIFEST), here=here))

    def __call__(self, facts: ArrayFacts) -> ArrayFound:
        """Read an array unit and compare. Raises `UserError` where its file is not as the manifest says."""
        return self.source.value.read(facts)
