"""An array read back as soon as it is written, so that its text may go: the proof of `hardloom verify --static`."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardloom.gen.build.arrays import Written
from hardloom.gen.build.dropped import Dropped
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import ArrayUnit
from hardloom.gen.text.prefix import prefixed
from hardloom.golden.errors import UserError
from hardloom.golden.files import read_pieces
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape
from hardloom.verif.crosscheck.sample import Sample, choose_rows, read_sample
from hardloom.verif.proof.arrays import Source

__all__ = ["WriteProof"]


@dataclass(frozen=True)
class WriteProof:
    """Reads each array of a build right after it is written, as `verif.proof.static.recover` reads those of a finished
    one; a `gen.build.arrays.Prover`.

    Attributes
    ----------
    lanes: of the build. samples: bank and row whose cell the second reader reads too, by the arrays' modules.
    """

    lanes: int
    samples: Mapping[str, tuple[int, int]]

    @classmethod
    def of(
        cls, model: ModelShape, hardware: HardwareConfig, units: Sequence[ArrayUnit], module_prefix: str
    ) -> "WriteProof":
        """Of a build of array `units`, with the samples that `recover` takes of it."""
        shapes = {matrix.name: matrix.shape for matrix in model.matrices()}
        arrays = []
        for unit in units:
            first, stop = unit.span(shapes[unit.matrices[0]][0])
            arrays.append((hardware.style_of(unit.kind), unit.kind, len(unit.matrices), stop - first))
        rows = {prefixed(units[number].module, module_prefix): place for number, *place in choose_rows(arrays)}
        return cls(hardware.lanes, {module: (bank, row) for module, (bank, row) in rows.items()})

    def __call__(self, checkpoint: QuantizedCheckpoint, written: Written) -> Dropped:
        """What is known of the array once its text is gone. Raises `UserError` where a weight differs from that of the
        checkpoint, the text is none of an array, or it is not the one that was written."""
        facts = written.facts
        prefab = {Path(name).name: path for name, path in written.paths.items() if name.startswith("rtl/prefab/")}
        texts = {name: path.read_text(encoding="utf-8") for name, path in prefab.items()}
        found = Source(checkpoint, self.lanes, texts, lambda name: pieces(written)).read(facts)
        if (first := found.comparison.first) is not None or found.met.shell is None:
            raise unproven(written, first or "it could not be read")
        sampled = 0
        if facts.module in self.samples:
            sample = Sample(facts, *self.samples[facts.module])
            second = read_sample(sample, checkpoint, self.lanes, texts, pieces(written))
            if second.first is not None:
                raise unproven(written, second.first)
            sampled = second.weights
        modules = tuple(sorted(found.met.modules))
        return Dropped(found.comparison.matching, sampled, found.met.shell, modules, found.met.ports)


def pieces(written: Written) -> Iterator[bytes]:
    """The text of an array's connections as it lies there; behind the last piece `UserError` is raised where the file
    is not the one that was written."""
    digest = hashlib.sha256()
    yield from read_pieces(written.paths[written.name], digest)
    if digest.hexdigest() != written.digests[written.name]:
        raise unproven(written, "the file is not the one that was written")


def unproven(written: Written, what: str) -> UserError:
    return UserError(
        f"{written.name}: is not proven, so nothing is dropped: {what}; run again, without --prove-and-drop to keep "
        "the text"
    )
