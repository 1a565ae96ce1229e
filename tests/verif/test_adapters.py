"""A chip with memories for LoRA adapters: bit for bit the integer model with what the host has written, and without."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hardloom.flows.bench.cycles import modelled
from hardloom.flows.chips.verify_adapters import adapter_outcome, random_adapter
from hardloom.flows.export.registers import DRIVER, registers
from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.design.adapter_image import adapter_image, adapter_writes
from hardloom.gen.design.adapters import AdapterMap, Which
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.registers import address
from hardloom.golden.checkpoints.lora import LowRank, read_lora
from hardloom.golden.errors import UserError
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import GENERAL
from hardloom.verif.chip.compare import Comparison, compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.simulators.verilator import QUICK_BUILD, lint
from tests.adapters import write_adapter
from tests.checkpoints import CHIP_FORMATS, chip_config, write_chip_checkpoint
from tests.chips import built_chip, yosys_finds
from tests.command_line import hardloom
from tests.flows.test_export_bench import run_bench
from tests.icarus import needs_icarus
from tests.published_models import write_family
from tests.samplers import by_quota, by_threshold

RANK = 3
"""Of the adapter; the chip holds one more."""
SHORT = [Run([3, 9, 12, 5, 7], by_quota(2, 2, 1))]
"""A pass."""
RUNS = [Run([3, 9, 12, 5, 7], by_quota(6, 3, 4)), Run([2, 11, 6], by_threshold(4, 2, 0.2))]

Image = list[tuple[int, int]]


class Adapted:
    """A chip, the integer model with an adapter and without, and what the host writes for it."""

    def __init__(self, checkpoint: QuantizedCheckpoint, lora: Mapping[str, LowRank], build: Build) -> None:
        self.build, self.chip, self.lora = build, SimulatedChip(build, QUICK_BUILD), lora
        self.plain, self.model = IntegerModel(checkpoint), IntegerModel(checkpoint, lora=lora)
        self.image: Image = list(adapter_image(checkpoint.model, build.hardware, lora))
        self.places = AdapterMap.of(checkpoint.model, build.hardware.lanes, build.hardware.adapter_rank)

    def compare(
        self, taps: Path, model: IntegerModel, image: Image, enable: bool = True, runs: list[Run] = RUNS
    ) -> Comparison:
        writes = list(adapter_writes(image, enable)) if image else []
        return compare_runs(self.chip, model, runs, taps, writes=writes)

    def first_wrong(self, taps: Path, image: Image) -> str | None:
        """The first probe point of a short run at which the chip, with another image, is not the integer model."""
        first = self.compare(taps, self.model, image, runs=SHORT).scoreboard.first
        return first and first.probe


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    folder = tmp_path_factory.mktemp("adapted")
    write_chip_checkpoint(folder / "c", 3)
    quantize_checkpoint(folder / "c", folder / "q", "mxfp4", formats=CHIP_FORMATS, numerics=GENERAL)
    checkpoint = QuantizedCheckpoint(folder / "q")
    path, _ = write_adapter(folder / "a", chip_config(), RANK)
    fields = HardwareConfig.default(checkpoint.model).to_json_dict()
    hardware = HardwareConfig.from_json_dict(fields | {"max_positions": 16, "adapter_rank": RANK + 1})
    build = built_chip(checkpoint, folder / "chip", hardware)
    return Adapted(checkpoint, read_lora(path, checkpoint.config, checkpoint.model), build)


@pytest.fixture(scope="module")
def ran(adapted: Adapted, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """What came of runs with the adapter."""
    return adapted.compare(tmp_path_factory.mktemp("ran") / "taps", adapted.model, adapted.image)


def test_every_integer_is_the_integer_model_s_with_the_adapter(ran: Comparison) -> None:
    board = ran.scoreboard
    assert board.first is None, str(board.first)
    assert board.mismatches == 0 and board.compared > 20_000 and ran.tokens == ran.expected


def test_the_cycle_model_counts_it(adapted: Adapted, ran: Comparison) -> None:
    counted = [modelled(adapted.build, [run], adapted.lora)[0] for run in RUNS]
    assert counted == pytest.approx([run.cycles for run in ran.runs], rel=0.01)


@pytest.mark.parametrize("loaded", [True, False])
def test_off_every_integer_is_the_integer_model_s_without(adapted: Adapted, loaded: bool, tmp_path: Path) -> None:
    """After reset, with memories that hold nothing, and with an adapter that is there."""
    result = adapted.compare(tmp_path / "taps", adapted.plain, adapted.image if loaded else [], enable=False)
    assert result.scoreboard.first is None, str(result.scoreboard.first)
    assert result.scoreboard.mismatches == 0 and result.scoreboard.compared > 20_000


SITES = [("qkv", 0, "q"), ("qkv", 1, "k"), ("qkv", 2, "v"), ("o", 0, "o")]


@pytest.mark.parametrize(
    "kind, bank, seen, which",
    [
        ("qkv", 1, "k", Which.A),
        ("o", 0, "o", Which.B),
        *(pytest.param(*site, which, marks=pytest.mark.slow) for site in SITES for which in Which),
    ],
)
def test_a_bit_that_is_wrong_is_found(
    adapted: Adapted, kind: str, bank: int, seen: str, which: Which, tmp_path: Path
) -> None:
    """The lowest of an element or a scale, in the last layer."""
    layer = len(adapted.places.layers) - 1
    at = adapted.places.first(layer, kind) + adapted.places.layers[layer][kind].address(bank, which)
    image = [(address, word ^ (address == at)) for address, word in adapted.image]
    assert image != adapted.image
    assert adapted.first_wrong(tmp_path / "taps", image) == f"layer.{layer}.{seen}"


BITS = 10


@pytest.mark.parametrize("bit", [0, BITS - 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, BITS - 1))])
def test_an_address_with_a_wrong_bit_is_found(adapted: Adapted, bit: int, tmp_path: Path) -> None:
    """A word of the second layer's o goes elsewhere, or nowhere."""
    assert adapted.places.address_bits == BITS
    at = adapted.places.first(1, "o")
    image = [(address ^ (address == at) << bit, word) for address, word in adapted.image]
    assert adapted.first_wrong(tmp_path / "taps", image) is not None


