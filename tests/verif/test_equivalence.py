"""Yosys proves the emitted text of small arrays equal to W @ x, and finds a changed wire."""

import re
from pathlib import Path

import numpy as np
import pytest

from hardloom.gen.arrays import emit, plan_array
from hardloom.gen.arrays.styles import STYLES
from hardloom.verif.proof.equivalence import prove, small_plan
from hardloom.verif.proof.unroll import unroll
from tests.matrices import exactly


@pytest.mark.parametrize("style", STYLES)
def test_an_array_of_every_style_is_its_matrix_times_the_vector(style: str, tmp_path: Path) -> None:
    proof = prove(small_plan(style, "mxfp4", rows=4, inputs=4, lanes=2), tmp_path)
    assert (proof.proven, proof.difference) == (4, None)
    assert proof.variables > 1000


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("format", ["mxfp4", "int4", "ternary"])
def test_larger_arrays_in_every_format(style: str, format: str, tmp_path: Path) -> None:
    assert prove(small_plan(style, format, rows=4, inputs=8, lanes=2), tmp_path).proven == 4


def test_a_moved_wire_is_found_with_inputs_that_show_it(tmp_path: Path) -> None:
    plan = plan_array("array", [exactly(np.array([[3, -2, 1, 0], [1, 2, 0, -1]]))], 2, 1, "metal", "int4")
    emission = emit(plan)
    texts = {name: text.encode() for name, text in emission.prefab.items()} | emission.connections
    text = texts["array.v"]
    place = text.index(b"n3", text.index(b" neuron_0_1 "))
    texts["array.v"] = text[:place] + b"p3" + text[place + 2 :]
    proof = prove(plan, tmp_path, texts)
    assert proof.proven == 1
    found = re.fullmatch(r"row 1 differs for x = \[(.*)\]", proof.difference)
    assert found is not None
    assert int(found[1].split(",")[3]) != 0


def test_unrolling_lays_cycles_one_behind_the_other() -> None:
    """A two-bit shift register: after two cycles its output is what it took in cycle 0."""
    cell = {"type": "$dff", "parameters": {}, "attributes": {}, "port_directions": {}}
    module = {
        "ports": {
            "clk": {"direction": "input", "bits": [2]},
            "d": {"direction": "input", "bits": [3]},
            "q": {"direction": "output", "bits": [5]},
        },
        "cells": {
            "a": cell | {"connections": {"CLK": [2], "D": [3], "Q": [4]}},
            "b": cell | {"connections": {"CLK": [2], "D": [4], "Q": [5]}},
        },
    }
    for steps, expected in ((1, 1), (2, 0)):
        flat, registers = unroll(module, steps, {"clk": "0"}, {"clk": "0"})
        assert registers == 2
        assert flat["ports"]["q"]["bits"] == [flat["ports"]["registers"]["bits"][expected]]
    flat, _ = unroll(module, 3, {"clk": "0"}, {"clk": "0"})
    assert flat["ports"]["q"]["bits"] == flat["ports"]["d"]["bits"]
