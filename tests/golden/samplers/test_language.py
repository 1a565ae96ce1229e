"""The samplers' language: what its texts compute, and what it refuses in one sentence."""

import random
import re

import pytest

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.interpreter import Machine
from hardloom.golden.samplers.language.compiler import compiled
from hardloom.golden.samplers.language.source import Source
from hardloom.golden.samplers.machine import Op, Program, decode
from hardloom.golden.samplers.sampling import SAMPLERS, Sampling, read_sampler
from tests import ROOT
from tests.golden.samplers.engines import EOS, MASK, Tokens

WORD = (1 << 32) - 1
HEAD = '"""A sampler."""\n'


def program(body: str, model=None, **values) -> Program:
    return compiled(Source.parse("mine", "mine.sampler", HEAD + body), 8, values, model or Tokens())


def memos(body: str, count: int, known=()) -> list[int]:
    """What the first `count` memos behind a prompt of two tokens hold at the end; known: what notes have before."""
    notes = "".join(f"note[prompt_length + {at}] = {value}\n" for at, value in enumerate(known))
    machine = Machine(program(f"block(2, 10)\npredict(everything)\n{notes}{body}"), [3, 4], 8, MASK, 100)
    machine.run()
    machine.answer([5, 6, MASK, EOS, 1, 2, 3, 4], [65536, 70000, 66000, 65536, 1 << 40, 90000, 90001, 90002])
    machine.run()
    assert machine.ended
    return machine.memo[2 : 2 + count]


