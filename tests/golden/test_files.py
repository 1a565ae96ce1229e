"""Files appear whole or not at all, whoever writes them and whatever stops it."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from hardloom.golden.files import COMPRESSED, PARTIAL, read_pieces, replacing, sha256, stamped, write_file, write_json
from tests.texts import text_of


@pytest.mark.parametrize("contents", ["gr\u00f6\u00dfe", "gr\u00f6\u00dfe".encode(), [b"gr", "\u00f6\u00dfe".encode()]])
@pytest.mark.parametrize("name", ["a", "a.zst"])
def test_text_bytes_and_pieces_are_written_and_read_back(tmp_path: Path, contents, name: str):
    path = tmp_path / "new" / "folder" / name
    digest = write_file(path, contents)
    assert digest == sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert text_of(path) == "gr\u00f6\u00dfe".encode()
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_json_ends_with_a_newline(tmp_path: Path):
    write_json(tmp_path / "a.json", {"a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": [\n  1\n ]\n}\n'


def test_after_an_exception_the_old_file_is_there_and_nothing_else(tmp_path: Path):
    path = tmp_path / "a"
    write_file(path, "old")

    def pieces():
        yield b"ne"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_file(path, pieces())
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_overwritten(tmp_path: Path):
    (tmp_path / f"a{PARTIAL}").write_text("half of something longer")
    write_file(tmp_path / "a", "whole")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "whole")]


def test_a_link_to_the_file_itself_leaves_one_name(tmp_path: Path):
    path = tmp_path / "a"
    path.write_text("text")
    with replacing(path) as partial:
        partial.hardlink_to(path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "text")]


def test_threads_may_write_one_path_at_once(tmp_path: Path):
    path, texts = tmp_path / "a", [f"{number}" * 100_000 for number in range(10)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_file(path, text), texts * 5))
    assert path.read_text() in texts and list(tmp_path.iterdir()) == [path]


def test_a_stamp_holds_the_key_of_what_was_made_last(tmp_path: Path):
    stamp, made = tmp_path / "stamp", []

    def make(key: str) -> None:
        with stamped(stamp, key) as stale:
            if stale:
                made.append(key)
                assert not stamp.exists()
                if key == "fails":
                    raise RuntimeError

    for key in ("a", "a", "b"):
        make(key)
    assert made == ["a", "b"]
    with pytest.raises(RuntimeError):
        make("fails")
    make("b")
    assert made == ["a", "b", "fails", "b"]


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda one, two: one, b"one" * 50),
        (lambda one, two: one + two, b"one" * 50 + b"two" * 50),
        (lambda one, two: one + b"no frame", b"one" * 50 + b"\0"),
        (lambda one, two: one + two[:-1], None),
        (lambda one, two: one[:-1], None),
        (lambda one, two: b"", b""),
    ],
)
def test_all_frames_of_a_compressed_file_are_its_text(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[bytes, bytes], bytes],
    text: bytes | None,
    at_once: int,
):
    monkeypatch.setattr("hardloom.golden.files.READ_AT_ONCE", at_once)
    path = tmp_path / f"a{COMPRESSED}"
    path.write_bytes(made(zstandard.compress(b"one" * 50), zstandard.compress(b"two" * 50)))
    digest = hashlib.sha256()
    read = b"".join(read_pieces(path, digest))
    assert read == text if text is not None else read.endswith(b"\0")
    assert digest.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
