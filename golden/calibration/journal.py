"""Layers that are rounded already, kept file by file until the whole checkpoint is written."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from hardloom.golden.checkpoints.safetensors_stream import SafetensorsReader, SafetensorsWriter
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.pieces import Rounded, Statistics
from hardloom.golden.shape import ModelShape

__all__ = ["Journal"]


@dataclass(frozen=True)
class Journal:
    """A folder with a file a layer.

    Attributes
    ----------
    folder: made when the first layer is written. model: whose layers they are.
    key: files of another are not read.
    """

    folder: Path
    model: ModelShape
    key: str

    def file(self, layer: int) -> Path:
        return self.folder / f"layer-{layer}.safetensors"

    def read(self, layer: int) -> list[Rounded] | None:
        """The matrices of a layer, each in one piece; None where the layer is not there, or not of this run."""
        if not self.file(layer).is_file():
            return None
        try:
            reader = SafetensorsReader(self.file(layer))
            if reader.metadata.get("key") != self.key:
                return None
            reader.check_layout()
            found = json.loads(reader.metadata["statistics"])
            matrices = [matrix for matrix in self.model.matrices() if matrix.layer == layer]
            return [
                (
                    matrix,
                    reader.tensor(matrix.name + ".codes").clone(),
                    reader.tensor(matrix.name + ".scales").clone(),
                    Statistics(**found[matrix.name]),
                )
                for matrix in matrices
            ]
        except UserError:  # damaged: rounded again
            return None

    def write(self, layer: int, pieces: list[Rounded]) -> None:
        """Keep a layer, whose matrices come in pieces of rows."""
        whole: dict[str, torch.Tensor] = {}
        statistics: dict[str, Statistics] = {}
        for matrix, codes, scales, found in pieces:
            for name, part in ((matrix.name + ".codes", codes), (matrix.name + ".scales", scales)):
                whole[name] = torch.cat([whole[name], part]) if name in whole else part
            statistics.setdefault(matrix.name, Statistics()).merge(found)
        kinds = {name: (part.dtype, tuple(part.shape)) for name, part in whole.items()}
        said = json.dumps({name: asdict(found) for name, found in statistics.items()})
        with SafetensorsWriter(self.file(layer), kinds, {"key": self.key, "statistics": said}) as writer:
            for name, part in whole.items():
                writer.write(name, part)
