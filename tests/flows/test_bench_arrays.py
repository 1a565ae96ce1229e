"""`hardloom bench arrays`: figures of every style from one synthesis, on the embedded library."""

import json
import re

import numpy as np
import pytest
import torch

from hardloom.flows.bench.arrays import parse_sizes, rows_of
from hardloom.flows.pictures.arrays import plot_arrays
from hardloom.flows.synth.arrays import normal_matrix, stored_matrix
from hardloom.flows.synth.wirelength import placed as cells_placed
from hardloom.flows.synth.wirelength import tree_length
from hardloom.gen.design.matrices import array_units
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from tests.command_line import hardloom


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    command = ["bench", "arrays", "--sizes", "8x32", "--styles", "packed,rom,shared,cell,plain", "--json"]
    ran = hardloom(*command)
    assert ran.code == 0
    return json.loads(ran.out)


def test_every_style_has_a_row_with_all_figures(rows):
    assert {row["style"] for row in rows} == {"packed", "rom", "shared", "cell", "plain"}
    for row in rows:
        assert row["library"] == "hardloom" and row["um2_per_weight"] is None
        assert row["ge_per_weight"] >= row["core_ge_per_weight"] > 0
        assert row["ge_cycles"] == pytest.approx(row["ge_per_weight"] * row["cycles"], abs=0.1 * row["cycles"])
        assert row["verilog_bytes_per_weight"] > 0 and row["critical_path_ns"] > 0


def test_cycles_are_those_of_the_style(rows):
    """Serial ones take one input a cycle, two, four and eight."""
    cycles = [(style, count) for style in ("rom", "shared") for count in (32, 16, 8, 4)]
    assert [(row["style"], row["cycles"]) for row in rows] == [("packed", 8), *cycles, ("cell", 1), ("plain", 1)]


def test_the_serial_style_is_smaller_than_the_parallel_ones(rows):
    area = {(row["style"], row["cycles"]): row["core_ge_per_weight"] for row in rows}
    assert area["rom", 32] < area["packed", 8] < area["plain", 1]


def test_the_picture_is_the_same_twice(rows, tmp_path):
    for suffix in ("png", "svg"):
        paths = [tmp_path / f"{name}.{suffix}" for name in ("a", "b")]
        for path in paths:
            plot_arrays(rows, path)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_picture_names_every_style_once_at_its_largest_size(rows, tmp_path):
    smaller = [row | {"neurons": 4, "ge_per_weight": 9.0} for row in rows]
    plot_arrays([*rows, *smaller], tmp_path / "a.svg")
    texts = re.findall(r">([a-z]+), (\d+) x (\d+)<", (tmp_path / "a.svg").read_text())
    assert sorted(texts) == sorted((style, "8", "32") for style in {row["style"] for row in rows})


@pytest.fixture(scope="module")
def placed() -> list[dict]:
    pytest.importorskip("coloquinte", reason="the extra `bench` is not installed")
    command = ["bench", "arrays", "--sizes", "8x32,16x64", "--styles", "shared,cell", "--place", "--json"]
    ran = hardloom(*command)
    assert ran.code == 0
    return json.loads(ran.out)


def test_wires_of_placed_tiles_are_told_beside_those_that_are_predicted(placed):
    assert {(row["style"], row["track_share"] is None) for row in placed} == {("shared", False), ("cell", True)}
    small, large = (row for row in placed if row["style"] == "shared" and row["slices"] == row["inputs"])
    assert 0.02 < small["track_share"] < large["track_share"] < 0.2
    assert large["predicted_track_share"] == pytest.approx(large["track_share"], rel=0.15)


def test_a_tree_connects_points():
    x, y = np.array([0, 10, 10, 0, 5]), np.array([0, 0, 10, 10, 5])
    assert tree_length(x[:2], y[:2]) == 10 and tree_length(x[:3], y[:3]) == 20
    assert tree_length(x[:4], y[:4]) == pytest.approx(0.92 * 30)


def test_cells_are_placed_in_rows_without_overlap():
    pytest.importorskip("coloquinte", reason="the extra `bench` is not installed")
    widths = [100, 200, 300] * 20
    x, y = cells_placed(widths, [[i, i + 1] for i in range(59)])
    for row in np.unique(y):
        inside = np.flatnonzero(y == row)
        left = x[inside] - np.array(widths)[inside] // 2
        order = np.argsort(left)
        assert np.all(left[order][1:] >= (left + np.array(widths)[inside])[order][:-1])
    assert np.unique(y % 112).tolist() == [56]


def test_matrices_are_the_same_every_time():
    assert np.array_equal(normal_matrix(4, 64).weights, normal_matrix(4, 64).weights)


def test_rows_of_a_checkpoint_are_taken_one_matrix_after_the_other(tiny_quantized):
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    units = list(array_units(checkpoint.model))
    first = checkpoint.integers(units[0].matrices[0])
    inputs = first.weights.shape[1]
    matrix = stored_matrix(checkpoint, len(first.weights) + 3, inputs)
    assert torch.equal(matrix.weights[: len(first.weights)], first.weights.int())
    assert torch.equal(matrix.weights[-3:], checkpoint.integers(units[0].matrices[1]).weights[:3].int())
    with pytest.raises(UserError, match=r"has \d+ rows of 96 inputs in mxfp4, not 5"):
        stored_matrix(checkpoint, 5, 96)


def test_rows_of_one_kind_are_that_kinds_alone(tiny_quantized):
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    down = [matrix.name for matrix in checkpoint.model.matrices() if matrix.short_kind == "down"]
    first = checkpoint.integers(down[0])
    format, (rows, inputs) = checkpoint.format_of(down[0]), first.weights.shape
    assert torch.equal(stored_matrix(checkpoint, rows, inputs, format, "down").weights, first.weights.int())
    every, kind = len(down) * rows, "rows of kind down of"
    stored_matrix(checkpoint, every, inputs, format, "down")
    with pytest.raises(UserError, match=f"has {every} {kind}"):
        stored_matrix(checkpoint, every + 1, inputs, format, "down")
    assert rows_of(checkpoint.path, "down")[1] == "down" and rows_of(None, None)[1] == "normal"
    for weights, strange in ((checkpoint.path, "noses"), (None, "down")):
        with pytest.raises(UserError, match="--kind"):
            rows_of(weights, strange)


@pytest.mark.parametrize("text", ["16", "16x", "0x32", "16x33", "a,b"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="is not NEURONSxINPUTS"):
        parse_sizes(text)


def test_an_unknown_style_is_refused():
    assert hardloom("bench", "arrays", "--styles", "sram").code != 0
