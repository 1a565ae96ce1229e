"""What `import hardloom` gives: the commands as functions, each with the options of the command of its name.

A mistake in what is given is a `UserError`, whose sentence is the one that the command line prints. Each function
imports what it needs when it is called, so that `import hardloom` is quick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hardloom.golden.errors import one_sentence

if TYPE_CHECKING:
    from hardloom.flows.chips.generate import Contents
    from hardloom.flows.chips.info import BuildInfo
    from hardloom.flows.design.estimate.report import Reported
    from hardloom.flows.models.calibrate import Contract
    from hardloom.flows.models.info import Info
    from hardloom.flows.models.quantize import Quantization
    from hardloom.flows.models.sample import Sample
    from hardloom.golden.shape import ModelShape

__all__ = ["Chip", "Verified", "calibrate", "estimate", "generate", "load", "quantize", "verify"]

Place = str | Path
"""A file or folder."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Chip:
    """A model on its way to silicon: the folder of a checkpoint, of a quantized one, or of a build; from `load`."""

    path: Path

    @cached_property
    def shape(self) -> ModelShape:
        """What the model is: layers, widths, vocabulary, formats."""
        from hardloom.flows.models.sample import model_folder
        from hardloom.golden.checkpoints.config import CONFIG, read_config

        return read_config(model_folder(self.path) / CONFIG)[1]

    def info(self) -> Info | BuildInfo:
        """Parameter counts, or a build's hardware and throughput; no weight is read."""
        from hardloom.flows.chips.info import build_info, is_build
        from hardloom.flows.models.info import info

        with one_sentence():
            return build_info(self.path) if is_build(self.path) else info(self.path, config_only=False, scan=False)

    def sample(
        self,
        prompt: str | Sequence[int],
        engine: str = "golden",
        sampler: str | None = None,
        gen_length: int = 16,
        device: str = "cpu",
        adapter: Place | None = None,
        **settings: float,
    ) -> Sample:
        """Generate behind a prompt, a text or token ids.

        Parameters
        ----------
        engine: `float`; `golden`, the integer model; `rtl`, the chip under Verilator, built first where it is not yet.
        sampler: a name of the library, or a file; `settings` are its parameters, like `threshold=0.9`.
        gen_length: tokens to generate.
        device: a torch device, for `float` and `golden`.
        adapter: folder of a LoRA adapter that PEFT wrote.

        >>> chip = hardloom.load(hardloom.DEMO)
        >>> chip.sample("47+85=").text
        '132'
        >>> chip.sample("47+85=", engine="float", threshold=0.9).steps < 8
        True
        >>> chip.sample("47+85=", engine="analog")
        Traceback (most recent call last):
        hardloom.golden.errors.UserError: --engine: 'analog' is not one of float, golden, rtl; choose one of them
        """
        from hardloom.flows.models.sample import Prompt, is_causal, quantized_of, sample
        from hardloom.flows.models.samplers import asked_sampling
        from hardloom.flows.models.saturations import report_saturated

        with one_sentence():
            given = Prompt(prompt) if isinstance(prompt, str) else Prompt(tokens=",".join(map(str, prompt)))
            sampling = asked_sampling(sampler, gen_length, settings, (), is_causal(self.path))
            found = sample(self.path, engine, given, sampling, device, False, place(adapter))
            report_saturated(quantized_of(self.path), found.saturated)
            return found


def load(path: Place) -> Chip:
    """The checkpoint, quantized checkpoint or build in a folder. Raises `UserError` where there is none.

    >>> hardloom.load(hardloom.DEMO).shape.hidden_size
    64
    >>> hardloom.load("nowhere")
    Traceback (most recent call last):
    hardloom.golden.errors.UserError: nowhere/config.json: the file does not exist; give the folder of a checkpoint
    """
    chip = Chip(Path(path))
    with one_sentence():
        _ = chip.shape
    return chip


def calibrate(
    ckpt: Place,
    out: Place,
    *,
    text: Place | None = None,
    tokens: Place | None = None,
    most: int = 16384,
    margin: float = 2.0,
    gains: str | None = None,
    activation_bits: Mapping[str, int] | None = None,
    seed: int = 0,
    plot: Place | None = None,
) -> Contract:
    """Measure the range of every activation on a text, and write the numeric contract that holds them.

    >>> _ = Path("sums.txt").write_text("47+85=132 " * 300)
    >>> found = hardloom.calibrate(hardloom.DEMO, "numerics.json", text="sums.txt")
    >>> found.calibration.text.tokens >= 512
    True
    """
    from hardloom.flows.models.calibrate import CalibrationText, calibrate
    from hardloom.flows.models.choices import Choices
    from hardloom.golden.units.numerics import GENERAL

    with one_sentence():
        base = Choices(gains, activation_bits or {}).applied(GENERAL)
        given = CalibrationText(place(text), place(tokens), most, seed)
        return calibrate(Path(ckpt), given, base, margin, Path(out), place(plot))


def quantize(
    ckpt: Place,
    out: Place,
    *,
    format: str | None = None,
    formats: Mapping[str, str] | None = None,
    numerics: Place | None = None,
    gains: str | None = None,
    activation_bits: Mapping[str, int] | None = None,
    method: str = "nearest",
    calibration: Place | None = None,
    calibration_tokens: Place | None = None,
) -> Quantization:
    """Quantize a checkpoint into the folder `out`; what that cost, by kind of matrix.

    >>> found = hardloom.quantize(hardloom.DEMO, "quantized", formats={"head": "int8"})
    >>> found.report["formats"]["head"], round(found.kinds["head"].snr_db) > 30
    ('int8', True)
    """
    from hardloom.flows.models.choices import Choices
    from hardloom.flows.models.quantize import careful_text, quantize

    with one_sentence():
        careful = careful_text(method, place(calibration), place(calibration_tokens))
        choices = Choices(gains, activation_bits or {})
        return quantize(Path(ckpt), Path(out), format, formats or {}, place(numerics), choices, careful)


