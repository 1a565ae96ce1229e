"""Denoising and routing as the page shows them are the integer model's, token by token and expert by expert."""

import base64
import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from hardloom.flows.models.demonstration import mixed_problems, recipe_of
from hardloom.flows.report.denoising import denoising
from hardloom.flows.report.routing import routing
from hardloom.flows.report.run import GoldenRun, golden_run
from hardloom.flows.report.subject import Subject
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.denoise import CERTAIN
from hardloom.golden.samplers.sampling import Sampling, denoise
from hardloom.golden.shape import DenseShape
from tests import DEMO, DEMO2
from tests.checkpoints import tiny_model
from tests.flows.report.conftest import PROMPT, SAMPLING


def label(token: int) -> str:
    """The tiny model has no tokenizer, and one token that ends answers."""
    return "eos" if token == 18 else str(token)


def shown_steps(section):
    """Of each step, its number and the cells of all positions: classes, label and probability."""
    for step in section("denoising").all("div", data_of="denoising"):
        cells = [[*(part.text for part in cell.all() if part.name in "bi")] for cell in step.all("li")]
        states = [cell.attributes["class"].split()[1] for cell in step.all("li")]
        yield int(step.attributes["data-step"]), states, cells


def test_every_step_shows_the_tokens_of_the_integer_model(section, golden, tiny_model):
    steps, _ = golden
    first, *shown = shown_steps(section)
    masks = ["masked"] * 8
    assert first == (0, ["prompt"] * 3 + masks, [[label(token), ""] for token in PROMPT] + [["", ""]] * 8)
    assert [number for number, _, _ in shown] == list(range(1, len(steps) + 1)) and len(steps) > 2
    for (_, states, cells), step in zip(shown, steps, strict=True):
        held = [(p, label(token)) for p, token in enumerate(step.tokens[0].tolist()) if token != tiny_model.mask_token]
        filled = [p for p, state in enumerate(states) if state in ("prompt", "written", "edited", "kept")]
        assert [(p, cells[p][0]) for p in filled] == held
        assert [p for p, state in enumerate(states) if state == "written"] == sorted({r[0] for r in step.records[0]})


def test_candidates_that_were_not_taken_are_shown_with_their_probability(section, golden):
    steps, _ = golden
    (_, *shown), rejected = shown_steps(section), 0
    for (_, states, cells), step in zip(shown, steps, strict=True):
        written = {position: spread for position, _, spread in step.records[0]}
        for position in step.passes[0].wanted:
            spread = int(step.prediction.spread[0, position])
            assert cells[position][1] == f"{CERTAIN / spread:.3f}"
            assert cells[position][0] == label(int(step.prediction.tokens[0, position]))
            assert states[position] == ("written" if position in written else "rejected")
            rejected += position not in written
    assert rejected > 4


def test_other_tokens_of_a_candidate_are_those_next_in_the_logits(section, golden, chip_build, tiny_integer_model):
    steps, _ = golden
    step, before = steps[1], steps[0].tokens
    logits = tiny_integer_model.forward(before)[0].double() * 2.0**-tiny_integer_model.numerics.word.frac
    chances = logits.softmax(-1)
    (shown,) = section("denoising").all("div", data_of="denoising", data_step="2")
    rows = shown.rows()[1:]
    assert [int(row[0]) for row in rows] == list(step.passes[0].wanted)
    for position, _, *tops in rows:
        best = chances[int(position)].topk(3)
        assert [top.split()[0] for top in tops] == [label(token) for token in best.indices.tolist()]
        found = [float(top.split()[1]) for top in tops]
        assert found == pytest.approx(best.values.tolist(), abs=2e-3)


def test_experts_serve_as_many_positions_as_the_probes_say(section, golden):
    _, routes = golden
    details = [*section("routing").all("details")]
    assert len(details) == len(routes[0]) == 2
    for layer, found in enumerate(details):
        chosen = np.concatenate([step[layer].numpy().ravel() for step in routes])
        shown = [int(row[1]) for row in found.rows()[1:]]
        assert shown == np.bincount(chosen, minlength=3).tolist()
    balance = [row[1] for row in next(section("routing").all("table")).rows()[1:]]
    for layer, told in enumerate(balance):
        counts = np.bincount(np.concatenate([step[layer].numpy().ravel() for step in routes]), minlength=3)
        assert told == f"{counts.max() / counts.mean():.2f}"


def test_pictures_of_routes_are_the_probes_expert_by_position(section, golden):
    _, routes = golden
    for layer, figure in enumerate(section("routing").all("figure")):
        pictures = [opacity(image.attributes["src"]) for image in figure.all("img")]
        chosen = np.array([[(step[layer].numpy() == expert).any(1) for expert in range(3)] for step in routes])
        assert len(pictures) == 1 + len(routes)
        assert np.array_equal(pictures[0], np.rint(255 * chosen.sum(0) / len(routes)))
        assert all(np.array_equal(picture, 255 * one) for picture, one in zip(pictures[1:], chosen, strict=True))


def opacity(address: str) -> np.ndarray:
    kind, _, held = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(held))))[..., 3]


def test_what_a_sampler_writes_over_is_told_from_what_it_fills():
    """The second demonstration mends what it has written, by Levenshtein decoding."""
    subject, sampling = Subject.of(DEMO2), Sampling.of("levenshtein", gen_length=16, block_length=16, threshold=0.5)
    prompt = subject.tokenizer.encode(mixed_problems(recipe_of(DEMO2).tasks, 2)[1].prompt).ids
    found = denoising(subject, golden_run(subject, prompt, sampling)).held["steps"]
    steps = list(denoise(IntegerModel.from_checkpoint(DEMO2), torch.tensor([prompt]), sampling, subject.model))
    before, states, fates = found[0].cells, Counter[str](), set[str]()
    for shown, step in zip(found[1:], steps, strict=True):
        written = {position for position, _, _ in step.records[0]}
        for position, (old, cell) in enumerate(zip(before, shown.cells, strict=True)):
            masked = old.state in ("masked", "rejected", "returned")
            token = int(step.tokens[0, position])
            if token == subject.model.mask_token:
                assert cell.state == "returned" if position in written else cell.state in ("masked", "rejected")
            elif position in written:
                assert cell.state == ("written" if masked else "edited")
            else:
                assert cell.state == ("prompt" if position < len(prompt) else "kept")
        guesses, tokens = step.prediction.tokens[0].tolist(), step.tokens[0].tolist()
        for position, fate, _ in shown.candidates:
            same = "there already" if guesses[position] == tokens[position] else "not taken"
            assert fate == ("taken" if position in written else same)
            fates.add(fate)
        before = shown.cells
        states.update(cell.state for cell in shown.cells)
    assert (states["edited"], states["returned"]) == (3, 7) and fates == {"taken", "not taken", "there already"}


def test_a_model_without_experts_routes_nothing():
    shape = tiny_model()
    dense = replace(shape, layers=tuple(replace(layer, mlp=DenseShape(32)) for layer in shape.layers))
    subject = Subject(DEMO, DEMO, None, dense, None)
    found = routing(subject, GoldenRun([1], SAMPLING, [], {}, None))
    assert found.missing.startswith("no layer of this model has experts")
