"""Designs are those of `hardloom explore`, systems those of `hardloom estimate --compare`, at their places."""

import json
from math import log10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardloom.flows.design.estimate.systems import comparison
from hardloom.flows.report.axes import LinearAxis, LogAxis, label_places
from tests.command_line import hardloom


def test_the_line_is_the_front_that_explore_writes(section, chip_build, tmp_path):
    ran = hardloom("explore", chip_build.path / "quantized", "--front", tmp_path / "front.json")
    assert ran.code == 0, ran.err
    scale = 1e6 / chip_build.checkpoint().model.parameters
    wanted = [
        (one["tokens_per_s"], one["area_mm2_total"] * scale)
        for one in json.loads((tmp_path / "front.json").read_text())
    ]
    table = next(section("designs").all("details")).rows()
    found = [tuple(float(cell.replace(",", "")) for cell in row) for row in table[1 : 1 + len(wanted)]]
    assert len(found) > 3 and found == [pytest.approx(point, rel=1e-3) for point in wanted]


def test_systems_stand_where_their_figures_say(section):
    systems = comparison("5nm")
    across, up = "area_um2_per_parameter", "tokens_per_joule"
    known = [one for one in systems if across in one.figures and up in one.figures]
    drawing = [*section("designs").all("svg")][1]
    circles = [*drawing.all("circle")]
    assert len(circles) == len(known) > 8
    for axis, figure, sign in (("cx", across, 1), ("cy", up, -1)):
        places = [float(circle.attributes[axis]) * sign for circle in circles]
        logs = [log10(one.figures[figure]) for one in known]
        low, high = logs.index(min(logs)), logs.index(max(logs))
        slope = (places[high] - places[low]) / (logs[high] - logs[low])
        assert slope > 0
        assert places == pytest.approx([places[low] + slope * (log - logs[low]) for log in logs], abs=0.3)
    ours = [circle.attributes["class"] == "ours" for circle in circles]
    assert ours == [one.marks[up] == "ours" for one in known] and 0 < sum(ours) < len(ours)
    names = [one.text for one in drawing.all("text", class_="halo")]
    assert len(names) == len(known) and names[0] == "1 HNLPU"


@given(st.floats(1, 1e9))
def test_ticks_of_a_linear_axis_are_round_and_few(high):
    ticks = LinearAxis(high, 1000).ticks
    assert 3 <= len(ticks) <= 12 and ticks[0] == (0.0, "0") and ticks[-1][0] <= 1000
    for place, text in ticks:
        assert place == pytest.approx(float(text.replace(",", "")) * 1000 / high, abs=0.6)


@given(st.lists(st.floats(1e-3, 1e7), min_size=2, max_size=20, unique=True))
def test_values_are_within_a_logarithmic_axis_in_order(values):
    axis = LogAxis.over(values, 500)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places) and places[0] > 0 and places[-1] < 500


def test_labels_of_points_side_by_side_do_not_cover_each_other():
    points = [(500.0, 200.0, "one name"), (510.0, 200.0, "another name"), (505.0, 206.0, "a third")]
    found = [
        (x, y, anchor, 6.0 * len(label))
        for (x, y, anchor), (_, _, label) in zip(label_places(points, (1000, 400)), points, strict=True)
    ]

    def span(x: float, anchor: str, width: float) -> tuple[float, float]:
        left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
        return left, left + width

    for n, (x, y, anchor, width) in enumerate(found):
        left, right = span(x, anchor, width)
        for other_x, other_y, other_anchor, other_width in found[:n]:
            start, end = span(other_x, other_anchor, other_width)
            assert right <= start or end <= left or abs(y - other_y) >= 10


def test_a_label_at_the_edge_stays_within():
    (place,) = label_places([(995.0, 100.0, "a long name")], (1000, 400))
    assert place[2] == "end" and place[0] < 995
