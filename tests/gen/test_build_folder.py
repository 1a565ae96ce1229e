"""Generating writes to a folder of ours alone, deletes what is ours alone, and mends what was damaged there."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.build.seal import sealed
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.golden.errors import UserError
from hardloom.golden.folders import MARK
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape

ROUTER = "rtl/arrays/wired_layer_0_router.v"


@pytest.fixture
def generate(tiny_quantized: list[Path], tiny_model: ModelShape):
    """Arrays of layer 0 into a folder: the router alone, which is quick, or other kinds."""

    def build(out: Path, *kinds: str) -> Build:
        hardware = HardwareConfig.default(tiny_model)
        selection = Selection(layers=(0,), matrices=kinds or ("router",))
        return build_arrays(QuantizedCheckpoint(tiny_quantized[0]), out, hardware, selection)

    return build


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def hostile(out: Path, files: dict[str, str], manifest: dict) -> None:
    """A folder that carries our mark and says that `files` are ours, in manifest and journal."""
    out.mkdir(exist_ok=True)
    (out / MARK).write_text("build\n")
    (out / MANIFEST).write_text(json.dumps(sealed(manifest | {"files": files})))
    lines = [{"owned": [*files]}, {"key": "0", "part": "x", "files": files, "facts": {}}]
    (out / JOURNAL).write_text("".join(json.dumps(sealed(line)) + "\n" for line in lines))


def test_a_folder_without_our_mark_is_left_alone(generate, tmp_path: Path) -> None:
    (tmp_path / "rtl").mkdir()
    (tmp_path / MANIFEST).write_text('{"name": "my extension"}')
    (tmp_path / "rtl" / "mine.v").write_text("module mine; endmodule")
    before = contents(tmp_path)
    with pytest.raises(UserError, match="is not empty and no build of ours"):
        generate(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("link", ["rtl", "rtl/arrays", "quantized"])
def test_links_are_not_followed_out_of_the_folder(generate, tmp_path: Path, link: str) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    (victim / "arrays").mkdir(parents=True)
    for name in ("wired_layer_0_router.v", "arrays/wired_layer_0_router.v", "tokenizer.json", "thesis.txt"):
        (victim / name).write_text("precious")
    names = ["rtl/arrays/wired_layer_0_router.v", "quantized/tokenizer.json"]
    hostile(out, dict.fromkeys(names, "0" * 64), {})
    (out / link).parent.mkdir(exist_ok=True)
    (out / link).symlink_to(victim)
    before = contents(victim)
    with pytest.raises(UserError, match="is a link, and nothing is written behind one; remove it"):
        generate(out)
    assert contents(victim) == before


@pytest.mark.parametrize(
    "name", ["../thesis.v", "rtl/arrays/../../../thesis.v", "verify.xml", "rtl/arrays/", "/thesis.v"]
)
def test_names_that_are_none_of_a_build_are_not_deleted(generate, tiny_build: Build, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    hostile(out, {name: "0" * 64}, tiny_build.manifest.to_json())
    for path in (tmp_path / "thesis.v", out / "verify.xml"):
        path.write_text("precious")
    assert generate(out).file(ROUTER)
    assert (tmp_path / "thesis.v").read_text() == (out / "verify.xml").read_text() == "precious"


def test_strangers_stay_and_what_an_earlier_build_listed_goes(generate, tmp_path: Path) -> None:
    wide = generate(tmp_path, "router", "o")
    stranger = tmp_path / "rtl" / "arrays" / "mine.v"
    stranger.write_text("module mine; endmodule")
    build = generate(tmp_path)
    assert {*wide.files} - {*build.files} >= {"rtl/arrays/wired_layer_0_o.v", "rtl/constants/wired_layer_0_o_scales.v"}
    assert contents(tmp_path).keys() == {*build.files, MANIFEST, MARK, "rtl/arrays/mine.v"}


@pytest.mark.parametrize("killed", ["before the part was done", "before the manifest", "before the journal went"])
def test_a_killed_build_leaves_nothing_that_another_one_does_not_delete(generate, tmp_path: Path, killed: str) -> None:
    wide = generate(tmp_path, "router", "o")
    entry = sealed({"key": "0", "part": "wired_layer_0_o", "files": wide.files, "facts": {}})
    line = entry if killed == "before the manifest" else sealed({"owned": [*wide.files]})
    (tmp_path / JOURNAL).write_text(json.dumps(line) + "\n")
    if killed != "before the journal went":
        (tmp_path / MANIFEST).unlink()
    build = generate(tmp_path)
    assert contents(tmp_path).keys() == {*build.files, MANIFEST, MARK}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[1, 2]",
        "null",
        '{"key": 1}',
        '{"owned": 3}',
        '{"owned": ["../mine", 3, null, {}]}',
        '{"part": ["a"], "files": {}, "facts": {}}',
        '{"part": "wired_layer_0_router", "files": null, "facts": {}}',
        '{"part": "wired_layer_0_router", "files": {}, "facts": []}',
        '{"part": "wired_layer_0_router", "files": {"../x": "0"}, "facts": {}}',
        '{"part": "wired_layer_0_router", "files": {}, "facts": {"rows": NaN}}',
        '{"part": "wired_layer_0_router", "files": {}, "files": {}, "facts": {}}',
        '{"part": "wired_layer_0_router", "files": {}, "facts": {"rows": 1' + "0" * 5000 + "}}",
        '{"x": ' * 900 + "1" + "}" * 900,
        "[" * 100_000,
        "\x00\xff",
    ],
)
@pytest.mark.parametrize("with_seal", [False, True])
def test_a_damaged_journal_counts_as_nothing(generate, tmp_path: Path, line: str, with_seal: bool) -> None:
    expected = contents(generate(tmp_path / "whole").path)
    out = tmp_path / "out"
    key = generate(out).manifest.key
    (out / MANIFEST).unlink()
    (out / ROUTER).unlink()
    if with_seal:
        with suppress(ValueError, TypeError, RecursionError):  # of what is no object: as it is, once more
            line = json.dumps(sealed({"key": key} | json.loads(line)))
    (out / JOURNAL).write_bytes(line.encode("latin1") + b"\n")
    generate(out)
    assert contents(out) == expected


def test_a_journal_of_ours_whose_facts_are_of_another_kind_is_not_believed(generate, tmp_path: Path) -> None:
    expected = contents(generate(tmp_path / "whole").path)
    out = tmp_path / "out"
    build = generate(out)
    facts = build.arrays[0].to_json()
    files = {name: build.files[name] for name in build.files if name.startswith("rtl/")}
    for change in ({"rows": "4"}, {"rows": 0}, {"acc_width": True}, {"style": 4}, {"kind": "o"}, {"more": 1}):
        entry = {"key": build.manifest.key, "part": facts["module"], "files": files, "facts": facts | change}
        (out / JOURNAL).write_text(json.dumps(sealed(entry)) + "\n")
        (out / MANIFEST).unlink()
        generate(out)
        assert contents(out) == expected


@pytest.mark.parametrize("name", [ROUTER, "chip.f", MANIFEST, JOURNAL])
@pytest.mark.parametrize("what", ["pipe", "folder", "link to a device"])
def test_only_regular_files_are_replaced(generate, tmp_path: Path, name: str, what: str) -> None:
    generate(tmp_path)
    (tmp_path / MANIFEST).unlink()
    path = tmp_path / name
    path.unlink(missing_ok=True)
    {"pipe": os.mkfifo, "folder": Path.mkdir, "link to a device": lambda p: p.symlink_to("/dev/null")}[what](path)
    with pytest.raises(UserError, match="is no regular file"):
        generate(tmp_path)
    assert path.exists() and not path.is_file()
