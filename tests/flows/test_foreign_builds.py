"""A build folder may come from anywhere: what a command believes of it is checked, or made again."""

import json
import shutil
from pathlib import Path

import pytest

from hardloom.flows.synth.modules import Modules
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.build.seal import sealed
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.golden.cache import work_folder
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from tests.command_line import hardloom

PROMPT = ("--prompt-tokens", "3,1,4", "--gen-length", "2", "--block-length", "2", "--steps", "1")
ROUTER = "wired_layer_0_router"


@pytest.fixture
def build(tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path) -> Path:
    """Two arrays of layer 0 alone, which is quick; none of their files is shared with others."""
    selection = Selection(layers=(0,), matrices=("router", "o"))
    made = build_arrays(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "made", tiny_hardware, selection)
    return shutil.copytree(made.path, tmp_path / "build")


def forge(build: Path, name: str, contents: bytes) -> None:
    """The file `name` has other contents, and manifest and seal say that they are right."""
    (build / name).write_bytes(contents)
    manifest = json.loads((build / MANIFEST).read_text())
    manifest["files"][name] = sha256(build / name)
    (build / MANIFEST).write_text(json.dumps(sealed(manifest)))


@pytest.mark.parametrize("kind", ["arrays", "constants", "prefab"])
def test_text_that_is_not_utf8_is_named_whatever_its_hash(build: Path, kind: str) -> None:
    path = min((build / "rtl" / kind).iterdir())
    name = path.relative_to(build).as_posix()
    forge(build, name, b"\xff" + path.read_bytes())
    ran = hardloom("verify", build, "--static", "--json")
    said = ran.err or json.loads(ran.out)["first"]
    assert ran.code == 1 and name in said and said.count("\n") <= 1
    with pytest.raises(UserError, match=f"{name}: byte 0 is not UTF-8; run `hardloom generate` again"):
        Modules(Build(build)).text(path.stem)


@pytest.mark.parametrize("name", ["rtl/arrays/wired_layer_0_{}.v", "rtl/constants/wired_layer_0_{}_scales.v"])
def test_files_that_hold_each_others_modules_are_not_proven(build: Path, name: str) -> None:
    """Each by itself says what it should; who instantiates it by its name would get the other."""
    files = [name.format(kind) for kind in ("router", "o")]
    modules = [Path(file).stem.encode() for file in files]
    texts = [(build / file).read_bytes() for file in files]
    for file, text, own, other in zip(files, texts, modules, modules[::-1], strict=True):
        forge(build, file, text.replace(b"module " + own + b" ", b"module " + other + b" ", 1))
    ran = hardloom("verify", build, "--static", "--json")
    assert ran.code == 1 and json.loads(ran.out)["first"].startswith(f"{files[1]}: ")


def test_a_module_within_itself_is_one_sentence(build: Path) -> None:
    name = f"rtl/arrays/{ROUTER}.v"
    text = (build / name).read_text().replace("endmodule", f"  {ROUTER}_scales x ();\nendmodule")
    forge(build, name, text.encode())
    scales = f"rtl/constants/{ROUTER}_scales.v"
    forge(build, scales, (build / scales).read_bytes().replace(b"endmodule", f"  {ROUTER} x ();\nendmodule".encode()))
    with pytest.raises(UserError, match=f"{ROUTER} is within itself"):
        Modules(Build(build)).below(ROUTER)


def test_results_of_synthesis_that_a_build_brings_are_not_believed(build: Path) -> None:
    """Nor is anything written there: it may be a link to somewhere else."""
    said = hardloom("synth", build, "--unit", ROUTER, "--generic", "--json")
    assert said.code == 0, said.err
    for kept in (work_folder(build, "synthesis") / "cache").iterdir():
        forged = json.loads(kept.read_text()) | {"cells": {"$_AND_": 1}}
        (build / "synthesis" / "cache").mkdir(parents=True, exist_ok=True)
        (build / "synthesis" / "cache" / kept.name).write_text(json.dumps(forged))
        kept.unlink()
    files = sorted(build.rglob("*"))
    again = hardloom("synth", build, "--unit", ROUTER, "--generic", "--json")
    assert [json.loads(ran.out)["cells"] for ran in (said, again)] == [json.loads(said.out)["cells"]] * 2
    assert sorted(build.rglob("*")) == files
    ran = hardloom("verify", build, "--static", "--json")
    assert ran.code == 1 and json.loads(ran.out)["first"].startswith("synthesis/")


@pytest.mark.parametrize("name", ["config.json", "quantization.json", "quantized.safetensors", "tokenizer.json"])
def test_only_the_model_that_a_build_was_made_from_answers_for_it(build: Path, name: str) -> None:
    sound = hardloom("sample", build, "--engine", "golden", *PROMPT)
    assert sound.code == 0, sound.err
    path = build / "quantized" / name
    path.write_bytes((path.read_bytes() if path.exists() else b"{}") + b" ")
    for engine in ("golden", "rtl"):
        ran = hardloom("sample", build, "--engine", engine, *PROMPT)
        assert ran.code == 1
        listed = f"error: {path}: differs from manifest.json; run `hardloom generate` again"
        strange = f"error: {path}: is not in manifest.json; move it elsewhere, or generate again"
        assert ran.err == (strange if name == "tokenizer.json" else listed)
