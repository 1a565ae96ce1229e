"""The trained demonstration checkpoints, which come with hardloom."""

from pathlib import Path

__all__ = ["DEMO", "DEMO2"]

SHIPPED = Path(__file__).parents[2] / "checkpoints"

DEMO = SHIPPED / "demo"
"""Of LLaDA-MoE's shape."""
DEMO2 = SHIPPED / "demo2"
"""Of LLaDA2's shape."""
