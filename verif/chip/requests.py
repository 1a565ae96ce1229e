"""What a simulated chip is asked to do, and what it answers, between the two processes of a simulation."""

from dataclasses import dataclass, field
from typing import TypedDict

from hardloom.verif.simulators.job import Job

__all__ = ["ChipJob", "Request"]


class Request(TypedDict):
    """One run: tokens of the prompt, how many to generate, and the words of the sampler's program."""

    prompt: list[int]
    gen_length: int
    program: list[int]


@dataclass(frozen=True)
class ChipJob(Job):
    """Requests, at most `at_once` at a time, and the file that answers go to. Ahead of them `writes` of registers, by
    name, as for adapters.

    A JSON line is written for each denoising step ({"run", "commits": [[position, token, spread], ...]}) as it ends, in
    the order of their passes through the model, and one for each run ({"run", "started", "cycles", "forwards",
    "saturations", "error"}).
    """

    runs: list[Request]
    results: str
    at_once: int = 1
    writes: list[tuple[str, int]] = field(default_factory=list)
