"""Prompts reach the model as they were given, or not at all."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from hardloom.golden.checkpoints.tokenizer import encode_prompt, load_tokenizer
from hardloom.golden.errors import UserError
from hardloom.golden.training.short_tasks import SHORT_TASKS

LETTERS = {letter: number for number, letter in enumerate("abcdef")}


def saved(folder: Path, tokenizer: Tokenizer, **fields: object) -> Path:
    """The folder with `tokenizer.json`, in which `fields` are changed."""
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()) | fields))
    return folder


def letters(unknown: str | None = None) -> Tokenizer:
    """A BPE tokenizer of six letters without merges; what it does not know becomes `unknown`, or nothing."""
    vocabulary = LETTERS | ({unknown: 6} if unknown else {})
    return Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=unknown))


def encoded(folder: Path, text: str, vocab_size: int = 100) -> list[int]:
    return encode_prompt(folder, load_tokenizer(folder), text, vocab_size)


def refused(folder: Path, text: str, vocab_size: int = 100) -> str:
    with pytest.raises(UserError) as caught:
        encoded(folder, text, vocab_size)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_prompt_is_neither_cut_nor_padded(tmp_path: Path):
    how = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    filled = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    saved(tmp_path, letters(), truncation=how, padding=filled | {"pad_type_id": 0, "pad_token": "a"})
    assert encoded(tmp_path, "fedcba") == [5, 4, 3, 2, 1, 0]


def test_nothing_is_left_to_chance(tmp_path: Path):
    vocabulary = {**LETTERS, "ab": 6}
    saved(tmp_path, Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "b")], dropout=0.5)))
    assert {tuple(encoded(tmp_path, "abab")) for _ in range(50)} == {(6, 6)}


@pytest.mark.parametrize(("unknown", "message"), [(None, "drops 'Z'"), ("<unk>", "'Z' is not in the tokenizer's")])
@pytest.mark.parametrize("text", ["aZb", "Z"])
def test_a_character_that_is_not_in_the_vocabulary(tmp_path: Path, text: str, unknown: str | None, message: str):
    assert message in refused(saved(tmp_path, letters(unknown)), text)


def test_a_token_that_takes_spaces_with_it(tmp_path: Path):
    tokenizer = Tokenizer(models.BPE(vocab={**LETTERS, " ": 6}, merges=[]))
    tokenizer.add_special_tokens([AddedToken("[M]", lstrip=True, rstrip=True)])
    saved(tmp_path, tokenizer)
    assert encoded(tmp_path, "a[M]b") == [0, 7, 1]
    for text in ("a [M]b", "a[M] b"):
        assert refused(tmp_path, text).endswith("the token '[M]' swallows the spaces beside it; leave them out")


def test_the_unknown_token_may_be_asked_for_by_name_but_covers_nothing_else(tmp_path: Path):
    tokenizer = letters("<unk>")
    tokenizer.add_special_tokens(["<unk>"])
    saved(tmp_path, tokenizer)
    assert encoded(tmp_path, "a<unk>b") == [0, 6, 1]
    assert "'Z' is not in the tokenizer's" in refused(tmp_path, "a<unk>Z")


def test_an_unknown_token_that_the_vocabulary_lacks(tmp_path: Path):
    saved(tmp_path, Tokenizer(models.WordLevel(LETTERS, unk_token="<nope>")))
    assert "tokenizer.json fails on it" in refused(tmp_path, "Z")


def test_spaces_that_a_pre_tokenizer_drops(tmp_path: Path):
    tokenizer = letters()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert "drops ' '" in refused(saved(tmp_path, tokenizer), "ab cd")


def test_a_normalizer_that_changes_the_text(tmp_path: Path):
    tokenizer = letters()
    tokenizer.normalizer = normalizers.Lowercase()
    saved(tmp_path, tokenizer)
    assert encoded(tmp_path, "abc") == [0, 1, 2]
    assert "makes it 'abc'" in refused(tmp_path, "ABC")


def test_equivalent_forms_of_unicode_are_one_text(tmp_path: Path):
    tokenizer = Tokenizer(models.BPE(vocab={"é": 0}, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    assert encoded(saved(tmp_path, tokenizer), "e\u0301") == [0]


def test_a_token_behind_the_end_of_the_models_vocabulary(tmp_path: Path):
    tokenizer = letters()
    tokenizer.add_special_tokens(["<tool>"])
    saved(tmp_path, tokenizer)
    assert encoded(tmp_path, "a<tool>b", 7) == [0, 6, 1]
    assert "token '<tool>' has id 6, and the model's vocabulary ends at 5" in refused(tmp_path, "a<tool>b", 6)


def test_an_empty_prompt(tmp_path: Path):
    assert "is empty" in refused(saved(tmp_path, letters()), "")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"version": "1.0"}', "\xff"])
def test_a_file_that_is_no_tokenizer(tmp_path: Path, text: str):
    (tmp_path / "tokenizer.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="is no tokenizer"):
        load_tokenizer(tmp_path)


def test_text_that_is_no_unicode(tmp_path: Path):
    assert "fails on it" in refused(saved(tmp_path, letters()), "a\udcff")


def test_the_demonstrations_prompts(tmp_path: Path):
    tokenizer = SHORT_TASKS.tokenizer()
    assert encoded(saved(tmp_path, tokenizer), "47+85=", 48) == tokenizer.encode("47+85=").ids


@pytest.mark.parametrize("text", ["aZb", "Z", "日本"])
def test_a_unigram_model_knows_its_unknown_token_by_number_alone(tmp_path: Path, text: str):
    pieces = [("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -1.5)]
    folder = saved(tmp_path, Tokenizer(models.Unigram(pieces, unk_id=0)))
    assert "is not in the tokenizer's" in refused(folder, text)
    assert encoded(folder, "ab") == [3]


def test_two_tokens_of_one_id(tmp_path: Path):
    saved(tmp_path, letters())
    raw = json.loads((tmp_path / "tokenizer.json").read_text())
    raw["model"]["vocab"]["e"] = raw["model"]["vocab"]["b"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"tokens 'b' and 'e' both have id 1; give each its own"):
        load_tokenizer(tmp_path)


PANICS = {
    "as it is read": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    "as it is used": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
}


@pytest.mark.parametrize("when", PANICS)
def test_a_panic_of_the_library_is_one_sentence(tmp_path: Path, capfd, when: str):
    """And its own trace is not heard."""
    message = refused(saved(tmp_path, letters(), **PANICS[when]), "abc")
    assert ("fails on it" if "used" in when else "is no tokenizer") in message
    assert capfd.readouterr() == ("", "")
