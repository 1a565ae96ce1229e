"""What the demonstration asks of a model: held-out problems of its tasks, and how they are sampled."""

from pathlib import Path

from tokenizers import Tokenizer

from golden.checkpoints.tokenizer import load_tokenizer
from golden.errors import UserError
from golden.samplers.sampling import Sampling
from golden.training.accuracy import held_out_problems
from golden.training.tasks import TASKS, Problem, build_tokenizer
from golden.units.numerics import Numerics

__all__ = ["DEMO_BLOCK", "DEMO_FORMAT", "DEMO_NUMERICS", "DEMO_SAMPLING", "demo_tokenizer", "mixed_problems"]

DEMO_FORMAT, DEMO_NUMERICS = "mxfp4", Numerics()
"""What the demonstration model was trained for: see `golden.training.train`."""

DEMO_BLOCK = 8
DEMO_SAMPLING = Sampling.of("llada", gen_length=16, block_length=DEMO_BLOCK, steps=8)
"""What the demonstration asks of the sampler: two blocks of eight tokens, four steps each, two tokens a step."""


def mixed_problems(count: int) -> list[Problem]:
    """`count` held-out problems, the tasks in turn; `UserError` where there are not so many."""
    each = -(-count // len(TASKS))
    by_task = [held_out_problems(task, each) for task in TASKS]
    chosen = [problem for group in zip(*by_task, strict=False) for problem in group][:count]
    if len(chosen) < count or count < 1:
        most = len(TASKS) * min(len(group) for group in by_task)
        raise UserError(f"--prompts: {count} is not between 1 and the {most} held-out problems; give another number")
    return chosen


def demo_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of the checkpoint `path`; `UserError` where it was not trained on these tasks."""
    tokenizer = load_tokenizer(path)
    if tokenizer is None or tokenizer.get_vocab() != build_tokenizer().get_vocab():
        raise UserError(
            f"{path}: its tokenizer is not that of the demonstration's tasks; give a folder from `hardloom train`"
        )
    return tokenizer
