"""What `hardloom bench arrays` says of one array, whoever made it."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardloom.flows.synth.arrays import Parts, limits
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.library.library import Library
from hardloom.golden.quantization.integers import IntegerMatrix

__all__ = ["Figures", "combinational", "figures_of"]


@dataclass(frozen=True)
class Figures:
    """One array.

    Attributes
    ----------
    style: one of `gen.arrays.styles`, `da4ml` or `plain`; `metal` and `packed` count every prefabricated slot, used or
        not, `metal flat` and `packed flat` what is left when unused slots are optimised away.
    cycles: a product takes, results not drained; packet_cycles: from one packet to the next.
    ge_per_weight: everything, shell included; core_ge_per_weight: neurons alone; shared_ge_per_weight: what they share
        behind the shell. um2_per_weight: None where the library's unit is not um2.
    sampled: neurons synthesized. critical_path_ns: ABC's in the neurons, between registers, full adders and
        ports, nothing buffered.
    bound: ge_per_weight over bits / log2(bits), the gates that Lupanov's bound asks for random bits.
    rows: whose weights they are: `normal`, or of a checkpoint, `stored` or a kind of its matrices.
    track_share: wires of the array as it was placed whole over all tracks of a metal stack like ASAP7's, and
        predicted_track_share what its plan says (`flows.bench.placement`); None where it was not placed.
    """

    style: str
    neurons: int
    inputs: int
    slices: int
    lanes: int
    cycles: int
    packet_cycles: int
    ge_per_weight: float
    core_ge_per_weight: float
    shared_ge_per_weight: float
    um2_per_weight: float | None
    ge_cycles: float
    bound: float
    library: str
    critical_path_ns: float | None
    generate_s: float
    verilog_bytes_per_weight: float
    sampled: int
    synthesis_cpu_s: float
    rows: str = "normal"
    track_share: float | None = None
    predicted_track_share: float | None = None


def figures_of(parts: Parts, style: str, library: Library) -> Figures:
    plan, core_ge = parts.plan, parts.core_ge
    weights = plan.weights
    ge = (core_ge + parts.shared_ge + parts.shell.ge) / weights
    cycles = plan.form.steps
    return Figures(
        style=style,
        neurons=plan.rows,
        inputs=plan.inputs,
        slices=plan.slices,
        lanes=plan.lanes,
        cycles=cycles,
        packet_cycles=plan.cycles_per_packet,
        ge_per_weight=round(ge, 3),
        core_ge_per_weight=round(core_ge / weights, 3),
        shared_ge_per_weight=round(parts.shared_ge / weights, 3),
        um2_per_weight=square_micrometres(ge, library),
        ge_cycles=round(ge * cycles, 1),
        bound=round(ge / lupanov(plan.matrices[0]), 2),
        library=library.name,
        critical_path_ns=to_picosecond(parts.core.abc_delay_ns),
        generate_s=round(parts.seconds, 3),
        verilog_bytes_per_weight=round(parts.size / weights, 2),
        sampled=parts.sampled,
        synthesis_cpu_s=round(parts.cpu_seconds, 1),
    )


def combinational(
    style: str, matrix: IntegerMatrix, library: Library, sources: list[Path], top: str, seconds: float
) -> Figures:
    """A whole product in one cycle, registers only where the source has them."""
    weights = np.asarray(matrix.weights)
    core = synthesize(sources, top, limits(library, timeout_s=1800))
    ge = core.ge / weights.size
    size = sum(path.stat().st_size for path in sources)
    return Figures(
        style=style,
        neurons=weights.shape[0],
        inputs=weights.shape[1],
        slices=1,
        lanes=weights.shape[1],
        cycles=1,
        packet_cycles=1,
        ge_per_weight=round(ge, 3),
        core_ge_per_weight=round(ge, 3),
        shared_ge_per_weight=0.0,
        um2_per_weight=square_micrometres(ge, library),
        ge_cycles=round(ge, 1),
        bound=round(ge / lupanov(weights), 2),
        library=library.name,
        critical_path_ns=to_picosecond(core.abc_delay_ns),
        generate_s=round(seconds, 3),
        verilog_bytes_per_weight=round(size / weights.size, 2),
        sampled=weights.shape[0],
        synthesis_cpu_s=core.cpu_seconds,
    )


def to_picosecond(nanoseconds: float | None) -> float | None:
    """To a picosecond."""
    return None if nanoseconds is None else round(nanoseconds, 3)


def square_micrometres(ge: float, library: Library) -> float | None:
    """Square micrometres; the embedded library's unit of area is the NAND2 itself."""
    return None if library.nand2.area == 1 else round(ge * library.nand2.area, 3)


def lupanov(matrix: np.ndarray) -> float:
    """Gates a weight that N / log2 N says for the N bits of entropy of `matrix`, int [rows, inputs]."""
    _, counts = np.unique(matrix, return_counts=True)
    shares = counts / matrix.size
    bits = matrix.size * max(1e-9, -float((shares * np.log2(shares)).sum()))
    return bits / math.log2(max(4.0, bits)) / matrix.size
