"""Build folders that were changed and sealed again, for proofs that must not believe them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.seal import sealed
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.verif.proof.static import recover

__all__ = ["copied", "forge", "problem"]


def copied(build: Build, folder: Path) -> Path:
    """A copy of a build, without what simulations left."""
    return shutil.copytree(build.path, folder, ignore=shutil.ignore_patterns("simulation", "verify.*"))


def forge(build: Path, change: Callable[[dict[str, Any]], None], with_seal: bool = True) -> None:
    """Change the manifest; hashes of the files that are there, and its own, are right afterwards."""
    manifest = json.loads((build / MANIFEST).read_text())
    change(manifest)
    manifest["files"] |= {name: sha256(build / name) for name in manifest["files"] if (build / name).is_file()}
    (build / MANIFEST).write_text(json.dumps(sealed(manifest) if with_seal else manifest))


def problem(build: Path) -> str:
    """Why the build is not proven."""
    try:
        recovery = recover(Build(build))
    except UserError as error:
        assert "\n" not in str(error)
        return str(error)
    assert not recovery.complete and recovery.first is not None
    return recovery.first
