"""Nothing is written into a folder that is not ours."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hardloom.golden.errors import UserError
from hardloom.golden.files import PARTIAL, replacing, write_file
from hardloom.golden.folders import MARK, claim, claimed, stored_bytes
from tests import ROOT


def test_a_new_folder_and_an_empty_one_are_ours_from_then_on(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new" / "below", tmp_path / "empty"):
        for _ in range(2):
            claim(folder, "build")
            (folder / "anything").write_text("")
        assert (folder / MARK).read_text() == "build\n"


def test_the_rest_of_a_mark_that_was_being_written_is_no_stranger(tmp_path: Path):
    (tmp_path / f"{MARK}{PARTIAL}").write_text("")
    claim(tmp_path, "build")


@pytest.mark.parametrize("name", ["notes.txt", "manifest.json", "quantization.json", ".hidden"])
def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path, name: str):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match="is not empty and no build of ours"):
        claim(tmp_path, "build")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_of_another_kind_is_left_alone(tmp_path: Path):
    claim(tmp_path, "trained checkpoint")
    with pytest.raises(UserError, match="holds a trained checkpoint, and this makes a build"):
        claim(tmp_path, "build")


def test_a_mark_that_is_a_link_is_none(tmp_path: Path):
    (tmp_path / "elsewhere").write_text("build\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / MARK).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder" / "mine").write_text("")
    with pytest.raises(UserError, match="no build of ours"):
        claim(tmp_path / "folder", "build")


HOLD = """
import sys, time
from pathlib import Path
from hardloom.golden.folders import claimed
with claimed(Path(sys.argv[1]), "build"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_one_runs_until_it_ends_or_is_killed(tmp_path: Path):
    folder = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="out: another run is writing there; wait"), claimed(folder, "build"):
            pytest.fail("there were two")
        other.send_signal(signal.SIGKILL)
    for _ in range(2):
        with claimed(folder, "build"):
            assert [path.name for path in folder.iterdir()] == [MARK]


def test_a_claim_ends_with_an_exception_and_makes_nothing_of_a_folder_that_is_not_ours(tmp_path: Path):
    with pytest.raises(KeyError), claimed(tmp_path / "out", "build"):
        raise KeyError
    with claimed(tmp_path / "out", "build"):
        pass
    (tmp_path / "thesis").touch()
    with pytest.raises(UserError, match="is not empty and no build of ours"), claimed(tmp_path, "build"):
        pytest.fail("it is theirs")


@pytest.mark.parametrize("path", [".", "/", "/dev/null", "/tmp"])
def test_only_regular_files_are_replaced(path: str):
    with pytest.raises(UserError, match="is no regular file"):
        write_file(Path(path), b"")


def test_a_link_is_replaced_and_what_it_names_is_not(tmp_path: Path):
    (tmp_path / "thesis").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "thesis").read_text() == "precious" and (tmp_path / "link").read_text() == "new"


def test_a_full_disk_names_the_file(tmp_path: Path):
    with pytest.raises(OSError) as caught, replacing(tmp_path / "file"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "file")


def test_bytes_of_a_folder_count_a_file_of_two_names_once(tmp_path: Path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(b"1234567")
    (tmp_path / "below" / "b").write_bytes(b"123")
    (tmp_path / "below" / "c").hardlink_to(tmp_path / "a")
    assert stored_bytes(tmp_path) == 10
