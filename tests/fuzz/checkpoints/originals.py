"""The sound checkpoints that are spoiled: LLaDA-MoE in its forms, and every other family."""

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, models

from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.fuzz.checkpoints.meaning import TOKENIZER, Meaning, meaning
from tests.published_models import FAMILIES, write_family

__all__ = ["Original", "originals"]


@dataclass(frozen=True)
class Original:
    """family: a name of `tests.published_models.FAMILIES`; None: LLaDA-MoE, whose fields are all looked at."""

    path: Path
    meaning: Meaning
    family: str | None


@cache
def originals() -> list[Original]:
    """LLaDA-MoE in shards, in one file with biases, in one file of float32; then the other families."""
    folder = Path(tempfile.mkdtemp(prefix="hardloom-fuzz-"))
    atexit.register(shutil.rmtree, folder)
    small = {"hidden_size": 16, "expert_intermediate_size": 12, "num_experts": 3}
    biased = tiny_config(**small, moe_router_enable_expert_bias=True)
    places = [
        write_random_checkpoint(folder / "0", tiny_config(**small), seed=1, shards=2),
        write_random_checkpoint(folder / "1", biased, seed=2, shards=0),
        write_random_checkpoint(folder / "2", tiny_config(**small), seed=3, shards=0, dtype=torch.float32),
    ]
    families: list[str | None] = [None] * len(places)
    for name in FAMILIES:
        if name != "LLaDA-MoE":
            places.append(write_family(folder / name, name))
            families.append(name)
    for path in places:
        Tokenizer(models.BPE({c: i for i, c in enumerate("abcdefghij")}, [])).save(str(path / TOKENIZER))
    found = [meaning(path, path.with_name(f"{path.name}-quantized")) for path in places]
    return [Original(*place) for place in zip(places, found, families, strict=True)]
