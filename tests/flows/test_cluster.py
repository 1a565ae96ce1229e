"""Work over the workers of a Dask scheduler, which die: the same bytes, or one sentence before anything is written.

Every scheduler and worker is a process of its own, as `dask scheduler` and `dask worker` start it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

from hardloom.flows.cluster import client
from hardloom.flows.cluster.client import Cluster, workers_at
from hardloom.gen.build.folder import MANIFEST
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.build.work import Progress
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.golden.errors import UserError
from hardloom.golden.folders import MARK
from hardloom.golden.parallel import HERE, Workers
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from tests import ROOT
from tests.command_line import hardloom
from tests.dask_cluster import DaskCluster, Worker, dask_cluster

ARRAYS = ("--matrices", "qkv,o,router,gate_up,down,head")
"""Of `generate`: every array, and no chip around them, which takes longer than all of this."""


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler without workers."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as running:
        yield running


@pytest.fixture(scope="module")
def local(tiny_quantized: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The arrays of the first checkpoint, made in this process."""
    out = tmp_path_factory.mktemp("local") / "build"
    assert hardloom("generate", tiny_quantized[0], "-o", out, *ARRAYS).code == 0
    return out


@pytest.fixture(scope="module")
def few(tiny_quantized: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of them."""
    out = tmp_path_factory.mktemp("few") / "build"
    assert hardloom("generate", tiny_quantized[0], "-o", out, "--layers", 0, "--matrices", "o,router").code == 0
    return out


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def arrays_of(folder: Path) -> list[Path]:
    return [*(folder / "rtl" / "arrays").iterdir()]


def folders(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_dir()}


def build(quantized: Path, out: Path, workers: Workers, progress: Progress = lambda done, total: None) -> None:
    """What `hardloom generate` with `ARRAYS` does."""
    checkpoint = QuantizedCheckpoint(quantized)
    selection = Selection(matrices=tuple(ARRAYS[1].split(",")))
    hardware = HardwareConfig.default(checkpoint.model)
    build_arrays(checkpoint, out, hardware, selection, progress=progress, workers=workers)


def test_a_worker_that_is_killed_with_work_costs_nothing(
    cluster: DaskCluster, tiny_quantized: list[Path], local: Path, tmp_path: Path
) -> None:
    """One of two, the one with more that is under way or done and not yet fetched, as soon as one part is in place."""
    by_address = {worker.address: worker.process for worker in (cluster.worker(), cluster.worker())}
    out, calls, had = tmp_path / "build", list[tuple[int, int]](), dict[str, int]()
    with workers_at(cluster.address, write=out) as workers:
        assert isinstance(workers, Cluster)

        def progress(done: int, total: int) -> None:
            calls.append((done, total))
            if len(calls) == 1:
                for found in (workers.client.processing(), workers.client.has_what()):
                    had.update({address: had.get(address, 0) + len(keys) for address, keys in found.items()})
                cluster.kill(by_address.pop(max(had, key=had.__getitem__)))

        build(tiny_quantized[0], out, workers, progress)
        assert [*workers.client.nthreads()] == [*by_address]
    assert max(had.values()) > 2
    assert calls == sorted(set(calls)) and len(calls) == len(arrays_of(local)) and calls[-1][0] == calls[-1][1]
    assert contents(out) == contents(local) and folders(out) == folders(local)


def killed_while_writing(cluster: DaskCluster, victim: Worker, out: Path) -> threading.Thread:
    """Kills `victim` once anything of the build `out` is written and not in its place, and starts another worker."""

    def kill() -> None:
        while not [*out.glob(".hardloom-staged/*/*")]:
            pass
        cluster.kill(victim.process)
        cluster.worker()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_a_worker_that_is_killed_while_it_writes_costs_nothing(
    cluster: DaskCluster, tiny_quantized: list[Path], local: Path, tmp_path: Path
) -> None:
    """The only one; another one comes later, and goes on."""
    out, victim = tmp_path / "build", cluster.worker()
    with workers_at(cluster.address, write=out) as workers:
        assert isinstance(workers, Cluster)
        killing = killed_while_writing(cluster, victim, out)
        build(tiny_quantized[0], out, workers)
        killing.join()
        assert victim.address not in workers.client.nthreads()
    assert contents(out) == contents(local) and folders(out) == folders(local)


def test_workers_prove_as_threads_do(cluster: DaskCluster, few: Path) -> None:
    cluster.worker()
    here = hardloom("verify", few, "--static", "--json")
    there = hardloom("verify", few, "--static", "--json", "--cluster", cluster.address)
    assert (there.code, there.out, there.err) == (0, here.out, "")
    found = json.loads(there.out)
    assert found["weights"] == found["matching"] > 0 and found["first"] is None


def test_a_changed_wire_is_found_by_workers_as_by_threads(cluster: DaskCluster, few: Path, tmp_path: Path) -> None:
    cluster.worker()
    copy = tmp_path / "build"
    shutil.copytree(few, copy)
    file = copy / "rtl/arrays/wired_layer_0_o.v"
    file.write_bytes(file.read_bytes().replace(b"p1,", b"n1,", 1))
    assert file.read_bytes() != (few / "rtl/arrays/wired_layer_0_o.v").read_bytes()
    ran = hardloom("verify", copy, "--static", "--cluster", cluster.address)
    assert (ran.code, ran.err) == (1, hardloom("verify", copy, "--static").err)
    assert f"{file}: differs from {MANIFEST}" in ran.err


def test_modules_are_synthesized_by_workers_as_by_processes(
    cluster: DaskCluster, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.worker()
    found = []
    for name, options in (("here", ()), ("there", ("--cluster", cluster.address))):
        monkeypatch.setenv("HARDLOOM_CACHE", str(tmp_path / name))
        ran = hardloom("synth", few, "--unit", "wired_layer_0_router", "--generic", "--json", *options)
        assert (ran.code, ran.err) == (0, "")
        found.append({k: v for k, v in json.loads(ran.out).items() if k not in ("cpu_seconds", "peak_mib")})
    assert found[0] == found[1]


def refused(words: list[object], address: str, out: Path, sentence: str) -> None:
    """`hardloom` with `--cluster` says one sentence, and writes nothing beside `out`."""
    before = contents(out.parent), folders(out.parent)
    ran = hardloom(*words, "--cluster", address)
    assert (ran.code, ran.out) == (1, "") and len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: --cluster: ") and sentence in ran.err, ran.err
    assert (contents(out.parent), folders(out.parent)) == before and not out.exists()


def test_an_address_where_nobody_answers(tiny_quantized: list[Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(client, "CONNECT_S", 1.0)
    out = tmp_path / "build"
    words = ["generate", tiny_quantized[0], "-o", out]
    refused(words, "127.0.0.1:1", out, "no Dask scheduler answers at 127.0.0.1:1; start one with `dask scheduler`")


def test_a_scheduler_without_workers(cluster: DaskCluster, tiny_quantized: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "build"
    words = ["generate", tiny_quantized[0], "-o", out]
    refused(words, cluster.address, out, f"has no workers; start some with `dask worker {cluster.address}`")


def test_a_worker_of_another_version(cluster: DaskCluster, tiny_quantized: list[Path], tmp_path: Path) -> None:
    code, out = tmp_path / "code", tmp_path / "out" / "build"
    for floor in ("golden", "rtl_templates", "gen", "verif", "flows"):
        shutil.copytree(ROOT / floor, code / floor, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "hardloom", code / "hardloom", symlinks=True)
    with (code / "gen" / "arrays" / "metal.py").open("a") as file:
        file.write("# another version\n")
    out.parent.mkdir()
    worker = cluster.worker(code)
    words = ["generate", tiny_quantized[0], "-o", out]
    refused(words, cluster.address, out, f"worker {worker.address} has code of hardloom ")


def test_a_worker_without_hardloom(cluster: DaskCluster, tiny_quantized: list[Path], tmp_path: Path) -> None:
    code, out = tmp_path / "code", tmp_path / "out" / "build"
    for folder in (code, out.parent):
        folder.mkdir()
    (code / "hardloom.py").write_text("")  # found before any that is installed, and no package
    worker = cluster.worker(code)
    words = ["generate", tiny_quantized[0], "-o", out]
    refused(
        words, cluster.address, out, f"worker {worker.address} has no hardloom, or another one; install the same there"
    )


def test_a_worker_that_does_not_see_the_folder(cluster: DaskCluster, few: Path, tmp_path: Path, monkeypatch) -> None:
    """By a path that leads each process to a place of its own, as a disk of each machine would."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
    shutil.copytree(few, mine / "chip")
    worker = cluster.worker(cwd=other)
    monkeypatch.chdir(mine)
    own, out = Path("/proc/self/cwd"), mine / "build"
    sentence = f"worker {worker.address} does not see {{}} as this machine does; put it on a file system that all"
    quantized, synth = own / "chip" / "quantized", ["synth", own / "chip", "--unit", "wired_layer_0_router"]
    for words in (["generate", quantized, "-o", out], ["verify", own / "chip", "--static"], synth):
        refused(words, cluster.address, out, sentence.format(words[1]))
    words = ["generate", mine / "chip" / "quantized", "-o", own / "build"]
    refused(words, cluster.address, out, sentence.format(own / "build"))


WITHOUT = """
import sys
sys.modules["dask"] = sys.modules["distributed"] = None
from hardloom.flows.cli.app import run
sys.argv = ["hardloom", *sys.argv[1:]]
assert run() == 0
sys.argv += ["--cluster", "127.0.0.1:1"]
from hardloom.flows.cli.app import app
app()
"""
"""A command, then the same with `--cluster`, where the extra is not installed."""


def test_without_the_extra_local_work_is_done_and_other_refused(tiny_quantized: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "build"
    words = ["generate", tiny_quantized[0], "-o", out, "--layers", "0", "--matrices", "router", "--json"]
    ran = subprocess.run([sys.executable, "-c", WITHOUT, *map(str, words)], capture_output=True, text=True, cwd=ROOT)
    sentence = "error: --cluster: needs the package distributed; run: pip install 'hardloom[cluster]'"
    assert (ran.returncode, ran.stderr.strip()) == (1, sentence)
    assert json.loads(ran.stdout)["arrays"].keys() == {"router"}


@pytest.mark.parametrize("left", ["no worker", "no scheduler"])
def test_a_run_that_cannot_go_on_says_so_and_keeps_what_is_in_place(
    cluster: DaskCluster, tmp_path: Path, tiny_quantized: list[Path], local: Path, monkeypatch, left: str
) -> None:
    monkeypatch.setattr(client, "ALONE_S", 1.0)
    out, calls, worker = tmp_path / "build", list[int](), cluster.worker()
    victim, said = (worker.process, "no worker of") if left == "no worker" else (cluster.processes[0], "the scheduler")

    def progress(done: int, total: int) -> None:
        calls.append(done)
        cluster.kill(victim)

    with pytest.raises(UserError, match=f"--cluster: {said}"), workers_at(cluster.address) as workers:
        build(tiny_quantized[0], out, workers, progress)
    kept = {path: path.stat().st_mtime_ns for path in arrays_of(out)}
    assert len(kept) == len(calls) and not (out / MANIFEST).exists() and not [*out.glob(".hardloom-*")]
    build(tiny_quantized[0], out, HERE)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept and contents(out) == contents(local)


def test_a_result_that_dies_with_its_worker_is_not_waited_for(cluster: DaskCluster, monkeypatch) -> None:
    """Done, and not yet given: only another worker could do it again."""
    import distributed

    monkeypatch.setattr(client, "ALONE_S", 1.0)
    worker = cluster.worker()
    with workers_at(cluster.address) as workers:
        future = workers.client.submit(sum, [20, 22])
        with workers.client.as_current():
            distributed.wait(future)
        cluster.kill(worker.process)
        with pytest.raises(UserError, match=r"no worker of \S+ is left"):
            workers._result(future)
        again = workers.client.submit(sum, [20, 22], pure=False)
        cluster.worker()
        assert workers._result(again) == 42


def test_work_that_kills_its_workers_is_given_up(
    tmp_path: Path, tiny_quantized: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first one here, where the scheduler is told so; by default after several."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    out = tmp_path / "build"
    with dask_cluster(tmp_path) as cluster:
        victim = cluster.worker()
        with workers_at(cluster.address) as workers:
            killing = killed_while_writing(cluster, victim, out)
            with pytest.raises(UserError, match=r"--cluster: several workers of tcp://\S+ died over the same work"):
                build(tiny_quantized[0], out, workers)
            killing.join()
    assert not (out / MANIFEST).exists() and not [*out.glob(".hardloom-*")]


def test_ctrl_c_ends_a_run_that_goes_on_later(
    cluster: DaskCluster, tiny_quantized: list[Path], local: Path, tmp_path: Path
) -> None:
    worker = cluster.worker()
    out = tmp_path / "build"
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # whoever started the tests
    code += "from hardloom.flows.cli.app import app; app()"
    words = ["generate", tiny_quantized[0], "-o", out, *ARRAYS, "--cluster", cluster.address]
    command = [sys.executable, "-c", code, *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    journal = out / JOURNAL
    while not journal.exists() or b'"part"' not in journal.read_bytes():
        assert process.poll() is None
    worker.process.send_signal(signal.SIGSTOP)  # so that the run does not end by itself
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    worker.process.send_signal(signal.SIGCONT)
    assert process.returncode == 130 and said.startswith("interrupted: what is written whole is kept")
    assert len(said.splitlines()) == 1 and not (out / MANIFEST).exists()
    assert [name for name in os.listdir(out) if name.startswith(MARK)] == [MARK]
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    done = [out / name for line in lines if "part" in line for name in line["files"] if "/arrays/" in name]
    kept = {path: path.stat().st_mtime_ns for path in done}
    assert kept and hardloom(*words).code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept and contents(out) == contents(local)
