"""Which model a checkpoint holds, in a few digits: what it computes, and a sample of its weights."""

import hashlib

from hardloom.golden.checkpoints.checkpoint import Checkpoint

__all__ = ["fingerprint"]

DIGITS = 16


def fingerprint(checkpoint: Checkpoint) -> str:
    """Hexadecimal digits, the same for the same model in other files, and in another dtype that holds its values.

    Every vector counts, and of every matrix the first row: that is read in a second where all weights take minutes, and
    no training leaves all of it as it was. Raises `UserError` as reading these does.
    """
    model = checkpoint.model
    digest = hashlib.sha256(repr((model.layers, model.rms_norm_eps, model.shift, model.mask_token_id)).encode())
    for tensor in model.tensors():
        digest.update(f"{tensor.name} {tensor.shape}".encode())
        digest.update(checkpoint.tensor(tensor.name, 0, 1 if tensor.is_matrix else None).float().numpy().tobytes())
    return digest.hexdigest()[:DIGITS]
