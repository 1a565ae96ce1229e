"""`hardloom bench whole`: a whole model of published size, checkpoint to Verilog to proof; seconds, memory, bytes."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hardloom.flows.bench.stage import command
from hardloom.flows.chips.hardware_options import HardwareOptions, hardware_config
from hardloom.flows.console.report import Part, notice, table
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.checkpoints.synthetic import reduced
from hardloom.golden.folders import claimed, stored_bytes
from hardloom.golden.quantization.by_kind import formats_by_kind

__all__ = ["WholeFigures", "whole", "whole_parts"]


@dataclass(frozen=True)
class WholeFigures:
    """A whole chip as text.

    Attributes
    ----------
    weights: hardwired, embedding included; weights_recovered: of these, read back from the text as they should be, and
        weights_proven_when_written: proven as they were written, of arrays whose text was then dropped.
    quantize_s, generate_s, proof_s: wall seconds of the commands, of this run alone where it went on after another;
        quantize_cpu_s and so on: of all threads together.
    peak_rss_mib: the most resident memory that one of them took.
    verilog_bytes: as stored, compressed; disk_bytes: all that the run left, a file with two names counted once.
    """

    model: str
    weights: int
    weights_recovered: int
    weights_proven_when_written: int
    quantize_s: float
    quantize_cpu_s: float
    generate_s: float
    generate_cpu_s: float
    proof_s: float
    proof_cpu_s: float
    peak_rss_mib: int
    verilog_bytes: int
    disk_bytes: int


def whole(
    ckpt: Path | None,
    like: str,
    layers: int | None,
    hardware: Path | None,
    format: str | None,
    out: Path,
    drop: bool = False,
) -> WholeFigures:
    """Quantize, generate, compressed, and prove the checkpoint `ckpt`, or a made-up one in the shape of `like`.

    Each is a process of its own. What is made stays in `out`, and a run that was killed goes on there. drop: arrays are
    proven as they are written, which is then part of `generate`, and their text dropped. Raises `UserError` before it
    begins where there is no such model, format or hardware.
    """
    fields = reduced(read_preset(like), layers, None, None) if ckpt is None else read_config(ckpt / CONFIG)[0]
    formats_by_kind(shape := shape_of(fields), format, {})
    hardware_config(shape, HardwareOptions(hardware))
    with claimed(out, "bench of a whole chip"):
        name = like if layers is None else f"{like}-{layers}"
        source, quantized, build = ckpt or out / name, out / "quantized", out / "chip"
        if ckpt is None and not (source / CONFIG).exists():
            few = [] if layers is None else ["--layers", layers]
            command("make-checkpoint", "--like", like, *few, "--virtual", "-o", source)
        notice(f"{source}: quantization, Verilog, proof")
        stages = {
            "quantize": command("quantize", source, "-o", quantized, *([] if format is None else ["--format", format]))
        }
        chosen = [*([] if hardware is None else ["--hardware", hardware]), *(["--prove-and-drop"] if drop else [])]
        stages["generate"] = made = command("generate", quantized, "-o", build, "--compress", "zstd", *chosen, "--json")
        stages["proof"] = proved = command("verify", build, "--static", "--json")
        seconds = {f"{name}_s": round(stage.seconds, 1) for name, stage in stages.items()}
        return WholeFigures(
            model=str(ckpt or name),
            weights=json.loads(made.output)["weights_hardwired"],
            weights_recovered=(recovery := json.loads(proved.output))["matching"],
            weights_proven_when_written=recovery["proven_when_written"],
            peak_rss_mib=round(max(stage.peak_rss_mib for stage in stages.values())),
            verilog_bytes=stored_bytes(build / "rtl"),
            disk_bytes=stored_bytes(out),
            **seconds,
            **{f"{name}_cpu_s": round(stage.cpu_seconds, 1) for name, stage in stages.items()},
        )


def whole_parts(found: WholeFigures) -> Iterator[Part]:
    """A line a figure."""
    rows = [(name, value if isinstance(value, str) else f"{value:,}") for name, value in asdict(found).items()]
    yield table(("figure", "measured"), rows, "a whole chip, from checkpoint to proof", left=("figure",))
