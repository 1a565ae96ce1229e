"""Comparing chip and integer model finds any difference, and says where; pictures and reports show what happened."""

import copy
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hardloom.flows.bench.chip import bound_per_forward
from hardloom.flows.chips.outcomes import Outcome, junit
from hardloom.flows.pictures.denoising import Cell, timeline
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.stream.probe import Probe
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.sampling import denoise
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.scoreboard import Divergence, Scoreboard
from hardloom.verif.chip.simulation import Run
from hardloom.verif.chip.taps import read_taps
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.samplers import by_quota, by_threshold

CONFIG = tiny_config(num_hidden_layers=1, num_experts=3, expert_intermediate_size=36)
MODEL = shape_of(CONFIG)
PARAMS = [by_quota(6, 3, 4), by_threshold(4, 2, 0.9)]


class FakeChip:
    """A chip that commits what it is told."""

    def __init__(self, commits):
        self.model, self.commits = MODEL, commits
        self.build = SimpleNamespace(hardware=SimpleNamespace(lanes=2))

    def simulate(self, runs, taps=None, at_once=1, times=None, writes=()):
        for run, commits in zip(runs, self.commits, strict=True):
            for step in commits:
                run.steps.append(step)
                yield run, len(run.steps) - 1
            run.cycles, run.forwards = 100 * len(commits), len(commits)
            yield run, None


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    write_random_checkpoint(folder / "ckpt", CONFIG)
    quantize_checkpoint(folder / "ckpt", folder / "q", "mxfp4", numerics=Numerics())
    return IntegerModel(QuantizedCheckpoint(folder / "q"))


def prompts():
    return [Run([3, 1, 4], PARAMS[0]), Run([1, 5], PARAMS[1])]


@pytest.fixture(scope="module")
def right(model):
    """What a right chip commits: a list of records a step, for each run."""
    commits = []
    for run in prompts():
        steps = denoise(model, torch.tensor([run.prompt]), run.sampling, MODEL)
        commits.append([[list(record) for record in step.records[0]] for step in steps])
    return commits


def compare(model, commits):
    return compare_runs(FakeChip(commits), model, prompts())


def test_a_right_chip_differs_nowhere(model, right):
    result = compare(model, right)
    assert (result.scoreboard.mismatches, result.scoreboard.first) == (0, None)
    assert result.tokens == result.expected
    assert result.scoreboard.compared == 2 + 3 * sum(len(step) for run in right for step in run)
    assert result.cycles_per_forward == 100


@pytest.mark.parametrize("run, step, field", [(0, 0, 0), (0, 1, 1), (0, 3, 2), (1, 0, 1), (1, 0, 2)])
def test_one_flipped_bit_is_found_where_it_is(model, right, run, step, field):
    commits = copy.deepcopy(right)
    commits[run][step][0][field] ^= 1
    first = compare(model, commits).scoreboard.first
    assert (first.run, first.step) == (run, step)


def test_a_missing_record_a_missing_step_and_one_too_many_are_found(model, right):
    for change in (lambda run: run[0].pop(), lambda run: run.pop(), lambda run: run.append([])):
        commits = copy.deepcopy(right)
        change(commits[1])
        first = compare(model, commits).scoreboard.first
        assert first is not None and first.run == 1


def test_the_timeline_keeps_what_was_committed_and_when():
    run = Run([7], by_quota(2, 2, 2), steps=[[[2, 5, 65536]], [[1, 9, 131072]]])
    rows = timeline(run, mask_token_id=21)
    assert [[cell.token for cell in row] for row in rows] == [[7, None, None], [7, None, 5], [7, 9, 5]]
    assert [(cell.step, cell.probability) for cell in rows[-1]] == [(0, 0.0), (2, 0.5), (1, 1.0)]


def test_the_timeline_shows_what_was_written_over_a_token():
    run = Run([7], by_quota(2, 2, 2), steps=[[[1, 5, 65536]], [[1, 21, 0]], [[1, 6, 131072]]])
    cells = [row[1] for row in timeline(run, mask_token_id=21)]
    assert cells == [Cell(None), Cell(5, 1, 1.0), Cell(None, 2, 0.0, edit=True), Cell(6, 3, 0.5)]


def test_a_position_that_commits_to_the_mask_token_stays_masked():
    run = Run([7], by_quota(1, 1, 1), steps=[[[1, 21, 65536]]])
    assert timeline(run, mask_token_id=21)[-1][1].token is None


