"""Names of a build's files: a file anywhere else is none of ours, whatever a manifest or a journal says."""

import re
from typing import Any

from hardloom.golden.files import COMPRESSED
from hardloom.golden.quantization.quantized import FILES

__all__ = ["FILE_LIST", "QUANTIZED", "SDC", "WAIVERS", "check_files", "connection_file", "is_build_file"]

FILE_LIST, SDC, WAIVERS, QUANTIZED = "chip.f", "chip.sdc", "waivers.vlt", "quantized"

VERILOG = re.compile(r"rtl/(?:(?:arrays|constants)/\w+\.v(?:\.zst)?|(?:prefab|units)/\w+\.v)", re.ASCII)
"""A module a file, named after it; connections of arrays, and constants, may be compressed."""

OTHERS = {FILE_LIST, SDC, WAIVERS, *(f"{QUANTIZED}/{name}" for name in FILES)}

SHA256 = re.compile(r"[0-9a-f]{64}")


def connection_file(module: str, compress: bool = False) -> str:
    """Where the connections of array `module` are, in the build folder."""
    return f"rtl/arrays/{module}.v{COMPRESSED if compress else ''}"


def is_build_file(name: Any) -> bool:
    """Whether `name` is that of a file that generating makes, besides manifest, journal and mark."""
    return isinstance(name, str) and (name in OTHERS or VERILOG.fullmatch(name) is not None)


def check_files(files: Any) -> dict[str, str]:
    """Names to SHA-256, as JSON holds them. Raises ValueError for anything else."""
    if not isinstance(files, dict):
        raise ValueError("files are no object")
    for name, digest in files.items():
        if not is_build_file(name) or not isinstance(digest, str) or not SHA256.fullmatch(digest):
            raise ValueError(f"{name!r:.80} is no file of a build")
    return files
