"""What is installed from a wheel is one package, which leaves a user's own modules of our floors' names alone."""

import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests import ROOT

MODULES = ("golden", "gen", "verif", "flows")
"""A user's own."""

USE = """
import hardloom, golden, gen, verif, flows, tests.mine
assert hardloom.__file__.startswith({site!r}), hardloom.__file__
assert [one.OWN for one in (golden, gen, verif, flows, tests.mine)] == [1, 1, 1, 1, 1]
from hardloom.flows.chips import generate
from hardloom.verif.proof import static
assert hardloom.load(hardloom.DEMO2).shape.family == "LLaDA2"
hardloom.quantize(hardloom.DEMO, "q")
hardloom.generate("q", "down", layers=[0], experts=[0], matrices=["down"])
assert hardloom.verify("down", static=True).passed
print(hardloom.load("q").sample("47+85=").text)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of the files that git knows, in a copy, as a release is."""
    source = tmp_path_factory.mktemp("source") / "hardloom"
    known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, known.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name, follow_symlinks=False)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(command, cwd=source, check=True)
    (found,) = (source / "dist").glob("*.whl")
    return found


def test_a_wheel_holds_one_package_with_all_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in names} == {"hardloom"}
    floors = ("golden", "rtl_templates", "gen", "verif", "flows")
    files = [path for floor in floors for path in (ROOT / floor).rglob("*") if path.is_file()]
    files += [*(ROOT / "checkpoints").rglob("*.*"), ROOT / "hardloom" / "py.typed"]
    shipped = {
        str(path.relative_to(ROOT)).removeprefix("hardloom/") for path in files if "__pycache__" not in path.parts
    }
    assert shipped - {name.removeprefix("hardloom/") for name in names} == set()


def test_it_says_which_versions_of_python_it_was_run_on(wheel: Path) -> None:
    """Its classifiers name every version that pip lets in, and no other."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = email.message_from_bytes(archive.read(name))
    prefix = "Programming Language :: Python :: "
    classified = {one.removeprefix(prefix) for one in said.get_all("Classifier") if one.startswith(prefix)}
    allowed = SpecifierSet(said["Requires-Python"])
    assert classified == {f"3.{minor}" for minor in range(8, 30) if f"3.{minor}.5" in allowed}


def test_it_stands_beside_a_users_own_modules_of_our_names(wheel: Path, tmp_path: Path) -> None:
    site, mine = tmp_path / "site", tmp_path / "mine"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(install, check=True)
    for name in (*MODULES, "tests/__init__", "tests/mine"):
        (mine / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (mine / f"{name}.py").write_text("OWN = 1\n")
    environment = os.environ | {"PYTHONPATH": str(site), "COLUMNS": "80"}
    ran = subprocess.run(
        [sys.executable, "-c", USE.format(site=str(site))], cwd=mine, env=environment, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (0, "132\n"), ran.stderr
    ran = subprocess.run(
        [site / "bin" / "hardloom", "info", hardloom_demo(site)], cwd=mine, env=environment, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr


def hardloom_demo(site: Path) -> Path:
    """The checkpoint that comes with it."""
    return site / "hardloom" / "checkpoints" / "demo"
