"""A user's mistake is told in one printable line."""

import pickle

import pytest

from hardloom.golden.errors import UserError


@pytest.mark.parametrize(
    "quoted, shown",
    [
        ("plain, é and 漢", "plain, é and 漢"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\0", r"\x1b[2J\x00"),
        ("half \ud800", r"half \ud800"),
        ("\u202egnp", r"\u202egnp"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_is_quoted_is_shown_on_one_line(quoted: str, shown: str) -> None:
    assert str(UserError(f"file: field {quoted}")) == f"file: field {shown}"


def test_a_long_message_keeps_its_ends_and_may_be_raised_again() -> None:
    message = str(UserError("config.json: field " + "x" * 100_000 + " is unknown; remove it"))
    assert message.startswith("config.json: field xxx") and message.endswith("xxx is unknown; remove it")
    assert len(message) < 1000 and str(UserError(message)) == message
    assert str(pickle.loads(pickle.dumps(UserError(message)))) == message
