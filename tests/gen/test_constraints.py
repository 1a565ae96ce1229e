"""`chip.sdc`: it names the ports that a chip has, and a timing analyser reads it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hardloom.flows.synth.library.embedded import default_liberty
from hardloom.gen.build.constraints import constraints
from hardloom.gen.build.folder import Build

PORT = re.compile(r"^ *(input|output) +wire +(?:\[(\d+):0\] +)?(\w+)", re.MULTILINE)


def ports_of(build: Build) -> dict[str, tuple[str, int]]:
    """Direction and bits of every port of the emitted top."""
    text = build.text(f"rtl/units/{build.manifest.top}.v").partition(");")[0]
    return {name: (direction, int(msb or 0) + 1) for direction, msb, name in PORT.findall(text)}


def test_every_port_has_its_constraint(tiny_build: Build) -> None:
    ports = ports_of(tiny_build)
    assert (tiny_build.path / "chip.sdc").read_text() == constraints()
    for direction in ("input", "output"):
        (named,) = re.findall(rf"set_{direction}_delay \$outside -clock clk \[get_ports {{(.*)}}]", constraints())
        wanted = {name for name, (of, _) in ports.items() if of == direction} - {"clk"}
        assert {name.rstrip("*") for name in named.split()} == wanted


@pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")
def test_a_timing_analyser_takes_every_line(tiny_build: Build, tmp_path: Path) -> None:
    """A chip of flip-flops alone behind its ports: what is there is constrained, and the period is that of the flow."""
    (tmp_path / "cells.lib").write_text(default_liberty())
    lines = [f"module hardloom_chip ({', '.join(ports_of(tiny_build))});"]
    for number, (name, (direction, bits)) in enumerate(ports_of(tiny_build).items()):
        lines.append(f"  {direction} {f'[{bits - 1}:0] ' if bits > 1 else ''}{name};")
        for bit in range(bits if name not in ("clk", "test_enable") else 0):
            pin = f"{name}[{bit}]" if bits > 1 else name
            d, q = (pin, f"n{number}_{bit}") if direction == "input" else ("rst", pin)
            lines.append(f"  DFF_X1 f{number}_{bit} (.CK(clk), .D({d}), .Q({q}));")
    (tmp_path / "netlist.v").write_text("\n".join([*lines, "endmodule", ""]))
    (tmp_path / "chip.sdc").write_text(constraints())
    script = "read_liberty cells.lib\nread_verilog netlist.v\nlink_design hardloom_chip\nset hardloom_period 0.7\n"
    script += "read_sdc chip.sdc\ncheck_setup -verbose\nputs period=[get_property [get_clocks clk] period]\nexit\n"
    (tmp_path / "script.tcl").write_text(script)
    done = subprocess.run(["sta", "-no_splash", "-exit", "script.tcl"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Warning" not in done.stdout and "Error" not in done.stdout, done.stdout
    assert "period=0.7" in done.stdout