def test_junit_counts_failures_and_keeps_their_message():
    outcomes = [Outcome("chip", "a", 1.0, "", None), Outcome("chip", "b", 2.0, "", "x < y")]
    suite = ElementTree.fromstring(junit(outcomes, "0" * 64))
    assert [(one.get("name"), one.get("value")) for one in suite.iter("property")] == [("manifest.json", "0" * 64)]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [failure.get("message") for failure in suite.iter("failure")] == ["x < y"]


def test_the_bound_is_a_key_a_cycle_for_every_group_of_heads_and_positions():
    assert bound_per_forward(MODEL, HardwareConfig(), positions=10) == 1 * 2 * 10 * 10
    assert bound_per_forward(MODEL, HardwareConfig(head_lanes=2, query_lanes=3), positions=10) == 1 * 1 * 4 * 10


def test_taps_of_banks_that_pass_side_by_side_are_read_one_after_the_other():
    """Two positions of two packets, three elements in two banks, two elements of each a beat."""
    probe = Probe("gate_up", "probe", 8, signed=True, lanes=4, elements=3, packets=2, banks=2)
    jobs = [([1, -2, 3], [10, 20, 30]), ([4, 5, 6], [40, 50, 60]), ([-7, 8, 9], [70, 80, 90]), ([0, 1, 2], [3, 4, 5])]
    beats = [a for first, second in jobs for a in ([*first[:2], *second[:2]], [first[2], 0, second[2], 0])]
    text = "".join(f"0 {int.from_bytes(bytes(x % 256 for x in beat), 'little'):08x}\n" for beat in beats)
    (values,) = read_taps(text.encode(), [probe], [2])
    assert values["gate_up"].tolist() == [
        [*jobs[0][0], *jobs[0][1], *jobs[1][0], *jobs[1][1]],
        [*jobs[2][0], *jobs[2][1], *jobs[3][0], *jobs[3][1]],
    ]
    broken = "".join(line + "\n" for line in text.splitlines()[:-1])  # the last job is not whole
    (values,) = read_taps(broken.encode(), [probe], [2])
    assert values["gate_up"].tolist() == [[*jobs[0][0], *jobs[0][1], *jobs[1][0], *jobs[1][1]]]


def test_taps_of_positions_that_pass_side_by_side_are_read_one_after_the_other():
    """Three positions, two at a time; a head after the other in each of two banks, a score of each position a beat."""
    probe = Probe("scores", "probe", 8, signed=True, lanes=4, elements=0, packets=2, banks=2, positions=2)
    scores = np.arange(-18, 18).reshape(3, 2, 2, 3)  # positions, packets, banks, keys
    padded = np.concatenate([scores, np.full((1, 2, 2, 3), 99)]).reshape(2, 2, 2, 2, 3)
    beats = padded.transpose(0, 2, 4, 1, 3).reshape(-1, 4)
    text = "".join(f"0 {beat.astype('<i1')[::-1].tobytes().hex()}\n" for beat in beats)
    (values,) = read_taps(text.encode(), [probe], [3])
    assert values["scores"].tolist() == scores.reshape(3, 12).tolist()
    broken = "".join(line + "\n" for line in text.splitlines()[:-1])  # the last two positions are not whole
    (values,) = read_taps(broken.encode(), [probe], [3])
    assert values["scores"].tolist() == scores.reshape(3, 12)[:2].tolist()


def test_taps_behind_the_head_s_gate_have_the_rows_that_it_let_through():
    """Two passes of three and two positions, of which two and one pass."""
    gate, logits = Probe("wanted", "a", 1, False, 1, 1, 1), Probe("logits", "b", 8, True, 1, 2, 1, wanted=True)
    text = "1 05\n0 1\n1 06\n0 0\n0 1\n1 07\n1 08\n0 0\n0 1\n1 fe\n1 ff\n"
    first, second = read_taps(text.encode(), [gate, logits], [3, 2])
    assert first["wanted"].tolist() == [[1], [0], [1]] and first["logits"].tolist() == [[5, 6], [7, 8]]
    assert second["wanted"].tolist() == [[0], [1]] and second["logits"].tolist() == [[-2, -1]]


def test_a_difference_behind_the_head_s_gate_names_the_position():
    expected = {"wanted": np.array([[0], [1], [0], [1]]), "logits": np.array([[5, 6], [7, 8]])}
    board = Scoreboard()
    board.compare_values(0, 0, expected, expected | {"logits": np.array([[5, 6], [7, 9]])})
    assert board.first == Divergence(0, 0, "logits", 3, 1, 8, 9)
