"""Chips of the tests: built as `gen.build.generate` builds them, and read by slang."""

from typing import Any

from pyslang.driver import Driver

from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_chip

__all__ = ["built_chip", "slang_reads"]


def slang_reads(top: str, *sources: str) -> bool:
    """Whether slang parses and elaborates module `top` of `sources` (options too), without an error or a warning that
    it gives by default; what it says goes to stderr."""
    driver: Any = Driver()
    driver.addStandardArgs()
    words = ["slang", "-Wno-case-too-complex", "--top", top, *sources]
    read = driver.parseCommandLine(" ".join(words)) and driver.processOptions()
    return read and driver.parseAllSources() and driver.runFullCompilation(True) and driver.diagEngine.numWarnings == 0


def built_chip(*arguments: Any, **options: Any) -> Build:
    """`build_chip`, the file list of which slang reads whole."""
    build = build_chip(*arguments, **options)
    assert slang_reads(build.require_chip(), f'-F "{build.path / "chip.f"}"')
    return build
