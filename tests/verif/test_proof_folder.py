"""The static proof speaks of the whole build: of every matrix of the model, and of every file of the folder."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardloom.gen.arrays import plan_array
from hardloom.gen.arrays.shells import named_prefab
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.gen.text.waivers import waivers
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.quantize import Quantize
from hardloom.verif.proof.static import recover
from tests.matrices import noise
from tests.verif.forging import copied, forge, problem


@pytest.fixture
def build(tiny_build: Build, tmp_path: Path) -> Path:
    """A copy of the tiny chip."""
    return copied(tiny_build, tmp_path / "chip")


def drop(build: Path, name: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        (build / name).unlink()
        del manifest["files"][name]
        (build / "chip.f").write_text((build / "chip.f").read_text().replace(f"{name}\n", ""))

    return change


def add(build: Path, name: str, text: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        (build / name).write_text(text)
        manifest["files"][name] = ""
        listed = sorted(n for n in manifest["files"] if n.endswith(".v"))
        (build / "chip.f").write_text("".join(f"{n}\n" for n in ["waivers.vlt", *listed]))

    return change


def test_a_sound_build_is_proven_and_its_totals_are_counted(build: Path, tiny_build: Build) -> None:
    recovery = recover(Build(build))
    assert recovery.complete, recovery.first
    assert recovery.weights == recovery.matching == tiny_build.manifest.weights_hardwired


def test_an_array_that_the_manifest_does_not_name_is_missed(build: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        array = next(a for a in manifest["arrays"] if a["kind"] == "router")
        path = build / f"rtl/arrays/{array['module']}.v"
        path.write_text(path.read_text().replace("n0,", "p0,", 1))
        manifest["arrays"].remove(array)
        manifest["weights_hardwired"] -= array["weights"]

    for with_seal in (True, False):
        forge(build, change if with_seal else lambda manifest: None, with_seal)
        assert "arrays are not those of the model" in problem(build)


def arrays_alone(manifest: dict[str, Any]) -> None:
    manifest.update(top=None, weights_hardwired=sum(array["weights"] for array in manifest["arrays"]))


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "weights_hardwired": lambda m: m.update(weights_hardwired=m["weights_hardwired"] - 1),
    "not those of the model, each once": lambda m: m["arrays"].append(m["arrays"][0]),
    "each once and in order": lambda m: m["arrays"].reverse(),
    "rows is": lambda m: m["arrays"][0].update(rows=m["arrays"][0]["rows"] + 1),
    "inputs is": lambda m: m["arrays"][1].update(inputs=1),
    "weights is": lambda m: m["arrays"][2].update(weights=1),
    "style is": lambda m: m["arrays"][0].update(style="rom"),
    "slices is": lambda m: m["arrays"][0].update(slices=16),
    "acc_width in the manifest": lambda m: m["arrays"][0].update(acc_width=m["arrays"][0]["acc_width"] + 1),
    "top is": lambda m: m.update(top="other"),
    "weights_hardwired is": lambda m: m.update(top=None),
    "where the build has arrays alone": arrays_alone,
    "memories hardloom_ram_1r1w_": lambda m: m["memories"][0].update(count=m["memories"][0]["count"] + 1),
    "has 0 memories hardloom_ram_1r1w_": lambda m: m["memories"].pop(),
    "lists memories of one geometry twice": lambda m: m["memories"].append(m["memories"][0]),
    "hardware is not of the model: hardware config, head_lanes": lambda m: m["hardware"].update(head_lanes=3),
    "hardware is not of the model: hardware config, max_positions": lambda m: m["hardware"].update(max_positions=4096),
    "model or quantization": lambda m: m["quantization"].update(q="int4"),
    "are not those of quantized/": lambda m: m["model"].update(rms_norm_eps=1e-3),
    "config.json: is not in manifest.json": lambda m: m["files"].pop("quantized/config.json"),
    "chip.f: is not in manifest.json": lambda m: m["files"].pop("chip.f"),
    "waivers.vlt: is not in manifest.json": lambda m: m["files"].pop("waivers.vlt"),
}


@pytest.mark.parametrize("reason", FORGED)
def test_a_forged_manifest_is_compared_with_the_model(build: Path, reason: str) -> None:
    forge(build, FORGED[reason])
    assert reason in problem(build)


@pytest.mark.parametrize("field", ["tool_version", "key", "hardware", "arrays"])
def test_any_field_that_was_changed_alone_is_seen(build: Path, field: str) -> None:
    def change(manifest: dict[str, Any]) -> None:
        if field == "hardware":
            manifest["hardware"]["queues"]["jobs"] += 1
        elif field == "arrays":
            manifest["arrays"][-1]["cycles_per_packet"] += 1
        else:
            manifest[field] += "1"

    forge(build, change, with_seal=False)
    assert "is not as it was written" in problem(build)


def test_a_memory_that_is_another_than_its_name_says_is_seen(build: Path) -> None:
    memory = sorted((build / "rtl/prefab").glob("hardloom_ram_*"))[0]

    def change(manifest: dict[str, Any]) -> None:
        memory.write_text(memory.read_text().replace("endmodule", "    initial words[0] = 1;\nendmodule"))

    forge(build, change)
    assert problem(build) == f"rtl/prefab/{memory.name}: is not the memory that its name says"


PREFABRICATED = {
    "input negated": ("array_shell_metal", "assign p0 = ~(u0", "assign p0 = ~(m0"),
    "load shifted": ("array_shell_metal", "held <= {in_data, held", "held <= {in_data, ~held"),
    "one bit short": ("hardloom_serial_input", "active & bits[0]", "active & bits[1]"),
    "never open": ("hardloom_clock_gate", "clk & open", "clk & ~open"),
    "comment": ("array_shell_metal", "// ", "//  "),
}
"""Changes of prefabricated modules: the module, what stands there, what comes there."""


@pytest.mark.parametrize("what", PREFABRICATED)
def test_a_prefabricated_module_that_is_another_than_its_name_says_is_seen(build: Path, what: str) -> None:
    module, old, new = PREFABRICATED[what]
    changed = sorted((build / "rtl/prefab").glob(f"{module}*"))[0]
    assert changed.read_text().count(old)

    forge(build, lambda manifest: changed.write_text(changed.read_text().replace(old, new, 1)))
    assert problem(build) == f"rtl/prefab/{changed.name}: is not the module that its name says"


@pytest.mark.parametrize("style", STYLES)
def test_the_name_of_a_shell_tells_its_text(style: str) -> None:
    matrix = noise("mxfp4", 6, 32)
    for slices, width in ((STYLES[style].small_slices(32), 8), (32, 6)):
        plan = plan_array("a", [matrix], 4, slices, style, "mxfp4", Quantize(width=width))
        for prefab in plan.style.prefab(plan):
            named = named_prefab(prefab.module)
            assert named == prefab or (named is None and prefab.module.startswith(("neuron_", "shared_", "rom_")))
        assert named_prefab(plan.shell) is not None and named_prefab(plan.shell + "x") is None
        assert named_prefab(plan.shell.replace("_i32_", "_i032_")) is None


def test_a_field_that_no_manifest_has_is_seen(build: Path) -> None:
    forge(build, lambda manifest: manifest.update(proven=True))
    assert "is damaged" in problem(build)


@pytest.mark.parametrize("name", ["rtl/arrays/deep", "simulation", "verify.xml"])
def test_a_folder_of_nothing_is_no_part_of_a_build(build: Path, name: str) -> None:
    (build / name).mkdir()
    assert problem(build) == f"{name}: is not of this build; move it elsewhere"


@pytest.mark.parametrize("kind", ["arrays", "constants", "prefab", "units"])
@pytest.mark.parametrize("first", [False, True], ids=["inside", "before"])
def test_a_comment_that_a_tool_obeys_is_seen(build: Path, kind: str, first: bool) -> None:
    """Yosys leaves out what stands behind it, and a reader of the code alone would not see that."""
    path = next(p for p in sorted((build / f"rtl/{kind}").glob("*.v")) if "neuron" in p.name or kind != "prefab")
    begin, end = path.read_text().split("module ", 1)
    comment = "// synthesis translate_off\n"
    text = f"{comment}{begin}module {end}" if first else f"{begin}module {end.replace(');', f');{comment}', 1)}"

    forge(build, lambda manifest: path.write_text(text))
    wanted = ("a tool might obey its comment", "is not the ROM module", "is malformed", "does not start")
    found = problem(build)
    assert path.stem in found and any(words in found for words in wanted)


@pytest.mark.parametrize("code", ["`define wire reg", "(* keep *) wire w;", "wire \\w ;"])
def test_what_is_written_for_tools_has_no_place_in_a_unit(build: Path, code: str) -> None:
    path = build / "rtl/units/hardloom_chip.v"
    forge(build, lambda manifest: path.write_text(path.read_text().replace(");\n", f");\n  {code}\n", 1)))
    assert problem(build).startswith("rtl/units/hardloom_chip.v: hardloom does not write ")


EVIL = "module evil; endmodule\n"


@pytest.mark.parametrize("kind", ["arrays", "constants", "prefab", "units"])
def test_listed_text_that_is_no_part_of_the_model_is_seen(build: Path, kind: str) -> None:
    forge(build, add(build, f"rtl/{kind}/evil.v", EVIL))
    assert problem(build).startswith(f"rtl/{kind}/evil.v: ")


def test_a_second_module_in_a_file_or_a_second_file_of_a_module_is_seen(build: Path) -> None:
    name = "rtl/units/hardloom_chip.v"
    text = (build / name).read_text()
    forge(build, add(build, name, text + "  module evil; endmodule\n"))
    assert "does not hold the module hardloom_chip alone" in problem(build)
    forge(build, add(build, name, text))
    forge(build, add(build, "rtl/prefab/hardloom_chip.v", text))
    assert "holds a module of that name too" in problem(build)


@pytest.mark.parametrize("kind", ["arrays", "constants", "prefab", "units"])
def test_text_that_is_missing_is_missed(build: Path, tiny_build: Build, kind: str) -> None:
    names = [name for name in tiny_build.files if name.startswith(f"rtl/{kind}/")]
    name = next(name for name in sorted(names) if "swiglu" in name or kind != "units")
    forge(build, drop(build, name))
    assert problem(build)


@pytest.mark.parametrize(
    "name",
    ["chip.f", "waivers.vlt", "quantized/config.json", "quantized/quantization.json", "rtl/units/hardloom_chip.v"],
)
def test_a_space_at_the_end_of_a_file_is_seen(build: Path, name: str) -> None:
    path = build / name
    contents = path.read_bytes()
    path.unlink()  # the quantized files are links to those of other builds
    path.write_bytes(contents + b" ")
    assert problem(build) == f"{path}: differs from manifest.json; run `hardloom generate` again"


@pytest.mark.parametrize(
    "name", ["evil.v", "rtl/units/evil.v", "rtl/arrays/deep/evil.v", "quantized/tokenizer.json", "rtl/x"]
)
@pytest.mark.parametrize("make", [lambda p: p.write_text(EVIL), os.mkfifo, lambda p: p.symlink_to("/tmp")])
def test_what_the_manifest_does_not_list_is_seen(build: Path, name: str, make: Callable[[Path], None]) -> None:
    (build / name).parent.mkdir(exist_ok=True)
    make(build / name)
    if name == "quantized/tokenizer.json":  # which a checkpoint may have, so that reading the checkpoint sees it first
        assert f"{name}: is not in manifest.json" in problem(build)
    else:
        assert problem(build) == f"{name}: is not of this build; move it elsewhere"


@pytest.mark.parametrize("name", ["chip.f", "rtl", "rtl/arrays", "simulation", "quantized/config.json"])
def test_links_are_no_part_of_a_build(build: Path, tmp_path: Path, name: str) -> None:
    if (build / name).exists():
        (build / name).rename(tmp_path / "moved")
    (build / name).symlink_to(tmp_path / "moved")
    assert problem(build)


def test_a_listing_of_other_files_is_seen(build: Path) -> None:
    (build / "chip.f").write_text((build / "chip.f").read_text() + "/tmp/evil.v\n")
    forge(build, lambda manifest: None)
    assert problem(build) == "chip.f: is not the list of the Verilog files in manifest.json"


def test_waivers_of_more_than_units_are_seen(build: Path) -> None:
    (build / "waivers.vlt").write_text((build / "waivers.vlt").read_text().replace("rtl/units/?", ""))
    forge(build, lambda manifest: None)
    assert problem(build) == "waivers.vlt: is not that of a chip"


def test_waivers_are_no_part_of_arrays_alone(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    selection = Selection(layers=(0,), matrices=("router",))
    build = build_arrays(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "parts", tiny_hardware, selection).path
    assert not (build / "waivers.vlt").exists() and recover(Build(build)).complete
    forge(build, add(build, "waivers.vlt", waivers()))
    assert problem(build) == "waivers.vlt: is a unit, or of units, where the build has arrays alone"


def test_a_file_of_another_checkpoint_of_that_geometry_is_seen(
    build: Path, tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    name, router = "rtl/arrays/wired_layer_0_router.v", Selection(layers=(0,), matrices=("router",))
    other = build_arrays(QuantizedCheckpoint(tiny_quantized[1]), tmp_path / "other", tiny_hardware, router)
    shutil.copyfile(other.path / name, build / name)
    assert "differs from manifest.json" in problem(build)
    forge(build, lambda manifest: None)
    assert problem(build).startswith(f"{name}: at [")
