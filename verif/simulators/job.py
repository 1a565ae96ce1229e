"""What a bench hands to the simulator's process: a dataclass that one side writes as JSON and the other reads."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from hardloom.golden.files import write_json

__all__ = ["Job"]

VARIABLE = "HARDLOOM_JOB"
"""Environment variable that names the file."""


@dataclass(frozen=True)
class Job:
    """Base of all jobs; fields are what JSON holds as it is: numbers, strings, lists, dictionaries."""

    def hand_over(self, folder: Path) -> dict[str, str]:
        """Write it to `folder`/job.json; the environment with which the simulation finds it."""
        path = folder.resolve() / "job.json"
        write_json(path, asdict(self))
        return {VARIABLE: str(path)}

    @classmethod
    def received(cls) -> Self:
        """The job of this simulation."""
        return cls(**json.loads(Path(os.environ[VARIABLE]).read_text()))
