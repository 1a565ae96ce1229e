"""`hardloom generate`: a quantized checkpoint to the Verilog of a chip."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardloom.flows.chips.hardware_options import HardwareOptions, hardware_config
from hardloom.flows.cluster.client import workers_at
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_arrays, build_chip
from hardloom.gen.design.matrices import Selection, selected_units
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QUANTIZATION, QuantizedCheckpoint
from hardloom.verif.proof.writing import WriteProof

__all__ = ["check_compress", "contents_parts", "generate"]


@dataclass
class KindContents:
    """Arrays of one kind; cycles_per_packet: of the slowest."""

    style: str
    slices: int
    arrays: int = 0
    weights: int = 0
    cycles_per_packet: int = 0


@dataclass(frozen=True)
class Contents:
    """What a build holds.

    Attributes
    ----------
    top: top module, None where the build is chosen arrays alone; quantization: format of each kind of matrix;
    hardware: fields of the hardware configuration.
    files, bytes: of everything that is there; arrays: by kind of array.
    weights_proven_and_dropped: of arrays that were read back as they were written, and whose text is gone.
    """

    top: str | None
    quantization: dict[str, str]
    hardware: dict[str, Any]
    weights_hardwired: int
    files: int
    bytes: int
    arrays: dict[str, KindContents]
    weights_proven_and_dropped: int

    @classmethod
    def of(cls, build: Build) -> "Contents":
        """Of a finished build folder."""
        kinds: dict[str, KindContents] = {}
        for array in build.arrays:
            kind = kinds.setdefault(array.kind, KindContents(array.style, array.slices))
            kind.arrays += 1
            kind.weights += array.weights
            kind.cycles_per_packet = max(kind.cycles_per_packet, array.cycles_per_packet)
        return cls(
            top=build.manifest.top,
            quantization=build.manifest.quantization,
            hardware=build.hardware.to_json_dict(),
            weights_hardwired=build.manifest.weights_hardwired,
            files=len(build.there),
            bytes=sum((build.path / name).stat().st_size for name in build.there),
            arrays=kinds,
            weights_proven_and_dropped=sum(dropped.weights for dropped in build.manifest.dropped.values()),
        )


def contents_parts(found: Contents, title: str) -> Iterator[Part]:
    """Arrays by kind as a table, totals below."""
    rows = [
        (kind, f"{row.arrays:,}", f"{row.weights:,}", row.style, str(row.slices), f"{row.cycles_per_packet:,}")
        for kind, row in found.arrays.items()
    ]
    if found.top:
        embedding = found.weights_hardwired - sum(row.weights for row in found.arrays.values())
        rows.append(("embedding (ROM)", "1", f"{embedding:,}", "", "", ""))
    columns = ("arrays of kind", "arrays", "weights", "style", "slices", "cycles a packet")
    yield table(columns, rows, title, left=("arrays of kind", "style"), no_wrap=True)
    what = f"top module {found.top}" if found.top else "chosen arrays, no chip around them"
    yield f"{found.weights_hardwired:,} weights hardwired; {found.files:,} files, {found.bytes:,} bytes; {what}"
    if found.weights_proven_and_dropped:
        yield f"{found.weights_proven_and_dropped:,} weights read back as they were written, and their text dropped"


def check_compress(way: str | None) -> bool:
    """Whether files are compressed in the `way` that is asked for; `UserError` for one that there is not."""
    if way not in (None, "zstd"):
        raise UserError(f"--compress: {way!r} is unknown; the only way is zstd")
    return way is not None


def generate(
    path: Path,
    out: Path,
    options: HardwareOptions,
    selection: Selection,
    compress: bool,
    prefix: str,
    cluster: str | None = None,
    drop: bool = False,
) -> Contents:
    """Write the build folder `out` of the quantized checkpoint `path`, or of a `selection` of its arrays.

    cluster: address of a Dask scheduler whose workers make the arrays (`flows.cluster`). drop: each array is proven as
    soon as it is written, and its text dropped.
    """
    if not QuantizedCheckpoint.is_quantized(path) and (path / "config.json").is_file():
        raise UserError(f"{path}: is not quantized; run `hardloom quantize {path} -o FOLDER` and give FOLDER")
    checkpoint = QuantizedCheckpoint(path)
    hardware = hardware_config(checkpoint.model, options)
    units = selected_units(checkpoint.model, selection, hardware.head_tiles)
    prove = WriteProof.of(checkpoint.model, hardware, units, prefix) if drop else None
    how: dict[str, Any] = {"compress": compress, "module_prefix": prefix, "prove": prove}
    with (
        workers_at(cluster, [path / QUANTIZATION], out) as workers,
        progress_bar(f"generating {out}", None) as progress,
    ):
        if selection == Selection():
            return Contents.of(build_chip(checkpoint, out, hardware, progress, workers=workers, **how))
        build = build_arrays(checkpoint, out, hardware, selection, progress=progress, workers=workers, **how)
        return Contents.of(build)
