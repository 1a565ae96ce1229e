"""What tests of commands share: the tiny chip as `hardloom export` writes it."""

from pathlib import Path

import pytest

from hardloom.gen.build.folder import Build
from tests.command_line import hardloom

__all__ = ["SHORT"]

SHORT = ("--prompt-tokens", "3,9", "--gen-length", "8")
"""A bench that takes a simulator little time."""


@pytest.fixture(scope="session")
def exported(tiny_build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny chip's export."""
    out = tmp_path_factory.mktemp("export") / "chip"
    ran = hardloom("export", tiny_build.path, "--to", out, *SHORT)
    assert ran.code == 0, ran.err
    return out
