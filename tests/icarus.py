"""Icarus Verilog, where it is installed."""

import shutil

import pytest

__all__ = ["needs_icarus"]

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
