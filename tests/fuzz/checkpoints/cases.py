"""Hostile checkpoints, a seed each: what is accepted must mean what independent readers make of the folder.

A mutation says what must come of it: `SAME` (harmless: accepted, and the same integers as before), `REFUSED`, or
`LAWFUL` (refused, or accepted with the fields that the standard library's JSON parser finds, the tensors that the
safetensors library reads and the ids that the tokenizers library gives; of a family other than LLaDA-MoE, with the
logits that the family's published code computes).
"""

import random
import shutil
from pathlib import Path

import torch

from hardloom.flows.models.info import info, info_parts
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from tests.fuzz.checkpoints.meaning import fields_of, meaning
from tests.fuzz.checkpoints.mutated_config import CONFIG_MUTATIONS
from tests.fuzz.checkpoints.mutated_files import FILE_MUTATIONS
from tests.fuzz.checkpoints.mutated_tensors import TENSOR_MUTATIONS
from tests.fuzz.checkpoints.originals import originals
from tests.fuzz.checkpoints.outcomes import REFUSED, SAME
from tests.fuzz.checkpoints.readers import check_config, check_family, check_ids, check_tensors

__all__ = ["case", "prepare"]

MUTATIONS = [*CONFIG_MUTATIONS, *TENSOR_MUTATIONS, *FILE_MUTATIONS]
LONGEST_MESSAGE = 1100


def prepare(given: Path | None) -> None:
    torch.set_num_threads(1)
    originals()


def case(seed: int, work: Path) -> str:
    """One mutated checkpoint; what came of it in a word."""
    rng = random.Random(seed)
    original, mutation = rng.choice(originals()), rng.choice(MUTATIONS)
    name = f"{original.family or 'LLaDA-MoE'}, {mutation.__name__}"
    folder, out = work / "checkpoint", work / "quantized"
    shutil.copytree(original.path, folder)
    must = mutation(rng, folder)
    try:
        assert list(info_parts(info(folder, config_only=True, scan=False)))
        found = meaning(folder, out)
    except UserError as error:
        message = str(error)
        assert must != SAME, f"{name}: harmless, but refused: {message}"
        assert "\n" not in message and message.encode() and len(message) < LONGEST_MESSAGE, message
        assert not QuantizedCheckpoint.is_quantized(out) or "model.layers" in message or "head" in message, message
        return f"{name}: refused"
    assert must != REFUSED, f"{name}: accepted"
    if must == SAME:
        assert found == original.meaning
    if original.family is None:
        check_config(folder, original.path, fields_of(found.model))
        check_tensors(folder, found.tensors)
    else:
        check_family(folder, original.path, original.family, found.model, original.meaning.model)
    check_ids(folder, found.ids, found.model.vocab_size)
    return f"{name}: accepted"
