"""The page by itself: it loads nothing, is the same for the same input, and says what it leaves out and why."""

import json
import re
import shutil

import pytest

from hardloom.flows.report.page import page as page_of
from hardloom.flows.report.section import Section
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.design.matrices import Selection
from hardloom.gen.design.registers import REGISTERS
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from tests import DEMO
from tests.command_line import hardloom
from tests.flows.report.conftest import RUN, page_words
from tests.flows.report.markup import read_page
from tests.flows.test_foreign_builds import forge

NAMES = ["provenance", "denoising", "routing", "area", "registers", "proof", "wiring", "timeline"]
NAMES += ["rounding", "costs", "estimate", "designs"]
LOADS = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "background"}
"""Attributes by which a page loads something or leads away."""


def test_nothing_is_loaded_from_anywhere(page, page_file):
    for element in page.all():
        for name in LOADS & element.attributes.keys():
            assert element.attributes[name].startswith(("#", "data:image/png;base64,")), (element.name, name)
    style, script = ("".join(one.text for one in page.all(name)) for name in ("style", "script"))
    assert not re.search(r"url\(|@import|expression", style)
    assert not re.search(r"fetch|XMLHttp|import|WebSocket|eval|Worker|beacon", script)
    (policy,) = page.all("meta", http_equiv="Content-Security-Policy")
    assert "default-src 'none'" in policy.attributes["content"]


def test_sections_are_all_there_and_the_menu_leads_to_them(page):
    menu = [one.attributes["href"] for one in next(page.all("nav")).all("a")]
    assert menu == [f"#{name}" for name in NAMES]
    ids = [one.attributes["id"] for one in page.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids)) and set(NAMES) <= set(ids)
    assert not [*page.all("p", class_="missing")]


def test_every_slider_has_a_label_and_a_step_for_each_place(page):
    sliders = [*page.all("input", type="range")]
    assert len(sliders) == 2
    for slider in sliders:
        assert [*page.all("label", for_=slider.attributes["id"])]
        steps = {int(one.attributes["data-step"]) for one in page.all(data_of=slider.attributes["data-group"])}
        assert steps == set(range(int(slider.attributes["max"]) + 1))


def test_the_same_input_gives_the_same_bytes(page_file, chip_build, record, tmp_path):
    text = page_file.read_text()
    again = tmp_path / "again.html"
    assert hardloom("report", chip_build.path, "-o", again, *page_words(record)).code == 0
    assert again.read_text() == text.replace(str(page_file), str(again))


def test_the_command_that_is_named_makes_the_page_again(section, page_file, chip_build, record):
    rows = section("provenance").rows()
    (command,) = [row[1] for row in rows if row[0] == "this page"]
    words = f"hardloom report {chip_build.path} --prompt-tokens 3,9,4 --sampler llada --gen-length 8"
    settings = "--set block_length=8 --set steps=4"
    assert command == f"{words} {settings} --node 5nm --neuron 5 --verify --sensitivity {record} -o {page_file}"


def test_provenance_has_the_hashes_of_the_manifest(section, chip_build):
    rows = dict(row for row in section("provenance").rows() if len(row) == 2)
    files = {name: digest for name, digest in chip_build.files.items() if name.startswith("quantized/")}
    assert [rows[name.removeprefix("quantized/")] for name in files] == [*files.values()] and len(files) == 3


def test_registers_are_those_of_the_hardware(section, chip_build):
    rows = [row for row in next(section("registers").all("table")).rows() if row[1].startswith("0x")]
    assert [(row[0], row[1]) for row in rows] == [
        (r.name, f"0x{r.address:02X}") for r in sorted(REGISTERS, key=lambda register: register.address)
    ]
    assert {row[0]: row[-1] for row in rows}["MAX_POSITIONS"] == str(chip_build.hardware.max_positions)


def test_what_is_shown_is_text_and_never_markup():
    strange = "<script>alert(1)</script><img src=x>"
    found = read_page(page_of(strange, [Section("area", strange, missing=strange)]))
    assert len([*found.all("script")]) == 1 and not [*found.all("img")]
    assert strange in next(found.all("p", class_="missing")).text


def test_a_checkpoint_is_shown_without_what_a_chip_alone_has(tmp_path):
    out = tmp_path / "report.html"
    ran = hardloom("report", DEMO, "-o", out, "--prompt", "47+85=", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["sections"] == ["provenance", "denoising", "routing", "area", "estimate", "designs"]
    assert set(found["left_out"]) == {"registers", "proof", "wiring", "timeline", "rounding", "costs"}
    assert f"hardloom sensitivity {DEMO} --text FILE -o sensitivity.json" in found["left_out"].pop("costs")
    assert f"hardloom quantize {DEMO} -o Q" in found["left_out"].pop("rounding")
    assert all("`hardloom generate Q -o BUILD`" in why for why in found["left_out"].values())
    assert "132" in out.read_text() and found["tokens"][:3] == [1, 3, 2]


def test_chosen_arrays_are_shown_without_a_chip_compressed_or_not(tiny_quantized, tiny_hardware, tmp_path):
    chosen = Selection(layers=(0,), matrices=("router", "o"))
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    build = build_arrays(checkpoint, tmp_path / "build", tiny_hardware, chosen, compress=True)
    out = tmp_path / "report.html"
    ran = hardloom("report", build.path, "-o", out, *RUN, "--array", "wired_layer_0_router", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert set(found["left_out"]) == {"registers", "timeline", "costs"}
    assert "hardloom sensitivity CKPT" in found["left_out"].pop("costs")
    assert all("holds chosen arrays alone" in why for why in found["left_out"].values())
    (drawing,) = read_page(out.read_text()).all("section", aria_labelledby="wiring")
    weights = checkpoint.integers(checkpoint.model.tensor("router", 0).name).weights[0].numpy()
    assert {one.text.split(",")[0] for one in drawing.all("path")} == {f"input {n}" for n in weights.nonzero()[0]}


def test_text_that_is_none_of_ours_is_not_drawn(chip_build, tmp_path):
    """Though its hash is the manifest's: a build may come from anywhere."""
    build = shutil.copytree(chip_build.path, tmp_path / "build")
    name = "rtl/arrays/wired_layer_0_expert_0_down.v"
    shell, neurons = (build / name).read_text().split("    neuron_", 1)
    wire = re.search(r"\bp\d+,", neurons)[0]
    for strange in (neurons.replace(wire, "p,"), neurons.replace(wire, wire * 2, 1), "{ }"):
        forge(build, name, f"{shell}    neuron_{strange}".encode())
        ran = hardloom("report", build, "-o", tmp_path / "report.html", *RUN, "--json")
        assert ran.code == 0, ran.err
        assert "none that can be read" in json.loads(ran.out)["left_out"]["wiring"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--array", "wired_layer_9_o"), "--array: "),
        (("--neuron", "16"), "--neuron: wired_layer_0_expert_0_down has neurons 0 to 15"),
        (("--gen-length", "32"), "this chip holds 32 positions"),
        (("--prompt-tokens", "17"), "the prompt has the mask token"),
        (("--node", "3nm"), "--node 3nm"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_no_page(words, said, chip_build, tmp_path):
    ran = hardloom("report", chip_build.path, "-o", tmp_path / "report.html", "--prompt-tokens", "3", *words)
    assert ran.code == 1 and said in ran.err and len(ran.err.strip().splitlines()) == 1
    assert not [*tmp_path.iterdir()]
