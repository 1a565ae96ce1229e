"""Tests, a folder for each floor, `project` for what is said of the whole, `fuzz` for hostile
inputs; what they share lies beside this file."""

from pathlib import Path

__all__ = ["DEMO", "DEMO2", "ROOT"]

ROOT = Path(__file__).parent.parent
"""The repository."""

DEMO = ROOT / "checkpoints" / "demo"
DEMO2 = ROOT / "checkpoints" / "demo2"
"""The checkpoint of the demonstration."""
