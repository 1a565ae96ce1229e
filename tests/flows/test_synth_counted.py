"""Chips too large for Yosys: arrays counted, tables sampled, and the sums those of what is synthesized."""

from pathlib import Path

import numpy as np
import pytest

from hardloom.flows.synth import tables
from hardloom.flows.synth.command import Request, synth_figures
from hardloom.flows.synth.contents import contents_of, port_list
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.report import remarks
from hardloom.flows.synth.yosys import Options
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.gen.text.constant_module import emit_constants
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

TEXT = b"""module wired_o (
    input  wire clk,
    output reg  [3:0] out
);
    wire [3:0] g0, g1;
    shared_subsets_k2 subsets_0 ({a1, a0}, g0);
    shared_mac mac_0 (clk,
g0[1]&g1[2],
g0[3]&
g1[1]&g1[3],
1'b1,
g1[2]);
    assign out = {m_1,
        m_0};
endmodule
"""


@pytest.mark.parametrize("size", [1, 7, 50, len(TEXT)])
def test_planes_are_counted_by_their_terms_wherever_the_text_is_cut(size: int) -> None:
    found = contents_of(TEXT[start : start + size] for start in range(0, len(TEXT), size))
    assert found.planes == {2: 1, 3: 1, 0: 1, 1: 1}
    assert (found.instances["shared_subsets_k2"], found.instances["shared_mac"], found.has_logic) == (1, 1, False)


@pytest.mark.parametrize("line", ["assign y = a;", "always @(posedge clk) q <= d;", "cell c (a, b | c);"])
def test_a_gate_outside_the_planes_is_seen(line: str) -> None:
    assert contents_of([TEXT.replace(b"endmodule", f"    {line}\nendmodule".encode())]).has_logic


def test_ports_stand_for_a_module() -> None:
    head = b"module wired_o (\n    input  wire clk,\n    output wire [3:0] out\n);\nendmodule\n"
    assert port_list([TEXT]) == head
    with pytest.raises(ValueError, match="no port list"):
        port_list([b"module m;"])


def test_a_sample_of_a_table_is_the_table_of_its_first_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(0).integers(-128, 128, (300, 2))
    monkeypatch.setattr(tables, "WORDS", 64)
    found = tables.read_table(emit_constants("t", words, 8))
    assert (found.words, found.bits, found.held) == (300, 16, 64)
    code = [text.split(b"\n", 3)[3] for text in (found.text, b"".join(emit_constants("t", words[:64], 8)))]
    assert code[0] == code[1]
    whole = b"".join(emit_constants("t", words[:64], 8))
    assert tables.read_table([whole]).text.split() == whole.split()


def test_tables_that_are_alike_are_stood_in_for_by_a_few_spread_evenly() -> None:
    assert tables.stand_ins(["c", "a", "b"]) == {"a": "a", "b": "b", "c": "c"}
    names = [f"t{number}" for number in range(9)]
    assert tables.stand_ins(names) == {name: names[number // 3 * 3] for number, name in enumerate(names)}


@pytest.fixture(scope="module", params=["metal", "shared"])
def arrays(request, tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path_factory) -> list[Path]:
    """An array of a style, plain and compressed."""
    fields = tiny_hardware.to_json_dict()
    fields["style"] |= {"o": request.param}
    fields["slices"] |= {"o": 16} if request.param == "shared" else {}
    hardware, selection = HardwareConfig.from_json_dict(fields), Selection(layers=(0,), matrices=("o",))
    checkpoint, folder = QuantizedCheckpoint(tiny_quantized[0]), tmp_path_factory.mktemp("counted")
    return [
        build_arrays(checkpoint, folder / f"arrays{compress}", hardware, selection, compress=compress).path
        for compress in (False, True)
    ]


def test_a_compressed_array_is_counted_and_comes_to_what_yosys_makes_of_it(arrays: list[Path]) -> None:
    options = Options(read_library())
    plain, compressed = arrays
    asked = synth_figures(plain, "wired_layer_0_o", None, options)
    found = synth_figures(compressed, "wired_layer_0_o", None, options, counted=True)
    assert found.total["ge"] == pytest.approx(asked.total["ge"], rel=0.005)
    assert found.total["flip_flops"] == asked.total["flip_flops"] and found.weights == asked.weights
    assert any(sentence.startswith("counted: ") for sentence in remarks(found))
    assert not any(sentence.startswith("counted: ") for sentence in remarks(asked))


def test_what_is_compressed_is_counted_or_refused(arrays: list[Path]) -> None:
    with pytest.raises(UserError, match="is compressed, and Yosys reads it; use --counted, or generate without"):
        synth_figures(arrays[1], "wired_layer_0_o", None, Options(read_library()))
    with pytest.raises(UserError, match="--counted: is of sums alone"):
        Request(tile="wired_layer_0_o", counted=True)


def test_a_unit_is_synthesized_whatever_stands_compressed_beside_it(arrays: list[Path]) -> None:
    plain, compressed = arrays
    shell = next((compressed / "rtl" / "prefab").glob("array_shell_*.v")).stem
    asked, found = (synth_figures(one, shell, None, Options(read_library())) for one in (plain, compressed))
    assert found.total == asked.total and found.total["ge"] > 0


@pytest.mark.slow
def test_a_whole_chip_that_is_counted_comes_to_what_is_synthesized(
    tiny_build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDLOOM_CACHE", str(tmp_path))
    options = Options(read_library(), jobs=2)
    counted, asked = (synth_figures(tiny_build.path, None, None, options, counted=how) for how in (True, False))
    assert counted.total["ge"] == pytest.approx(asked.total["ge"], rel=0.005)
    assert not counted.failed and counted.counted is not None and counted.counted.tables > 0
    assert counted.counted.tables_synthesized < counted.counted.tables
