"""Random places in an array's connection file."""

import random

from hardloom.verif.extract.instances import Instance, instances

__all__ = ["random_instance"]


def random_instance(text: bytes, kind: str, rng: random.Random) -> Instance | None:
    """The instance named `kind`_... behind a random place of `text`, or else the first one, if there is any."""
    for at in (rng.randrange(len(text)), 0):
        for instance in instances(text, at):
            if instance.name.startswith(f"{kind}_"):
                return instance
    return None
