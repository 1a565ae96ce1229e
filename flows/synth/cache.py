"""Results of synthesis by the hash of everything that they depend on."""

import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path

from hardloom.flows.synth.yosys import Synthesis
from hardloom.gen.build import clock_enables
from hardloom.gen.text import yosys
from hardloom.golden.files import write_json

__all__ = ["Cache"]


@cache
def flow_digest() -> str:
    """Hash of the code that decides what synthesis comes to, and of the version of Yosys."""
    digest = hashlib.sha256(version("pyosys").encode())
    for path in (*sorted(Path(__file__).parent.rglob("*.py")), *map(Path, (yosys.__file__, clock_enables.__file__))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Cache:
    """One JSON file a result, named by its key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, *parts: str) -> str:
        return hashlib.sha256("\n".join((flow_digest(), *parts)).encode()).hexdigest()

    def get(self, key: str) -> Synthesis | None:
        """The result stored under `key`; None where there is none, or it is damaged."""
        try:
            return Synthesis(**json.loads((self.folder / f"{key}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def netlist(self, key: str) -> Path:
        """Where the mapped Verilog of that result is, if it was wanted."""
        return self.folder / f"{key}.v"

    def put(self, key: str, result: Synthesis) -> None:
        write_json(self.folder / f"{key}.json", result.to_json_dict())
