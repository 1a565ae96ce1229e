"""Many defects at once: the weights that wrong wires and dead neurons leave, and what a model still answers."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from hardloom.flows.chips.defects import counts_up_to, verify_accuracy
from hardloom.gen.arrays import emit, plan_array
from hardloom.gen.build.folder import Build
from hardloom.golden.errors import UserError
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.extract.arrays import ArrayRows
from hardloom.verif.faults.defects import (
    DEFECTS,
    Defective,
    dead_neurons,
    hardwired,
    neurons,
    rewired,
    wires,
    wrong_wires,
)
from tests.matrices import noise


@pytest.fixture
def matrices() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(5)
    return {"a": draw.integers(-3, 4, (8, 12)).astype(np.int32), "b": draw.integers(-6, 7, (5, 16)).astype(np.int32)}


@pytest.mark.parametrize("count", [1, 7, 60])
def test_so_many_wires_are_wrong_and_each_in_its_own_neuron(matrices: dict[str, np.ndarray], count: int) -> None:
    before = {name: weights.copy() for name, weights in matrices.items()}
    changed = wrong_wires(matrices, count, np.random.default_rng(1))
    assert all((matrices[name] == before[name]).all() for name in matrices), "what was given stays"
    differ = sum(int((changed[name] != matrices[name]).sum()) for name in changed)
    assert count / 2 <= differ <= 2 * count
    again = wrong_wires(matrices, count, np.random.default_rng(1))
    assert changed.keys() == again.keys() and all((changed[name] == again[name]).all() for name in changed)


def test_a_wrong_wire_is_missing_inverted_misplaced_or_another_input_s() -> None:
    weights = np.array([[4, 0, -2, 1]], dtype=np.int32)
    seen = {tuple(rewired(weights, np.array([0]), np.random.default_rng(seed))[0].tolist()) for seed in range(200)}
    missing, inverted, misplaced = (0, 0, -2, 1), (-4, 0, -2, 1), {(1, 0, -2, 1), (2, 0, -2, 1)}
    foreign = {(0, 4, -2, 1), (0, 0, 2, 1), (0, 0, -2, 5)}
    assert seen == {missing, inverted} | misplaced | foreign


def test_a_dead_neuron_gives_nothing(matrices: dict[str, np.ndarray]) -> None:
    changed = dead_neurons(matrices, 6, np.random.default_rng(3))
    dead = [(name, row) for name, weights in changed.items() for row in range(len(weights)) if not weights[row].any()]
    assert len(dead) == 6
    for name, weights in changed.items():
        rest = [row for row in range(len(weights)) if (name, row) not in dead]
        assert (weights[rest] == matrices[name][rest]).all()
    assert not any(weights.any() for weights in dead_neurons(matrices, 13, np.random.default_rng(3)).values())


def test_more_defects_than_places_are_refused(matrices: dict[str, np.ndarray]) -> None:
    with pytest.raises(UserError, match="14 defects are more than the 13 places"):
        dead_neurons(matrices, 14, np.random.default_rng(0))


def test_a_wire_that_is_missing_in_the_text_is_the_weight_that_is_said() -> None:
    """Wires are cut one by one in the emitted text of an array, and it is read back: a weight of one wire is then 0."""
    matrix = noise("int4", 4, 16)
    sound, plan = matrix.weights.int().numpy(), plan_array("a", [matrix], 4, 2, "metal", "int4")
    prefab, files = emit(plan)
    text = b"".join(files["a.v"]) if not isinstance(files["a.v"], bytes) else files["a.v"]
    begin = text.index(b"neuron_0_0 (")
    cuts = [place.span() for place in re.finditer(rb"(?<= )[pn]\d+(?=[,)])", text) if place.start() > begin]
    zeros = 0
    for first, last in random.Random(1).sample(cuts, 12):
        read = np.concatenate(list(ArrayRows([text[:first] + b"1'b0" + text[last:]], prefab)))
        (row,), (column,) = np.nonzero(read != sound)
        number = int(np.flatnonzero(np.flatnonzero(sound) == row * 16 + column)[0])
        said = [rewired(sound, np.array([number]), np.random.default_rng(seed)) for seed in range(30)]
        zeros += read[row, column] == 0 and any((read == weights).all() for weights in said)
    assert zeros > 6


def test_the_integer_model_computes_with_the_weights_that_are_left(tiny_quantized: list[Path]) -> None:
    sound = QuantizedCheckpoint(tiny_quantized[0])
    held = hardwired(sound)
    assert wires(held) < sum(weights.size for weights in held.values())
    assert neurons(held) == sum(len(weights) for weights in held.values())
    tokens = torch.tensor([[3, 9, 12, 5]])
    logits = IntegerModel(sound).forward(tokens)
    assert (IntegerModel(Defective(sound.path, {})).forward(tokens) == logits).all()
    head = sound.model.tensor("head").name
    dead = held[head].copy()
    dead[7] = 0
    found = IntegerModel(Defective(sound.path, {head: dead})).forward(tokens)
    assert (found[..., 7] == 0).all() and logits[..., 7].any()
    rest = [token for token in range(19) if token != 7]
    assert (found[..., rest] == logits[..., rest]).all()


def test_numbers_of_defects_go_by_tens_while_most_is_sound() -> None:
    assert counts_up_to(3704) == [1, 10, 100, 1000]
    assert counts_up_to(1999) == [1, 10, 100]
    assert list(DEFECTS) == ["wrong wires", "dead neurons"]


def test_a_model_without_problems_is_refused(tiny_build: Build) -> None:
    with pytest.raises(UserError, match="not that of a demonstration's tasks"):
        verify_accuracy(tiny_build.path, 1, 10, None)
