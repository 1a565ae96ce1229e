"""The exported configuration, read by LibreLane itself (`pip install librelane`); no PDK, and none of its tools run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

config = pytest.importorskip("librelane.config", reason="LibreLane is not installed; run: pip install librelane")

from librelane.config.config import InvalidConfig  # noqa: E402
from librelane.flows import Flow  # noqa: E402

PROCESS = {"meta": {"version": 2}, "PDK": "sky130A", "STD_CELL_LIBRARY": "sky130_fd_sc_hd"}


def load(path: Path) -> Any:
    """What the flow `Classic` makes of a configuration, without the variables of a PDK. It refuses unknown keys."""
    classic = Flow.factory.get("Classic")
    steps = [variable for step in classic.Steps for variable in step.config_vars]
    known = {v.name: v for v in [*config.universal_flow_config_variables, *classic.config_vars, *steps]}
    kept = [v for v in known.values() if not v.pdk or v.name in PROCESS]
    return config.Config.load([PROCESS, str(path)], kept, pdk_root=str(path.parent), _load_pdk_configs=False)[0]


def test_librelane_knows_every_key_and_finds_every_file(exported: Path) -> None:
    found = load(exported / "librelane" / "config.json")
    names = (exported / "chip.f").read_text().split()
    assert {Path(name).resolve() for name in found["VERILOG_FILES"]} == {
        (exported / name).resolve() for name in names if name.endswith(".v")
    }
    assert (found["DESIGN_NAME"], found["CLOCK_PORT"], found["CLOCK_PERIOD"]) == ("hardloom_chip", "clk", 50)
    for name in ("PNR_SDC_FILE", "SIGNOFF_SDC_FILE"):
        assert Path(found[name]).samefile(exported / "librelane" / "chip.sdc")


@pytest.mark.parametrize(
    "field, value", [("CLOCK_PROT", "clk"), ("CLOCK_PERIOD", "slow"), ("PNR_SDC_FILE", "dir::nowhere.sdc")]
)
def test_it_would_say_what_is_wrong(exported: Path, tmp_path: Path, field: str, value: str) -> None:
    shutil.copytree(exported, tmp_path / "copy")
    path = tmp_path / "copy" / "librelane" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(InvalidConfig, match=field):
        load(path)
