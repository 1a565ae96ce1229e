"""Mutations of `config.json`, and of any JSON file: they change a folder, and say what must come of it."""

import json
import random
from pathlib import Path

from hardloom.golden.checkpoints.families import family_of
from hardloom.golden.checkpoints.families.rules import HARMLESS
from tests.fuzz.checkpoints.meaning import CONFIG, INDEX, TOKENIZER
from tests.fuzz.checkpoints.outcomes import LAWFUL, REFUSED, SAME
from tests.fuzz.mutations import mutated_bytes, mutated_value, with_one_value_mutated

__all__ = ["CONFIG_MUTATIONS"]


def config_value(rng: random.Random, folder: Path) -> str:
    """A field of the file, or one of those known, has another value."""
    raw = json.loads((folder / CONFIG).read_text())
    rules = family_of(raw).rules
    name = rng.choice([*raw, *raw, rng.choice([*rules.fixed, *rules.used, *HARMLESS, "block_size"])])
    raw[name] = mutated_value(rng, raw.get(name))
    (folder / CONFIG).write_text(json.dumps(raw))
    return LAWFUL


def config_type(rng: random.Random, folder: Path) -> str:
    """A number of the file is of another type, its value as it was or one that counts the same."""
    raw = json.loads((folder / CONFIG).read_text())
    name = rng.choice([name for name, value in raw.items() if type(value) in (int, float)])
    value = raw[name]
    raw[name] = rng.choice(
        [True, False, str(value), [value], {"value": value}, value * 1.0 if type(value) is int else ""]
    )
    (folder / CONFIG).write_text(json.dumps(raw))
    if name in family_of(raw).rules.harmless or name in HARMLESS:
        return SAME
    if name == "eos_token_id" and raw[name] == [value]:  # one end, or a list of some
        return SAME
    return LAWFUL if isinstance(raw[name], float) else REFUSED


def config_without(rng: random.Random, folder: Path) -> str:
    raw = json.loads((folder / CONFIG).read_text())
    for name in rng.sample(list(raw), rng.choice([1, 1, 2, 9])):
        del raw[name]
    (folder / CONFIG).write_text(json.dumps(raw))
    return LAWFUL


def config_unknown(rng: random.Random, folder: Path) -> str:
    raw = json.loads((folder / CONFIG).read_text())
    raw[rng.choice(["embedding_multiplier", "x" * 90_000, "\ud800", "a\nb", ""])] = rng.choice([1, "a", False, [], {}])
    (folder / CONFIG).write_text(json.dumps(raw))
    return REFUSED


def config_harmless(rng: random.Random, folder: Path) -> str:
    """Another spelling of the same configuration."""
    raw = json.loads((folder / CONFIG).read_text())
    match rng.randrange(6) if "expert_intermediate_size" in raw else 0:
        case 0:
            raw |= {"transformers_version": "5.0", "dtype": "bfloat16", "use_cache": False, "pad_token_id": -1}
        case 1:
            raw |= {"rope_parameters": {"rope_type": "default", "rope_theta": raw.pop("rope_theta")}}
        case 2:
            raw |= {"num_key_value_heads": None, "sliding_window": None, "some_field": None, "norm_topk_prob": None}
        case 3:
            raw |= {"moe_intermediate_size": raw["expert_intermediate_size"], "rope_theta": int(raw["rope_theta"])}
        case 4:
            raw |= {"n_group": -2, "routed_scaling_factor": 1.0, "moe_layer_freq": 1, "partial_rotary_factor": -1}
    items = rng.sample(list(raw.items()), len(raw))
    text = json.dumps(dict(items), indent=rng.choice([None, 7, "\t"])) + rng.choice(["", "\n\n", " " * 5000])
    (folder / CONFIG).write_text(text)
    return SAME


def json_twice(rng: random.Random, folder: Path) -> str:
    """A field or tensor that is there twice, with the same value or another."""
    path = folder / rng.choice([CONFIG, *([INDEX] if (folder / INDEX).exists() else [])])
    raw = json.loads(path.read_text())
    name = rng.choice(list(raw))
    twice = json.dumps({name: rng.choice([raw[name], mutated_value(rng, raw[name])])})
    path.write_text(f"{twice[:-1]}, {json.dumps(raw)[1:]}")
    return REFUSED


def any_bytes(rng: random.Random, folder: Path) -> str:
    """Bytes of a JSON file."""
    path = rng.choice([folder / CONFIG, folder / TOKENIZER, *folder.glob(INDEX)])
    path.write_bytes(mutated_bytes(rng, path.read_bytes()))
    return LAWFUL


def any_json(rng: random.Random, folder: Path) -> str:
    """One value of a JSON file, at any depth."""
    path = rng.choice([folder / CONFIG, folder / TOKENIZER, *folder.glob(INDEX)])
    path.write_text(json.dumps(with_one_value_mutated(rng, json.loads(path.read_text()))))
    return LAWFUL


CONFIG_MUTATIONS = [
    *([config_value] * 4 + [config_type, config_without, config_unknown, config_harmless, json_twice]),
    *([any_bytes] * 3 + [any_json] * 3),
]
