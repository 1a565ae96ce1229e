"""Probe points and tables are found where the hierarchy has them, whatever its levels and names are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from amaranth.hdl import Module
from amaranth.lib import wiring

from hardloom.gen.build.folder import CHIP
from hardloom.gen.build.units import split_modules
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine import inventory
from hardloom.gen.engine.inventory import chip_parts, chip_probes
from hardloom.gen.engine.layer import LayerEngine
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.gating import gated
from hardloom.gen.text.verilog import to_verilog
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.extract.constant_module import read_constants
from hardloom.verif.proof.tables import chip_tables
from tests.checkpoints import tiny_config, write_random_checkpoint

CONFIG = tiny_config(num_experts=2, hidden_size=8, expert_intermediate_size=4)
MODEL = shape_of(CONFIG)
HARDWARE = HardwareConfig(lanes=1, max_positions=4)


class Deeper(Component):
    """A layer engine one level down, under a name of its own."""

    def __init__(self, sizes: LayerSizes) -> None:
        self.engine = LayerEngine(sizes)
        super().__init__(self.engine.signature)

    def elaborate(self, platform) -> Module:
        m = Module()
        engine = gated(m, self.test_enable, "renamed", self.engine)
        wiring.connect(m, wiring.flipped(self.i), engine.i)
        for name in ("o", *engine.halves):
            wiring.connect(m, getattr(engine, name), wiring.flipped(getattr(self, name)))
        m.d.comb += engine.test_enable.eq(self.test_enable)
        return m


@pytest.fixture
def deeper(monkeypatch) -> dict[str, str]:
    """Verilog by module of a layer that has its engine one level down, as inventories have it, too."""
    (top,) = (p for p in chip_parts(MODEL, Numerics(), HARDWARE, CHIP) if isinstance(p.thing, LayerEngine))
    monkeypatch.setattr(inventory, "LayerEngine", Deeper)
    files = split_modules(to_verilog(Deeper(top.thing.sizes), top.module))
    return {file.split("/")[-1].removesuffix(".v"): text for file, text in files.items()}


def test_every_probe_point_of_the_integer_model_is_in_the_chip(tmp_path):
    write_random_checkpoint(tmp_path / "ckpt", CONFIG)
    quantize_checkpoint(tmp_path / "ckpt", tmp_path / "q", "mxfp4", numerics=Numerics())
    seen: dict[str, torch.Tensor] = {}
    IntegerModel(QuantizedCheckpoint(tmp_path / "q")).predict(torch.tensor([[1, 2, 3]]), record=seen.__setitem__)
    probes = {probe.name: probe for probe in chip_probes(MODEL, Numerics(), HARDWARE)}
    assert set(probes) == set(seen)
    for name, probe in probes.items():
        assert seen[name].shape[-1] == (probe.elements or 3) * probe.packets * probe.banks


def test_probes_are_found_below_another_level_and_name(deeper):
    probes = [probe for probe in chip_probes(MODEL, Numerics(), HARDWARE) if probe.name.startswith("layer.0.")]
    assert len(probes) == 16
    for probe in probes:
        *path, net = probe.path.split(".")
        assert path[:3] == ["layer_0", "units", "renamed"]
        assert all(f" {name};" in deeper["_".join(["layer", *path[2:]])] for name in (net, f"{net}_value"))


def test_tables_are_found_below_another_level_and_name(deeper):
    tables = [table for table in chip_tables(MODEL, Numerics(), HARDWARE, CHIP) if table.unit.startswith("layer_")]
    assert len(tables) == 11
    for table in tables:
        assert table.unit.startswith("layer_renamed_") and f"\n  {table.module} " in deeper[table.unit]
        text = [deeper[table.module].encode()]
        words = np.concatenate(list(read_constants(text, table.module, table.width, table.signed)))
        assert np.array_equal(table.arranged(words), table.expected)


def test_layers_that_are_alike_share_an_engine_and_one_that_differs_has_its_own():
    first, second = MODEL.layers
    wider = replace(second, mlp=replace(second.mlp, num_experts=3))
    parts = list(chip_parts(replace(MODEL, layers=(first, wider, second)), Numerics(), HARDWARE, CHIP))
    engines = {part.module: part for part in parts if isinstance(part.thing, LayerEngine)}
    assert {module: part.layers for module, part in engines.items()} == {"layer": (0, 2), "layer_like_1": (1,)}
    assert [part.thing.sizes.num_experts for part in engines.values()] == [2, 3]


def test_every_layer_has_the_probes_of_the_first_one_in_its_own_module():
    probes = {probe.name: probe.path for probe in chip_probes(MODEL, Numerics(), HARDWARE)}
    first = {name: path for name, path in probes.items() if name.startswith("layer.0.")}
    assert len(first) == 16 and all(path.startswith("layer_0.units.") for path in first.values())
    for name, path in first.items():
        assert probes[name.replace("layer.0.", "layer.1.")] == path.replace("layer_0.", "layer_1.")
