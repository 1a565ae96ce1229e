"""The static proof holds the geometry of arrays and constants against the chip, besides the integers in them."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardloom.gen.arrays import emit, plan_array
from hardloom.gen.arrays.cell import CellForm
from hardloom.gen.build.folder import Build, file_list
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.gen.text.constant_module import emit_constants
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.extract.arrays import read_array
from hardloom.verif.extract.constant_module import read_constants
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.proof.connections import misfits
from tests.matrices import exactly, noise
from tests.verif.forging import copied, forge, problem


@pytest.fixture
def build(tiny_build: Build, tmp_path: Path) -> Path:
    return copied(tiny_build, tmp_path / "chip")


def words_of(text: str) -> tuple[int, list[int]]:
    """Bits of a word, and all words of a ROM."""
    found = re.findall(r"'h[0-9a-f]+: data = (\d+)'h([0-9a-f]+);", text)
    return int(found[0][0]), [int(word, 16) for _, word in found]


def rom(name: str, words: list[int], bits: int) -> str:
    return b"".join(emit_constants(name, np.array(parts(words, bits)), 1, signed=False)).decode()


def parts(words: list[int], bits: int) -> list[list[int]]:
    return [[word >> bit & 1 for bit in range(bits)] for word in words]


@pytest.mark.parametrize("name", ["wired_layer_0_q_gain", "wired_layer_0_o_scales", "wired_chip_embedding_scales"])
@pytest.mark.parametrize("how", ["words of twice the bits", "words of half the bits", "a word of zeros more"])
def test_constants_of_another_geometry_are_seen(build: Path, name: str, how: str) -> None:
    path = build / f"rtl/constants/{name}.v"
    bits, words = words_of(path.read_text())
    if how == "words of twice the bits":
        pairs = [words[i] | (words[i + 1] << bits if i + 1 < len(words) else 0) for i in range(0, len(words), 2)]
        text = rom(name, pairs, 2 * bits)
    elif how == "words of half the bits":
        half = (1 << bits // 2) - 1
        text = rom(name, [part for word in words for part in (word & half, word >> bits // 2)], bits // 2)
    else:
        text = rom(name, [*words, 0], bits)

    forge(build, lambda manifest: path.write_text(text) and None)
    assert problem(build).startswith(f"rtl/constants/{name}.v: ")


def test_an_index_of_a_bit_more_than_words_need_is_seen() -> None:
    text = b"".join(emit_constants("m", np.arange(8)[:, None], 4))
    assert len(np.concatenate(list(read_constants([text], "m", 4)))) == 8
    wider = text.replace(b"[2:0] index", b"[3:0] index").replace(b"3'h", b"4'h")
    with pytest.raises(ExtractionError, match="4 bits of the index are not those of 8 words"):
        list(read_constants([wider], "m", 4))


def test_an_array_of_other_lanes_is_seen(
    build: Path, tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    narrow = HardwareConfig.from_json_dict(tiny_hardware.to_json_dict() | {"lanes": tiny_hardware.lanes // 2})
    some = Selection(layers=(0,), experts=(0,), matrices=("down",))
    other = build_arrays(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "other", narrow, some).path
    name = "rtl/arrays/wired_layer_0_expert_0_down.v"
    shutil.copyfile(other / name, build / name)
    for path in (other / "rtl/prefab").iterdir():
        shutil.copyfile(path, build / "rtl/prefab" / path.name)

    def change(manifest: dict[str, Any]) -> None:
        manifest["files"] |= {f"rtl/prefab/{path.name}": "" for path in (other / "rtl/prefab").iterdir()}
        (build / "chip.f").write_text(file_list(manifest["files"]))

    forge(build, change)
    assert problem(build).startswith(f"{name}: its kind of shell, lanes and slices are ('metal', 2, ")


def test_sums_that_do_not_go_into_their_word_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = exactly(np.full((4, 16), 24))  # 127 * 16 * 24 = 48,768: 17 bits
    for width, fits in ((17, True), (16, False)):
        monkeypatch.setattr(CellForm, "acc_width", width)
        prefab, connections = emit(plan_array("a", [matrix], 4, 1, "cell", "mxfp4"))
        text = connections["a.v"]
        if fits:
            assert (read_array(text, prefab) == 24).all()
        else:
            with pytest.raises(ExtractionError, match="sums of a row do not go into 16 bits"):
                read_array(text, prefab)


@pytest.mark.parametrize("net", ["o_scales_data", "q_gain_index", "router_out_data", "router_in_scale"])
def test_a_net_of_another_width_than_its_port_is_seen(build: Path, net: str) -> None:
    path = build / "rtl/units/layer_0.v"
    text = path.read_text()
    found = re.search(rf"wire (?:\[(\d+):0\] )?(?:\w+, )?{net}\b", text)
    assert found
    wider = re.sub(r"wire (\[\d+:0\] )?", f"wire [{int(found[1] or 0) + 1}:0] ", found[0])
    forge(build, lambda manifest: path.write_text(text.replace(found[0], wider)) and None)
    assert re.fullmatch(r"rtl/units/layer_0\.v: connects \d+ bits to \w+ of \w+, which has \d+", problem(build))


@pytest.mark.parametrize("pair", [("expert_0_down", "expert_1_down"), ("q_gain", "k_gain"), ("o", "o of layer 1")])
def test_an_array_in_anothers_place_is_seen(build: Path, pair: tuple[str, str]) -> None:
    one = f"wired_layer_0_{pair[0]} "
    other = f"wired_layer_{1 if 'layer' in pair[1] else 0}_{pair[1].split()[0]} "
    for path in sorted((build / "rtl/units").glob("layer_[01].v")):
        text = path.read_text().replace(one, "HERE ").replace(other, one).replace("HERE ", other)
        path.write_text(text)
    forge(build, lambda manifest: None)
    assert re.match(r"rtl/units/layer_0\.v: instantiates \w+ as \w+, and its place is ", problem(build))


def test_nets_parts_of_nets_and_numbers_have_widths() -> None:
    text = """module u (input wire [7:0] a, output wire b);
  wire [3:0] c, d;
  m one (
    .p(a[6:3]),
    .q(c),
    .r(2'h1),
    .s(a[2]),
    .t(b)
  );
endmodule
"""
    sound = {"p": 4, "q": 4, "r": 2, "s": 1, "t": 1}
    assert list(misfits(text, {"m": sound})) == []
    assert list(misfits(text, {"m": sound | {"r": 3}})) == ["connects 2 bits to r of m, which has 3"]
    assert list(misfits(text, {"m": sound | {"x": 1}})) == ["connects 0 bits to x of m, which has 1"]


HUGE = "9" * 5000


@pytest.mark.parametrize("number", [HUGE, "99999999999999999999", "19999999999"])
def test_numbers_that_no_text_has_are_one_sentence(number: str) -> None:
    constants = b"".join(emit_constants("m", np.arange(8)[:, None], 4)).decode()
    for old in ("[2:0] index", "[3:0] data"):
        hostile = constants.replace(old, f"[{number}:0] {old.split()[1]}")
        with pytest.raises(ExtractionError):
            list(read_constants([hostile.encode()], "m", 4))
    for style in ("cell", "metal", "shared"):
        prefab, connections = emit(
            plan_array("a", [noise("mxfp4", 8, 16)], 4, 1 if style != "shared" else 16, style, "mxfp4")
        )
        text = connections["a.v"].decode()
        for pattern, new in ((r"\[\d+:0\] in_data", f"[{number}:0] in_data"), (r" <<< \d+", f" <<< {number}")):
            if (hostile := re.sub(pattern, new, text, count=1)) != text:
                with pytest.raises(ExtractionError):
                    read_array(hostile, prefab)