def test_the_exported_driver_writes_the_same_registers(adapted: Adapted) -> None:
    text = dict(registers(adapted.build))[DRIVER]
    assert isinstance(text, str)
    driver, written = ModuleType("hardloom_registers"), list[tuple[int, int]]()
    sys.modules[driver.__name__] = driver  # where dataclasses look
    exec(text, driver.__dict__)

    async def write(at: int, word: int) -> None:
        written.append((at, word))

    asyncio.run(driver.Chip(None, write).load_adapter(adapted.image))
    assert written == [(address(name), value) for name, value in adapter_writes(adapted.image)]
    assert len(written) > len(adapted.image) > 200


def test_its_verilog_is_clean(adapted: Adapted) -> None:
    """Verilator's `-Wall`, and Yosys; slang has read it when it was built."""
    assert lint(CHIP, ["-F", "chip.f"], adapted.build.path) == ""
    assert yosys_finds(adapted.build) == []


@needs_icarus
def test_icarus_reads_it(adapted: Adapted) -> None:
    command = ["iverilog", "-g2005", "-t", "null", "-s", CHIP, "-c", "chip.f"]
    done = subprocess.run(command, cwd=adapted.build.path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_verify_tries_one(adapted: Adapted) -> None:
    outcome = adapter_outcome(adapted.chip, SHORT[0])
    assert outcome.failure is None and outcome.name == f"adapter of rank {RANK + 1}"


@pytest.mark.slow
@pytest.mark.parametrize("family, hardware", [("Dream", {"cache": True, "sequences": 2}), ("LLaDA2.0", {})])
def test_chips_of_other_families_have_them(family: str, hardware: dict[str, Any], tmp_path: Path) -> None:
    """Keys that heads share, biases behind the sums, fused projections, layers that differ; two runs at once."""
    quantize_checkpoint(write_family(tmp_path / "c", family), tmp_path / "q", "int8", numerics=GENERAL)
    checkpoint = QuantizedCheckpoint(tmp_path / "q")
    fields = HardwareConfig.default(checkpoint.model).to_json_dict() | {"max_positions": 16, "adapter_rank": 5}
    build = built_chip(checkpoint, tmp_path / "chip", HardwareConfig.from_json_dict(fields | hardware))
    adapted = Adapted(checkpoint, random_adapter(checkpoint, 5), build)
    runs, writes = [Run([1, 2, 3], by_quota(8, 4, 4)), Run([5, 4], by_quota(4, 4, 2))], adapter_writes(adapted.image)
    at_once = build.hardware.sequences
    result = compare_runs(adapted.chip, adapted.model, runs, tmp_path / "taps", at_once=at_once, writes=[*writes])
    assert result.scoreboard.first is None, str(result.scoreboard.first)
    assert result.scoreboard.mismatches == 0 and result.scoreboard.compared > 5_000
    plain = compare_runs(adapted.chip, adapted.plain, runs, tmp_path / "taps", at_once=at_once)
    assert plain.scoreboard.mismatches == 0 and plain.tokens != result.tokens


@pytest.mark.slow
@needs_icarus
def test_an_exported_bench_loads_it(adapted: Adapted, tmp_path: Path) -> None:
    """And passes; with a bit of a word that is wrong it fails."""
    path, _ = write_adapter(tmp_path / "a", chip_config(), RANK)
    given = ("export", adapted.build.path, "--to", tmp_path / "export", "--prompt-tokens", "3,9,12", "--adapter", path)
    assert hardloom(*given).code == 0
    ran = run_bench(tmp_path / "export", SIM="icarus")
    assert ran.returncode == 0 and "3 tests passed, 0 failed" in ran.stdout, ran.stdout[-3000:] + ran.stderr[-3000:]
    file = tmp_path / "export" / "bench" / "adapter.json"
    assert [tuple(pair) for pair in json.loads(file.read_text())] == adapted.image
    file.write_text(json.dumps([(at, word ^ 0x40) for at, word in adapted.image]))
    ran = run_bench(tmp_path / "export", SIM="icarus")
    assert ran.returncode == 1 and "2 tests passed, 1 failed" in ran.stdout, ran.stdout[-3000:]


@pytest.mark.slow
def test_sample_runs_the_chip_with_the_adapter(adapted: Adapted, tmp_path: Path) -> None:
    """As golden does, and not as without."""
    path, _ = write_adapter(tmp_path / "a", chip_config(), RANK)
    given = ("sample", adapted.build.path, "--prompt-tokens", "3,9,4,1", "--gen-length", 8)
    on_chip = hardloom(*given, "--engine", "rtl", "--adapter", path)
    golden, plain = hardloom(*given, "--engine", "golden", "--adapter", path), hardloom(*given, "--engine", "golden")
    assert on_chip.code == golden.code == 0 and on_chip.out == golden.out != plain.out
    path, _ = write_adapter(tmp_path / "b", chip_config(), RANK + 2)


def test_a_chip_refuses_a_rank_that_it_has_no_place_for(adapted: Adapted, tmp_path: Path) -> None:
    model = adapted.plain.shape
    path, _ = write_adapter(tmp_path / "a", chip_config(), RANK + 2)
    lora = read_lora(path, chip_config(), model)
    with pytest.raises(UserError, match=r"has rank 5, and the chip was generated with adapters of rank 4"):
        list(adapter_image(model, adapted.build.hardware, lora))
    with pytest.raises(UserError, match=r"no memories for adapters; generate one with \{\"adapter_rank\": 5\}"):
        list(adapter_image(model, HardwareConfig.default(model), lora))


@pytest.mark.parametrize("command", ["sample", "export"])
def test_that_is_said_before_anything_is_computed(command: str, adapted: Adapted, tmp_path: Path, monkeypatch) -> None:
    path, _ = write_adapter(tmp_path / "a", chip_config(), RANK + 2)
    monkeypatch.setattr(IntegerModel, "__init__", None)
    more = {"sample": ("--engine", "rtl"), "export": ("--to", tmp_path / "export")}[command]
    refused = hardloom(
        command, adapted.build.path, "--prompt-tokens", "3,9", "--gen-length", 8, "--adapter", path, *more
    )
    assert refused.code == 1 and "has rank 5" in refused.err and refused.err.count("\n") <= 1
    assert not (tmp_path / "export").exists()