def generate(
    quantized: Place,
    out: Place,
    *,
    hardware: Place | None = None,
    lanes: int | None = None,
    max_positions: int | None = None,
    style: str | dict[str, str] | None = None,
    slices: dict[str, int] | None = None,
    layers: Sequence[int] | None = None,
    experts: Sequence[int] | None = None,
    matrices: Sequence[str] | None = None,
    compress: str | None = None,
    prefix: str = "",
    cluster: str | None = None,
    drop: bool = False,
) -> Contents:
    """Write the Verilog of a quantized checkpoint into the folder `out`; what it holds.

    >>> _ = hardloom.quantize(hardloom.DEMO, "quantized", formats={"head": "int8"})
    >>> hardloom.generate("quantized", "down", layers=[0], experts=[0], matrices=["down"]).weights_hardwired
    4096
    """
    from hardloom.flows.chips.generate import check_compress, generate
    from hardloom.flows.chips.hardware_options import HardwareOptions
    from hardloom.gen.design.matrices import Selection

    with one_sentence():
        options = HardwareOptions(place(hardware), lanes, max_positions, style, slices)
        selection = Selection(several(layers), several(experts), several(matrices))
        return generate(Path(quantized), Path(out), options, selection, check_compress(compress), prefix, cluster, drop)


@dataclass(frozen=True)
class Verified:
    """What checks found.

    Attributes
    ----------
    passed: whether all of them found everything as it must be.
    figures: of each check, in the order of the options of `verify`.
    """

    passed: bool
    figures: tuple[Any, ...]


def verify(
    build: Place,
    *,
    static: bool = False,
    against: Place | None = None,
    sim: bool = False,
    units: bool = True,
    view: str = "wiring",
    tiles: int | None = None,
    simulator: str = "verilator",
    faults: int | None = None,
    gates: bool = False,
    unit: Sequence[str] = (),
    liberty: Sequence[Place] = (),
    cluster: str | None = None,
    accuracy: bool = False,
    prompts: int = 100,
    plot: Place | None = None,
    coverage: Place | None = None,
) -> Verified:
    """Check that a build is what its checkpoint says, in the ways that are asked for.

    >>> _ = hardloom.quantize(hardloom.DEMO, "quantized", formats={"head": "int8"})
    >>> _ = hardloom.generate("quantized", "down", layers=[0], experts=[0], matrices=["down"])
    >>> found = hardloom.verify("down", static=True)
    >>> found.passed, found.figures[0].matching
    (True, 4096)
    """
    from hardloom.flows.chips.checks import Asked, checks

    with one_sentence():
        libraries = tuple(Path(one) for one in liberty)
        what = (static, place(against), sim, units, view, tiles, simulator, faults, gates)
        asked = Asked(*what, tuple(unit), libraries, cluster, accuracy, prompts, place(plot), place(coverage))
        found = tuple(checks(Path(build), asked))
        return Verified(all(check.passed for check in found), tuple(check.figures for check in found))


def estimate(
    ckpt: Place | None = None,
    *,
    like: str | None = None,
    node: str = "5nm",
    design: str | None = None,
    arrays: str | None = None,
    sampler: str | None = None,
    tokens_per_second: float | None = None,
    prompt_length: int | None = None,
    gen_length: int | None = None,
    tokens_per_forward: float | None = None,
    expert_imbalance: float | None = None,
    styles: Sequence[str] | None = None,
    formats: Mapping[str, str] | None = None,
    head_lanes: int = 1,
    query_lanes: int = 1,
    head_tiles: int = 1,
    expert_groups: int = 1,
    routers: int = 1,
    queues: Mapping[str, int] | None = None,
    sequences: int = 1,
    temperature: bool = False,
    adapter_rank: int = 0,
    tornado: Place | None = None,
) -> Reported:
    """What a whole chip would be, of a checkpoint or of a published architecture: area, throughput, energy, cost.

    >>> found = hardloom.estimate(like="llada-moe-7b")
    >>> found.estimate.chip.dies, 1000 < found.estimate.chip.area < 2000
    (2, True)
    """
    from hardloom.flows.design.estimate.arrays import PRICED_STYLES
    from hardloom.flows.design.estimate.at_once import AtOnce
    from hardloom.flows.design.estimate.report import report
    from hardloom.flows.design.estimate.request import Request
    from hardloom.gen.design.queues import Queues

    with one_sentence():
        depths = Queues(**(queues or {}))
        at_once = AtOnce(
            *(head_lanes, query_lanes, expert_groups, sequences, head_tiles, routers, depths),
            temperature=temperature,
            adapter_rank=adapter_rank,
        )
        lengths = (prompt_length, gen_length, tokens_per_forward, expert_imbalance)
        chosen = (PRICED_STYLES if styles is None else tuple(styles), formats or {}, at_once)
        request = Request(node, design, arrays, sampler, tokens_per_second, *lengths, *chosen)
        return report(like, place(ckpt), request, place(tornado))


def place(given: Place | None) -> Path | None:
    return None if given is None else Path(given)


def several(given: Sequence[Item] | None) -> tuple[Item, ...] | None:
    return None if given is None else tuple(given)
