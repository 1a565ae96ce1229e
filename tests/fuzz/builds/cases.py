"""Hostile build folders, a seed each: commands refuse them in one sentence, and nothing false is called proven.

Generating again mends what is spoiled, to the last bit, unless what was spoiled was sealed again as well: a seal shows
damage, and stops nobody who forges one. The proof is what then must not be deceived.
"""

import json
import random
import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

import zstandard

from hardloom.flows.synth.modules import Modules
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.golden.errors import UserError
from hardloom.golden.files import COMPRESSED
from hardloom.verif.proof.difference import difference
from tests.command_line import Ran, hardloom
from tests.fuzz.builds.forging import FORGERIES, nothing, seals
from tests.fuzz.builds.mutations import MUTATIONS, described
from tests.fuzz.builds.originals import Original, originals, prepare, quantized

__all__ = ["case", "prepare"]

PROMPT = ("--prompt-tokens", "3,1,4", "--gen-length", "2", "--block-length", "2", "--steps", "1", "--json")
LONGEST_MESSAGE = 1100


def refused(ran: Ran) -> bool:
    """Whether a command ended with an error, which is one sentence."""
    if ran.code == 0 or not ran.err:
        return False
    assert ran.code == 1 and re.fullmatch(r"error: [^\n]+\n?", ran.err) and len(ran.err) < LONGEST_MESSAGE, ran
    return True


def is_proven(build: Path) -> bool:
    ran = hardloom("verify", build, "--static", "--json")
    return not refused(ran) and ran.code == 0


def answer(build: Path) -> list[int] | None:
    ran = hardloom("sample", build, "--engine", "golden", *PROMPT)
    return None if refused(ran) else json.loads(ran.out)["tokens"]


def read_everything(build: Path, other: Path) -> None:
    """As synthesis and the comparison of two builds do."""
    try:
        modules = Modules(Build(build))
        for module in modules.files:
            modules.below(module)
            modules.is_wiring(module)
        difference(modules.build, Build(other))
    except UserError as error:
        assert "\n" not in str(error)


# what may differ in what is proven: sentences and spaces, and units but for their tables


def words(path: Path) -> list[bytes]:
    """Of a Verilog file, without the sentences in it."""
    text = path.read_bytes()
    if path.name.endswith(COMPRESSED):
        text = zstandard.ZstdDecompressor().stream_reader(text, read_across_frames=True).read()
    return re.findall(rb"\w+|[^\w\s]", re.sub(rb"// (?:[A-Z]|\w+: )[^\n]*", b"", text))


def tables(path: Path) -> list[bytes]:
    return re.findall(rb"^ *\S+ *\[\d+\] = [^\n]*", path.read_bytes(), re.MULTILINE)


def same_weights(build: Path, other: Path) -> bool:
    """Whether all text that holds a number of the model says the same."""

    def listed(kind: str) -> Iterable[tuple[str, Path, Path]]:
        names = {path.name for folder in (build, other) for path in (folder / "rtl" / kind).glob("*")}
        return ((name, build / "rtl" / kind / name, other / "rtl" / kind / name) for name in names)

    held = all(
        a.is_file() and b.is_file() and words(a) == words(b) for kind in HOLD_NUMBERS for _, a, b in listed(kind)
    )
    units = all(a.is_file() and b.is_file() and tables(a) == tables(b) for _, a, b in listed("units"))
    return held and units and (build / "chip.f").read_bytes() == (other / "chip.f").read_bytes()


HOLD_NUMBERS = ("arrays", "constants")


def snapshot(folder: Path) -> dict[str, object]:
    """Everything in a folder: contents of files, kinds of the rest."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        found[str(path.relative_to(folder))] = path.read_bytes() if stat.S_ISREG(mode) else stat.S_IFMT(mode)
    return found


def case(seed: int, work: Path) -> str:
    """One spoiled build; what came of it in a word."""
    rng = random.Random(seed)
    original, build, victim = rng.choice(originals()), work / "build", work / "victim"
    shutil.copytree(original.path, build)
    victim.mkdir()
    (victim / "thesis.v").write_text("precious")
    mutation, forge = rng.choice(MUTATIONS), rng.choice(FORGERIES)
    must_mend = mutation(rng, build)
    forge(build)
    elsewhere, before = snapshot(victim), snapshot(build)
    proven = is_proven(build)
    assert not proven or same_weights(build, original.finished), "what is false was proven"
    tokens = answer(build)
    assert forge != nothing or tokens in (None, answer(quantized())), "another model answered"
    read_everything(build, original.finished)
    hardloom("info", build)
    assert snapshot(build) == before, "a command that reads wrote"
    word = "proven" if proven else "seen"
    word = f"{word}, {generated_again(original, build, believed=forge is seals, must_mend=must_mend)}"
    assert snapshot(victim) == elsewhere, "something elsewhere was changed"
    return f"{mutation.__name__}, {forge.__name__}: {word}"


def generated_again(original: Original, build: Path, believed: bool, must_mend: bool) -> str:
    """What became of it: mended, or refused where that is allowed. believed: it was sealed like one of ours."""
    ran = hardloom(*original.generate(build))
    if refused(ran):
        assert not must_mend, f"not mended: {ran.err}"
        return "refused"
    finished = snapshot(original.finished)
    now = snapshot(build)
    changed = [name for name, contents in finished.items() if now.get(name) != contents and name != MANIFEST]
    mended = not changed and described(build) == described(original.finished)
    assert believed or mended, f"not mended: {changed or MANIFEST}"
    assert mended or not is_proven(build) or same_weights(build, original.finished), "what is false was kept and proven"
    return "mended" if mended else f"kept with its {MANIFEST}"
