"""What a bench says when it fails, and how it hands its work to the simulator's process."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from amaranth.hdl import unsigned

from hardloom.gen.stream.stream import beat
from hardloom.verif.chip.requests import ChipJob, Request
from hardloom.verif.simulators.job import Job
from hardloom.verif.streams import player
from hardloom.verif.streams.bench import Port, UnitsJob, pack, packets
from hardloom.verif.streams.player import Mismatch, Sink, always


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    """Two packets of two beats of eight elements."""
    monkeypatch.setattr(player, "get_sim_time", lambda unit: 41.5)
    bench = SimpleNamespace(case=SimpleNamespace(name="unit"), signal=lambda name: SimpleNamespace(value=0))
    x = torch.arange(32).reshape(2, 16)
    return Sink(bench, Port("o", beat(8, 8, 5), False, True), packets(x, 8, 3), always)


def word(first: int, scale: int = 3, last: int = 0) -> int:
    return pack(beat(8, 8, 5), {"data": list(range(first, first + 8)), "scale": scale, "last": last})


def test_a_wrong_beat_is_named_with_every_wrong_element_and_the_time(sink: Sink) -> None:
    sink.compare(word(0))
    with pytest.raises(Mismatch) as error:
        sink.compare(word(8, scale=5, last=1) ^ 1)
    assert str(error.value) == (
        "unit.o: packet 0, beat 1, element data[0]: expected 8, got 9; element scale: expected 3, got 5, at 41.5 ns; "
        "2 of 4 beats of unit.o came"
    )


def test_of_many_wrong_elements_the_first_are_named(sink: Sink) -> None:
    with pytest.raises(Mismatch, match=r"element data\[3\]: expected 3, got 4; 8 of 10 elements differ, at 41.5 ns"):
        sink.compare(word(1))


def test_a_beat_that_is_none_too_many_or_changed_is_named(sink: Sink) -> None:
    for first, last in ((0, 0), (8, 1), (16, 0), (24, 1)):
        sink.compare(word(first, last=last))
    with pytest.raises(Mismatch, match=r"unit.o: a beat more than the 4 expected, at 41.5 ns"):
        sink.compare(word(0))
    sink.waiting = 5
    with pytest.raises(Mismatch, match=r"valid fell while the beat was waiting for ready, at 41.5 ns"):
        sink.sample()


def test_a_word_without_fields_is_the_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "get_sim_time", lambda unit: 7)
    bench = SimpleNamespace(case=SimpleNamespace(name="unit"), signal=lambda name: SimpleNamespace(value=0))
    with pytest.raises(Mismatch, match=r"packet 0, beat 0, element payload: expected 2, got 3, at 7 ns"):
        Sink(bench, Port("o", unsigned(4), False, True), [[2]], always).compare(3)


@pytest.mark.parametrize(
    "job",
    [
        UnitsJob(["rope", "argmax"]),
        ChipJob([Request(prompt=[1, 2], gen_length=4, program=[1])], "results.jsonl"),
    ],
)
def test_a_job_comes_out_of_its_file_as_it_went_in(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in job.hand_over(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert type(job).received() == job


def test_a_sink_that_is_asked_is_ready_once_a_beat_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "get_sim_time", lambda unit: 7)
    signals = {name: SimpleNamespace(value=0) for name in ("o__payload", "o__valid", "o__ready")}
    bench = SimpleNamespace(case=SimpleNamespace(name="unit"), signal=signals.__getitem__)
    sink = Sink(bench, Port("o", unsigned(4), False, True), [[2], [3]], always, asked=True)
    seen = []
    for valid, payload in ((0, 0), (1, 2), (1, 2), (1, 3), (1, 3)):
        sink.drive()
        signals["o__valid"].value, signals["o__payload"].value = valid, payload
        seen.append((signals["o__ready"].value, sink.sample()))
    assert seen == [(0, False), (0, False), (1, True), (0, False), (1, True)]
