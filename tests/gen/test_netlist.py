"""What holds of the emitted netlist as a whole."""

from pathlib import Path

from hardloom.gen.build.folder import Build
from hardloom.gen.text.yosys import run_yosys

STORAGE = "$dff,$dffe,$sdff,$sdffe,$sdffce,$memwr_v2,$meminit_v2"
"""Cells that no signal crosses within a clock cycle."""


def crossed(top: str, sources: list[str], boxes: list[str], folder: Path) -> list[str]:
    """Output ports of `top` that an input reaches within a cycle; any path through `boxes` is taken to be one."""
    listing = folder / "outputs"
    commands = [
        *(f"read_verilog -lib {path}" for path in boxes),
        *(f"read_verilog {path}" for path in sources),
        *(f"hierarchy -top {top}", "proc -noopt", "flatten", "opt_clean"),
        f"tee -o {listing} select -list {top}/i:* %co*:-{STORAGE} {top}/o:* %i",
    ]
    run_yosys(commands, folder, top, timeout_s=120)
    return listing.read_text().split()


def test_no_output_of_the_chip_depends_on_an_input_of_the_same_cycle(tiny_build: Build, tmp_path: Path) -> None:
    ours = {name: str(tiny_build.path / name) for name in tiny_build.files if name.endswith(".v")}
    around = [path for name, path in ours.items() if Path(name).name.startswith(tiny_build.manifest.top)]
    assert (
        crossed(tiny_build.manifest.top, around, [path for path in ours.values() if path not in around], tmp_path) == []
    )


def test_a_path_from_input_to_output_is_found(tmp_path: Path) -> None:
    text = "module t(input clk, input a, input b, output reg x, output y);\nalways @(posedge clk) x <= a;\n"
    (tmp_path / "t.v").write_text(f"{text}assign y = x & b;\nendmodule\n")
    assert crossed("t", [str(tmp_path / "t.v")], [], tmp_path) == ["t/y"]
