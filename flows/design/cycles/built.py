"""A chip that is built, as its cycles see it."""

from hardloom.flows.design.cycles.geometry import ArrayPace, Geometry
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.build.folder import Build
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["built_geometry", "built_paces"]


def built_paces(build: Build) -> dict[str, ArrayPace]:
    """Of one array of each kind; of the head's tiles, the first, which is the longest."""
    return {
        array.kind: ArrayPace(array.cycles_per_packet, STYLES[array.style].addressed)
        for array in reversed(build.arrays)
    }


def built_geometry(build: Build, checkpoint: QuantizedCheckpoint) -> Geometry:
    """Of a build of this checkpoint."""
    behind = checkpoint.numerics.gains == "behind"
    return Geometry.of(checkpoint.model, build.hardware.lanes, build.hardware, built_paces(build), behind)
