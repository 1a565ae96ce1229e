"""The cache of chips built in passing, and chips of any build folder as an engine."""

import json
from pathlib import Path

import pytest

from hardloom.flows.models import rtl_engine
from hardloom.golden.cache import cache_folder, entry
from hardloom.golden.quantization.quantized import QUANTIZATION, TENSORS
from hardloom.verif.chip.simulation import SimulatedChip
from tests.checkpoints import write_chip_checkpoint
from tests.command_line import hardloom

PROMPT = ("--prompt-tokens", "3,1,4", "--gen-length", "4", "--block-length", "4", "--steps", "2")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HARDLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_is_listed_and_emptied_and_nothing_else_is(cache, tmp_path):
    assert json.loads(hardloom("cache", "list", "--json").out) == []
    folder = entry("0123456789abcdef01234567", tmp_path / "ckpt")
    (folder / "chip-64").mkdir()
    (folder / "chip-64" / "a.v").write_text("x" * 1000)
    (cache / "precious").mkdir()
    (held,) = json.loads(hardloom("cache", "list", "--json").out)
    assert held["folder"] == str(folder) and held["checkpoint"] == str(tmp_path / "ckpt")
    assert held["chips"] == 1 and held["size"] == 1000 + len(held["checkpoint"]) + 1
    ran = hardloom("cache", "empty")
    assert ran.code == 0 and "1 entries deleted" in ran.out
    assert [path.name for path in cache_folder().iterdir()] == ["precious"]


def test_any_build_answers_and_its_simulator_is_reused(tiny_chip: SimulatedChip, tiny_quantized, cache, monkeypatch):
    """A chip of its own hardware: no chip is generated beside it; the integer model says the same."""
    monkeypatch.setattr(rtl_engine, "SimulatedChip", lambda build, on_build: tiny_chip)
    monkeypatch.setattr(rtl_engine, "build_chip", lambda *_: pytest.fail("the build is there already"))
    build = tiny_chip.build.path
    found = {}
    for engine, place in (("rtl", build), ("golden", build), ("golden", tiny_quantized[0])):
        ran = hardloom("sample", place, "--engine", engine, *PROMPT, "--json")
        assert ran.code == 0, ran.err
        found[engine, place] = json.loads(ran.out)["tokens"]
    assert len(set(map(tuple, found.values()))) == 1
    assert not cache.exists()


def test_a_prompt_that_a_build_cannot_hold_is_refused(tiny_build, cache):
    ran = hardloom("sample", tiny_build.path, "--engine", "rtl", "--prompt-tokens", "1,2", "--gen-length", "32")
    assert ran.code == 1 and "this chip holds 32 positions, 34 are asked for" in ran.err


def test_what_is_done_is_said_before_it_is_done(tiny_build, cache, monkeypatch):
    said = []

    class Built:
        def __init__(self, build, on_build):
            on_build()
            raise KeyboardInterrupt

    monkeypatch.setattr(rtl_engine, "SimulatedChip", Built)
    monkeypatch.setattr(rtl_engine, "notice", said.append)
    ran = hardloom("sample", tiny_build.path, "--engine", "rtl", *PROMPT)
    assert ran.code == 130 and "interrupted" in ran.err
    assert said == ["building the simulator (about 10 s, once)"]


def test_a_checkpoint_becomes_the_chip_of_what_quantize_alone_makes_of_it(cache, tmp_path, monkeypatch):
    source, asked = write_chip_checkpoint(tmp_path / "ckpt", 3), []

    def build_chip(quantized, folder, hardware, progress):
        asked.append((quantized.path, folder, hardware.max_positions))
        raise KeyboardInterrupt

    monkeypatch.setattr(rtl_engine, "build_chip", build_chip)
    assert hardloom("sample", source, "--engine", "rtl", *PROMPT).code == 130
    assert hardloom("quantize", source, "-o", tmp_path / "quantized").code == 0
    ((quantized, folder, positions),) = asked
    for name in (TENSORS, QUANTIZATION):
        assert (quantized / name).read_bytes() == (tmp_path / "quantized" / name).read_bytes()
    assert folder.is_relative_to(cache) and positions == 64