EXPRESSIONS = [
    ("a + b", lambda a, b: a + b),
    ("a - b", lambda a, b: a - b),
    ("a - 70000 + 3", lambda a, b: a - 70000 + 3),
    ("5 + a", lambda a, b: a + 5),
    ("5 - a", lambda a, b: 5 - a),
    ("a & b | a ^ 123456789", lambda a, b: a & b | a ^ 123456789),
    ("(a << 5) + (b >> 7)", lambda a, b: (a << 5) + (b >> 7)),
    ("a * 40503", lambda a, b: a * 40503),
    ("a // 64 + b % 16", lambda a, b: a // 64 + b % 16),
    ("mul16(a, b)", lambda a, b: a * b >> 16),
    ("min(a, b) ^ max(a, 9)", lambda a, b: min(a, b) ^ max(a, 9)),
    ("a if a < b else b + 1", lambda a, b: a if a < b else b + 1),
    ("(a < b) + ((a <= b) << 1)", lambda a, b: (a < b) + 2 * (a <= b)),
    (
        "(a > b) + ((a >= b) << 1) + ((a == b) << 2) + ((a != b) << 3)",
        lambda a, b: (a > b) + 2 * (a >= b) + 4 * (a == b) + 8 * (a != b),
    ),
    ("0 < a <= b", lambda a, b: int(0 < a <= b)),
    ("(a and b) + ((a or b) << 1) + ((not a) << 2)", lambda a, b: bool(a and b) + 2 * bool(a or b) + 4 * (not a)),
    ("((a < 5 or b > 7) and not (a == b)) ^ (gen_length // 3)", lambda a, b: ((a < 5 or b > 7) and a != b) ^ 2),
    ("1 if a and gen_length > 3 else 2", lambda a, b: 1 if a else 2),
    ("(a + b) - ((a - b) + (b ^ (a + 1)))", lambda a, b: (a + b) - ((a - b) + (b ^ (a + 1 & WORD)))),
]


@pytest.mark.parametrize(("text", "right"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_an_expression_has_the_value_that_it_has_in_python_modulo_a_word(text, right):
    draw = random.Random(text)
    for _ in range(20):
        a, b = (draw.choice([0, 1, 5, 6, 65535, WORD, draw.getrandbits(32), draw.getrandbits(8)]) for _ in range(2))
        body = f"a = note[2]\nb = note[3]\nmemo[prompt_length] = {text}\n"
        assert memos(body, 1, [a, b]) == [int(right(a, b)) & WORD], (a, b)


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ("n = 0\nfor i in range(3, 12, 4):\n    n = n * 16 + i\nmemo[2] = n\nmemo[3] = i", [0x37B, 15]),
        ("n = 0\nfor i in range(7, 100000, 40000):\n    n += 1\nmemo[2] = n\nmemo[3] = i", [3, 120007]),
        ("n = 0\nfor i in range(5, 5):\n    n = 1\nmemo[2] = n", [0]),
        ("n = 3\nfor i in range(0, n):\n    n += 1\nmemo[2] = n", [6]),
        ("n = 9\nwhile n > 4:\n    n -= 1\n    if n == 6:\n        break\nmemo[2] = n", [6]),
        ("n = 0\ni = 0\nwhile i < 6:\n    i += 1\n    if i & 1:\n        continue\n    n += i\nmemo[2] = n", [12]),
        ("n = 0\nfor p in by_confidence(masked):\n    n = (n << 4) + p\nmemo[2] = n", [0x25437896]),
        ("n = 0\nfor p in in_order(masked, guessed):\n    n = (n << 4) + p\nmemo[2] = n", [0x2356789]),
        (
            "token[4] = 7\nn = 0\nfor p in in_order(filled):\n    n += p\nmemo[2] = n\nmemo[3] = any(filled, differs)",
            [4, 1],
        ),
        ("memo[2] = confident(2, 0.99) + confident(3, 0.99) + confident(6, 0.0)", [1]),
        ("memo[2] = spread[6]\nmemo[3] = is_eos(guess[5])\nmemo[4] = is_eos(guess[2])", [WORD, 1, 0]),
        ("memo[2] = limit(0.5)\nmemo[3] = limit(0.0)\nmemo[4] = limit(1.0)", [131072, WORD, 65536]),
        ("if 0:\n    memo[2] = 1\nelif gen_length == 8:\n    memo[2] = 2\nelse:\n    memo[2] = 3", [2]),
        ("note[2] = 5\nnote[2] += 3\nmemo[2] = note[2]\nmemo[3] = memo[2] | 16", [8, 24]),
        ("memo[2] = token[0] + token[2]", [3 + MASK]),
        ("a = 4\nstop()\nmemo[2] = a", [0]),
        ("memo[2] = none", [WORD]),
    ],
)
def test_a_statement_does_what_it_does_in_python(body, right):
    assert memos(body, len(right)) == right


def test_constants_have_registers_as_long_as_there_are_and_are_loaded_after_that():
    lines = [f"v{n} = note[{2 + n % 8}] ^ {1000003 * (n + 1)}" for n in range(24)]
    sums = " ^ ".join(f"v{n}" for n in range(24))
    body = "\n".join([*lines, f"memo[2] = {sums}"])
    right = 0
    for n in range(24):
        right ^= (n % 8 + 1) ^ 1000003 * (n + 1)
    assert memos(body, 1, range(1, 9)) == [right]


def test_what_is_known_leaves_nothing_behind():
    body = "off: switch = 0\nblock(prompt_length, positions)\npredict(masked)\n"
    option = "if off and any(masked):\n    token[2] = guess[2]\n"
    assert program(body + option).words == program(body).words


REFUSED = [
    ("predict(masked)\nx = [1]", "mine.sampler:3: \\[1\\] is no value of the language"),
    ("predict(masked)\nx = y", "3: y is not known"),
    ("x = note[2] * note[3]\npredict(masked)", "2: a product of values .* mul16"),
    ("x = note[2] / 2\npredict(masked)", "2: there are no fractions"),
    ("x = note[2] // 3\npredict(masked)", "2: division is by constant powers of two"),
    ("x = note[2] << note[3]\npredict(masked)", "2: shifts are by constants below 32"),
    ("x = 1 // 0\npredict(masked)", "2: 1 // 0 has no value"),
    ("x = 1 << 5000000000\npredict(masked)", "2: .* has no value"),
    ("x = 18446744073709551616\npredict(masked)", "beyond 64 bits"),
    (f"x = 0x{'f' * 6000}\npredict(masked)", "mine.sampler:2: a number is beyond 64 bits; use smaller"),
    (f"n: count = {'9' * 6000}\npredict(masked)", "mine.sampler:2: a number is beyond 64 bits; use smaller"),
    ("n: count = prompt_length\npredict(masked)", "2: the default of n, prompt_length, is not known beforehand"),
    ("note[2] = 4294967296\npredict(masked)", "a register holds integers from 0 to 4294967295"),
    ("note[2] = 0.5\npredict(masked)", "a register holds integers"),
    ("note[2] = 'a'\npredict(masked)", "is no number"),
    ("x = a\na = 1\npredict(masked)", "2: a is used before it is set"),
    ("token[2] += 1\nguess[2] = 1\npredict(masked)", "3: guess\\[2\\] cannot be set"),
    ("mask = 1\npredict(masked)", "2: mask has a meaning already"),
    ("n: count = 1\nn = 2\npredict(masked)", "3: n has a meaning already"),
    ("import os\npredict(masked)", "2: import is no statement of the language"),
    ("def f():\n    pass\npredict(masked)", "functiondef is no statement"),
    ("print(1)\npredict(masked)", "2: print\\(\\) is not called so here"),
    ("predict(all)", "2: predict\\(\\) is not called so"),
    ("for p in range(9):\n    predict(masked)", "2: for runs over range"),
    ("for p in range(0, 9, 0):\n    predict(masked)", "2: the step of a range"),
    ("for p in by_confidence(open):\n    pass\npredict(masked)", "2: open names no positions; give some of masked"),
    ("for p in in_order(masked):\n    p = 2\npredict(masked)", "3: p counts the loop"),
    (
        "for p in in_order(masked):\n    for q in in_order(masked):\n        pass\npredict(masked)",
        "a scan inside a scan",
    ),
    ("for p in in_order(masked):\n    if any(masked):\n        stop()\npredict(masked)", "3: any\\(\\) would begin"),
    ("for p in in_order(masked):\n    predict(masked)", "3: a pass would begin"),
    ("while True:\n    predict(masked)", "2: this loop never ends"),
    ("while 1:\n    predict(masked)\n    for p in range(0, 2):\n        break", "2: this loop never ends"),
    ("break\npredict(masked)", "2: there is no loop around it"),
    ("x = 1", "nothing is ever predicted"),
    ("suppressed[6] = 1\npredict(masked)", "2: suppressed\\[6\\] is none of the 6, .* give a number below 6"),
    ("suppressed[note[2]] = 1\npredict(masked)", "2: suppressed\\[note\\[2\\]\\] is none of the 6"),
    ("suppress_eos: switch = 1\npredict(masked)", "there twice, or one of every sampler \\(suppress_eos, "),
    ("if 0:\n    predict(masked)", "nothing is ever predicted"),
    ("n: length = 1\npredict(masked)", "2: a parameter is written `name: kind = default`"),
    ("n: count = 1\nn: count = 2\npredict(masked)", "a parameter is there twice"),
    ("n: count\npredict(masked)", "sampler mine: n has no value; give it an integer from 1"),
    ("n: count = 0\npredict(masked)", "sampler mine: n is 0; give an integer from 1"),
    ("n: token = 100\npredict(masked)", "sampler mine: n is 100; give a token id of the vocabulary"),
    ("n: switch = 2\npredict(masked)", "n is 2; give 0 or 1"),
    ("require(prompt_length > 1, 'long')\npredict(masked)", "2: require\\(\\) is of what is known"),
    (
        "require(gen_length > 8, f'{gen_length} is few; give more')\npredict(masked)",
        "sampler mine: 8 is few; give more",
    ),
    ("if confident(2, note[2]):\n    stop()\npredict(masked)", "2: the threshold note\\[2\\] is not known beforehand"),
    ("if confident(2, 3 - 1):\n    stop()\npredict(masked)", "2: the threshold 3 - 1 is 2; give one from 0 to 1"),
    ("x = (1\n", "mine.sampler:.*written as Python is"),
    ("x = " + "(" * 3000 + ")" * 3000, "mine.sampler"),
    ("x = " + "-" * 30000 + "1\npredict(masked)", "mine.sampler"),
    ("x = 1\x00", "mine.sampler"),
    (
        "predict(masked)\n" + "\n".join(f"v{n} = note[2]" for n in range(40)),
        "more than the 32 registers; use fewer names",
    ),
    ("predict(masked)\n" + "note[2] = note[3] ^ note[4]\n" * 400, "more than the 1024 of the chip's memory"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_in_the_language_is_refused_with_its_line_and_a_remedy(body, message):
    with pytest.raises(UserError, match=message):
        program(body)


def test_tokens_are_suppressed_by_the_program_and_by_the_parameter_of_every_sampler():
    first, then = (
        "suppressed[1] = 7\nsuppressed[0] = none\npredict(masked)",
        "suppressed[1] = token[0]\npredict(masked)",
    )
    for given, ends in ({}, ()), ({"suppress_eos": 1}, Tokens().eos_token_ids):
        machine = Machine(program(f"block(2, 10)\n{first}\n{then}", **given), [3, 4], 8, MASK, 100)
        for token in (7, 3):
            machine.run()
            assert sorted(machine.manner.suppressed) == sorted([token, *ends])
            machine.answer([0] * 8, [65536] * 8)
    with pytest.raises(UserError, match=r"suppressed\[4\] is none of the 6, of which suppress_eos has 2; .* below 4"):
        program("suppressed[4] = 1\npredict(masked)", suppress_eos=1)
    with pytest.raises(UserError, match="suppress_eos wants 1 to 6 eos, not 0; leave it out"):
        program("predict(masked)", Tokens(eos_token_ids=()), suppress_eos=1)


def test_a_sampler_says_first_what_it_does():
    with pytest.raises(UserError, match="there is no docstring"):
        Source.parse("mine", "mine.sampler", "predict(masked)")


@pytest.mark.parametrize("name", SAMPLERS)
def test_programs_of_the_library_are_short_and_leave_room_for_others(name):
    words = Sampling.of(name, 16).program(Tokens()).words
    assert len(words) < 256
    assert Op.ILLEGAL not in {decode(word).op for word in words}
    assert read_sampler(name).summary.endswith(".") or len(read_sampler(name).summary) > 60


def test_a_file_is_a_sampler_and_its_changes_are_seen(tmp_path):
    file = tmp_path / "mine.sampler"
    file.write_text(HEAD + "n: number = 3\nblock(prompt_length, positions)\npredict(masked)\nmemo[2] = n\n")
    first = Sampling.of(str(file), 4).program(Tokens())
    assert Sampling.read(str(file), 4, {"n": "3"}).program(Tokens()) == first
    assert Sampling.of(str(file), 4, n=4).program(Tokens()) != first
    file.write_text(HEAD + "block(prompt_length, positions)\npredict(everything)\n")
    assert Sampling.of(str(file), 4).program(Tokens()) != first


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read \\(No such file"), (b"\xff\xfe", "it is no text in UTF-8")]
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, message):
    file = tmp_path / "mine.sampler"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        Sampling.of(str(file), 4)


def test_samplings_that_ask_for_the_same_are_the_same():
    one, two = Sampling.of("llada", 8, steps=4, block_length=4), Sampling.of("llada", 8, block_length=4, steps=4)
    assert one == two and hash(one) == hash(two) and str(one) == "llada, 8 tokens, block_length 4, steps 4"
    assert one != Sampling.of("llada", 8, block_length=4, steps=8)


def test_a_model_without_delete_and_split_needs_them_given():
    plain = Tokens(delete_token_id=None, split_token_id=None)
    with pytest.raises(UserError, match="the model has no delete_token_id"):
        Sampling.of("levenshtein", 8).program(plain)
    Sampling.of("levenshtein", 8, delete_token=3, split_token=4).program(plain)
    with pytest.raises(UserError, match="delete_token is 100; give a token id of the vocabulary"):
        Sampling.of("levenshtein", 8, delete_token=100, split_token=4).program(plain)


def test_the_page_s_example_is_a_sampler():
    (text,) = re.findall(
        "^`{3}python\n(.*?)^`{3}$", (ROOT / "docs" / "samplers.md").read_text(), re.MULTILINE | re.DOTALL
    )
    source = Source.parse("half", "half.sampler", text)
    assert len(compiled(source, 16, {"least": 2}, Tokens()).words) > 20
