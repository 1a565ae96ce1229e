"""What tests of checkpoints share."""

from pathlib import Path

import pytest

from tests.checkpoints import write_random_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny random checkpoint."""
    return write_random_checkpoint(tmp_path / "checkpoint")
