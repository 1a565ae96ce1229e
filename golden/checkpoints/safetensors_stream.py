"""Safetensors files in a stream: reading maps one tensor at a time, writing needs no tensor whole.

The `safetensors` library maps a whole file and so counts it all as resident once it has been read; mapping a tensor
gives its pages back with the tensor. The layout is https://github.com/huggingface/safetensors#format:
8 bytes little-endian header length, a JSON header, the data.
"""

import json
import math
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hardloom.golden.checkpoints.json_files import parse_json_object
from hardloom.golden.errors import UserError
from hardloom.golden.files import replacing, stamp

__all__ = ["CHANGED", "NAMES", "SafetensorsReader", "SafetensorsWriter", "TensorEntry"]

DTYPES: dict[str, torch.dtype] = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U8": torch.uint8,
}
ITEM_BYTES = {
    **{name: dtype.itemsize for name, dtype in DTYPES.items()},
    **dict.fromkeys(("BOOL", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 1),
    **dict.fromkeys(("I16", "U16"), 2),
    **dict.fromkeys(("I32", "U32"), 4),
    **dict.fromkeys(("I64", "U64", "F64"), 8),
}
"""Bytes of an element by the header's name of its type; of these, `DTYPES` can be read."""
NAMES = {dtype: name for name, dtype in DTYPES.items()}
LONGEST_HEADER = 100_000_000
ALIGNMENT = 8
DAMAGED = "copy or download the file again"
CHANGED = "was replaced or written to while it was read; run the command again"


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies: `begin` and `end` are byte offsets into the file. `dtype` as the header spells it."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsReader:
    """The tensors of one file. Making one reads and checks the header; `check_layout` that it covers the file.

    Raises `UserError` naming the file where it is missing, or no safetensors file whose header names a tensor once.

    Attributes
    ----------
    stamp: of the file that was opened (`golden.files.stamp`): no tensor is read from another one in its place.
    entries: name to `TensorEntry`
    metadata: the strings under `__metadata__`
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise UserError(f"{path}: is no regular file; {DAMAGED}")
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                header, data = read_header(path, file.read(8), file)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        self.entries = {name: read_entry(path, name, fields, data) for name, fields in header.items()}
        self.data, self.size, self.stamp = data, found.st_size, stamp(found)

    def check_layout(self) -> None:
        """Raise `UserError` unless the tensors lie one behind the other, from the header to the end of the file."""
        end, before = self.data, "the header"
        for name, entry in sorted(self.entries.items(), key=lambda item: (item[1].begin, item[1].end)):
            if entry.begin < end:
                raise UserError(f"{self.path}: {before} and {name} share bytes; {DAMAGED}")
            if entry.begin > end:
                raise UserError(f"{self.path}: {entry.begin - end} bytes before {name} belong to none; {DAMAGED}")
            end, before = entry.end, name
        if self.size < end:
            raise UserError(f"{self.path}: truncated, {self.size} bytes where the header announces {end}; {DAMAGED}")
        if self.size > end:
            raise UserError(f"{self.path}: {self.size - end} bytes behind the last tensor belong to none; {DAMAGED}")

    def tensor(self, name: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """The tensor `name`, or its rows from `start` to `stop`, mapped from the file; its memory goes with it.

        Writing to it leaves the file alone. Raises `UserError` where the file is another than the one that was opened.
        """
        shape, first = self.entries[name].shape, 0
        if start or stop is not None:
            rows = range(shape[0])[start:stop]
            shape, first = (len(rows), *shape[1:]), rows.start
        return self._mapped(name, first * math.prod(shape[1:]), shape)

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Rows `start` to `stop` of the tensor `name`, all of its dimensions but the last counted as rows."""
        columns = self.entries[name].shape[-1]
        return self._mapped(name, start * columns, (stop - start, columns))

    def _mapped(self, name: str, first: int, shape: tuple[int, ...]) -> torch.Tensor:
        """Elements of the tensor `name` from `first` on as a tensor of `shape`."""
        entry = self.entries[name]
        dtype = DTYPES[entry.dtype]
        begin, size = entry.begin + first * dtype.itemsize, math.prod(shape) * dtype.itemsize
        if size == 0:
            return torch.empty(shape, dtype=dtype)
        page = begin - begin % mmap.ALLOCATIONGRANULARITY
        with self.path.open("rb") as file:
            if stamp(os.fstat(file.fileno())) != self.stamp:
                raise UserError(f"{self.path}: {CHANGED}")
            pages = mmap.mmap(file.fileno(), begin + size - page, access=mmap.ACCESS_COPY, offset=page)
        raw = torch.frombuffer(pages, dtype=torch.uint8, offset=begin - page, count=size)
        if begin % dtype.itemsize:
            raw = raw.clone()
        return raw.view(dtype).view(shape)


def read_header(path: Path, length: bytes, file: Any) -> tuple[dict[str, Any], int]:
    """The JSON header, and the byte offset at which the data begins."""
    size = int.from_bytes(length, "little")
    text = file.read(size) if len(length) == 8 and size <= LONGEST_HEADER else b""
    if len(length) < 8 or size > LONGEST_HEADER or len(text) < size:
        raise UserError(f"{path}: truncated or no safetensors file, its header is not whole; {DAMAGED}")
    try:
        header = parse_json_object(text)
    except ValueError as error:
        raise UserError(f"{path}: no safetensors file, its header: {error}; {DAMAGED}") from None
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UserError(f"{path}: the header's __metadata__ does not map names to strings; {DAMAGED}")
    return header, 8 + size


def read_entry(path: Path, name: str, fields: Any, data: int) -> TensorEntry:
    """One tensor's entry; `UserError` where its bytes are not what its shape and dtype need."""
    if isinstance(fields, dict) and set(fields) == {"dtype", "shape", "data_offsets"}:
        dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
        if (
            isinstance(dtype, str)
            and dtype in ITEM_BYTES
            and whole_numbers(shape)
            and whole_numbers(offsets)
            and len(offsets) == 2
        ):
            begin, end = offsets
            if end - begin == math.prod(shape) * ITEM_BYTES[dtype]:
                return TensorEntry(dtype, tuple(shape), data + begin, data + end)
    raise UserError(f"{path}: the header's entry of tensor {name} makes no sense; {DAMAGED}")


def whole_numbers(values: Any) -> bool:
    """Whether `values` is a list of integers of at least 0, of which no tensor has more than eight dimensions."""
    return isinstance(values, list) and len(values) <= 8 and all(type(v) is int and v >= 0 for v in values)


class SafetensorsWriter:
    """Writes a file whose tensors' shapes are known up front, piece by piece, in any order across tensors.

    Use as a context manager: on leaving, the file replaces `path` at once, provided that every tensor is complete;
    after an exception nothing is left behind.

    Parameters
    ----------
    path: file to make
    tensors: name to (dtype, shape)
    metadata: strings for `__metadata__`
    """

    def __init__(
        self,
        path: Path,
        tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
        metadata: Mapping[str, str] | None = None,
    ):
        self.path = path
        self.next: dict[str, int] = {}
        self.end: dict[str, int] = {}
        header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        offset = 0
        # Widest elements first, so that every tensor is aligned; then by name.
        for name in sorted(tensors, key=lambda name: (-tensors[name][0].itemsize, name)):
            dtype, shape = tensors[name]
            self.next[name] = offset
            self.end[name] = offset = offset + math.prod(shape) * dtype.itemsize
            header[name] = {"dtype": NAMES[dtype], "shape": shape, "data_offsets": [self.next[name], offset]}
        self.dtypes = {name: dtype for name, (dtype, _) in tensors.items()}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        self.header = len(text).to_bytes(8, "little") + text
        self.opened = self.open()

    @contextmanager
    def open(self) -> Iterator["SafetensorsWriter"]:
        with replacing(self.path) as partial, partial.open("wb") as self.file:
            self.file.write(self.header)
            yield self
            if incomplete := [name for name, position in self.next.items() if position != self.end[name]]:
                raise ValueError(f"{self.path}: {len(incomplete)} tensors incomplete, the first is {incomplete[0]}")

    def __enter__(self) -> "SafetensorsWriter":
        return self.opened.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self.opened.__exit__(*exception)

    def write(self, name: str, piece: torch.Tensor) -> None:
        """Append `piece` (the tensor's dtype, any shape) to the elements of tensor `name` written so far."""
        if piece.dtype != self.dtypes[name]:
            raise TypeError(f"{name} is {self.dtypes[name]}, got {piece.dtype}")
        data = piece.contiguous().reshape(-1).view(torch.uint8).numpy()
        if self.next[name] + data.nbytes > self.end[name]:
            raise ValueError(f"more elements than the shape of {name} holds")
        self.file.seek(len(self.header) + self.next[name])
        self.file.write(data.data)
        self.next[name] += data.nbytes
