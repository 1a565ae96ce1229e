"""The page of the tiny chip, made once, and the integer model's run that it shows, made anew."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hardloom.gen.build.folder import Build
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import Step
from hardloom.golden.samplers.sampling import Sampling, denoise
from tests.command_line import hardloom
from tests.flows.report.markup import Element, read_page

PROMPT, SAMPLING = [3, 9, 4], Sampling.of("llada", gen_length=8, block_length=8, steps=4)
"""Steps take some candidates and leave others."""

RUN = ("--prompt-tokens", "3,9,4", "--gen-length", "8")
SET = ("--set", "block_length=8", "--set", "steps=4")


def page_words(record: Path) -> tuple[str | Path, ...]:
    """Options of the page that all tests share. record: of `hardloom sensitivity`."""
    return (*RUN, *SET, "--verify", "--neuron", "5", "--sensitivity", record)


@pytest.fixture(scope="session")
def chip_build(tiny_build: Build, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The tiny chip in a folder of its own, of which nothing has been synthesized."""
    return Build(shutil.copytree(tiny_build.path, tmp_path_factory.mktemp("chip") / "chip"))


@pytest.fixture(scope="session")
def record(tiny_quantized: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `hardloom sensitivity` writes of the checkpoint that the chip is made from."""
    folder = tmp_path_factory.mktemp("sensitivity")
    (folder / "tokens").write_text(" ".join(str(token % 13) for token in range(600)))
    checkpoint, out = tiny_quantized[0].with_name("ckpt0"), folder / "sensitivity.json"
    ran = hardloom("sensitivity", checkpoint, "--tokens", folder / "tokens", "--most", "512", "-o", out)
    assert ran.code == 0, ran.err
    return out


@pytest.fixture(scope="session")
def page_file(chip_build: Build, record: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report.html"
    ran = hardloom("report", chip_build.path, "-o", out, *page_words(record))
    assert ran.code == 0, ran.err
    return out


@pytest.fixture(scope="session")
def page(page_file: Path) -> Element:
    return read_page(page_file.read_text())


@pytest.fixture(scope="session")
def section(page: Element):
    """A section of the page by its name."""

    def find(name: str) -> Element:
        (found,) = page.all("section", aria_labelledby=name)
        return found

    return find


class Recorded:
    """The integer model, and of every pass what its routers chose, int64 [positions, top_k] a layer."""

    def __init__(self, checkpoint: QuantizedCheckpoint) -> None:
        self.model = IntegerModel(checkpoint)
        self.routes: list[list[Tensor]] = []

    def predict(self, tokens, wanted=None, manners=None, kept=None):
        self.routes.append([])

        def record(name: str, value: Tensor) -> None:
            if name.endswith("router.experts"):
                self.routes[-1].append(value[0])

        return self.model.predict(tokens, wanted, manners, kept, record)


@pytest.fixture(scope="session")
def golden(chip_build: Build) -> tuple[list[Step], list[list[Tensor]]]:
    """Steps of the run, and the routes of each."""
    checkpoint = chip_build.checkpoint()
    engine = Recorded(checkpoint)
    steps = list(denoise(engine, torch.tensor([PROMPT]), SAMPLING, checkpoint.model))
    return steps, engine.routes
