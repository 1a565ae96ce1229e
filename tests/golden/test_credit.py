"""Credit of tokens: the integer rule once more in ordinary Python, dInfer's own over the whole vocabulary in floating
point, and both models."""

import math
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.golden.errors import UserError
from hardloom.golden.models.credit import Credit
from hardloom.golden.models.float_model import FloatEngine, FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.manner import NO_CREDIT, Manner
from hardloom.golden.samplers.sampling import Sampling, denoise
from hardloom.golden.units.argmax import Argmax
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.softmax import SoftmaxNumerator
from tests.golden.samplers.engines import Tokens
from tests.published_models import write_family

ONE = 65536
WORDS = [FixedPoint(28, 10), FixedPoint(28, 16), FixedPoint(20, 6)]


def half_up(x: int, shift: int) -> int:
    return (x + (1 << shift - 1)) >> shift if shift > 0 else x << -shift


def interpolated(point, at: int, bits: int) -> int:
    """Between the whole numbers of a function's table, of which `at` has so many fraction bits."""
    i, f = divmod(at, 1 << bits)
    return point(i) + half_up((point(i + 1) - point(i)) * f, bits)


def log2(x: int) -> int:
    """Of a number with 16 fraction bits, so many."""
    bits = x.bit_length()
    mantissa = (x << 16 >> bits) - 32768
    return (bits - 17) * ONE + interpolated(lambda i: round(ONE * math.log2(1 + i / 64)), mantissa, 9)


def exp2_of_minus(d: int) -> int:
    return half_up(interpolated(lambda i: round(ONE * 2 ** (-i / 64)), d % 4096, 6), min(d >> 12, 18))


class PlainInteger:
    """Pairs of one position, in places."""

    def __init__(self, word, amount, decay, power, argmax):
        self.word, self.argmax = word, argmax
        self.amount, self.decay, self.power = (round(one * 4096) for one in (amount, decay, power))
        self.pairs = [[0, 0] for _ in range(4)]

    def raised(self, logits):
        """Logits of a pass, with what credit adds."""
        spread = int(self.argmax.compute(torch.tensor(logits))[1])
        self.count(logits.index(max(logits)), exp2_of_minus(half_up(log2(spread) * self.power, 16)))
        raised = list(logits)
        for token, credit in self.pairs:
            raised[token] += half_up(log2(ONE + credit) * round(math.log(2) * ONE) * self.amount, 44 - self.word.frac)
        return [max(self.word.min, min(self.word.max, one)) for one in raised]

    def count(self, best, gain):
        for pair in self.pairs:
            pair[1] = pair[1] * self.decay // 4096
        for pair in self.pairs:
            if pair[0] == best and pair[1]:
                pair[1] += gain
                return
        least = min(range(4), key=lambda place: self.pairs[place][1])
        self.pairs[least] = [best, gain]


class PlainFloat:
    """As dInfer has it: a credit for every token of the vocabulary."""

    def __init__(self, amount, decay, power):
        self.amount, self.decay, self.power = amount, decay, power
        self.credit: list[float] = []

    def raised(self, logits):
        self.credit = [one * self.decay for one in self.credit or [0.0] * len(logits)]
        top = max(logits)
        self.credit[logits.index(top)] += (1 / sum(math.exp(one - top) for one in logits)) ** self.power
        return [one + self.amount * math.log(1 + credit) for one, credit in zip(logits, self.credit, strict=True)]


def rule(logits_of, plain, predicted, prompt, gen_length, block_length, threshold, mask, shift=0):
    """dInfer's threshold decoder on raised logits: after every pass tokens, and what was predicted of which position.

    plain: makes what has one position's credit; predicted: token and spread of a position's logits.
    """
    tokens = [*prompt, *[mask] * gen_length]
    credit = [plain() for _ in tokens]
    for start in range(len(prompt), len(tokens), block_length):
        while masks := [p for p in range(start, start + block_length) if tokens[p] == mask]:
            rows = logits_of(tokens)
            found = {p: predicted(credit[p].raised(rows[p - shift])) for p in masks}
            ranked = sorted((found[p][1], p) for p in masks if found[p][0] != mask)
            chosen = [p for spread, p in ranked if Fraction(ONE, spread) > threshold] or [p for _, p in ranked[:1]]
            for p in chosen:
                tokens[p] = found[p][0]
            yield list(tokens), found
            if not chosen:
                break


class Drawn:
    """Logits that depend on the whole sequence, of few values: integers in quarters, or wild ones."""

    def __init__(self, seed, vocab_size, unit, wild=False):
        self.seed, self.vocab_size, self.unit, self.wild = seed, vocab_size, unit, wild

    def __call__(self, tokens):
        g = torch.Generator().manual_seed(hash((self.seed, *tokens)) % 2**31)
        quarters = torch.randint(-12, 13, (len(tokens), self.vocab_size), generator=g)
        if self.wild:
            quarters *= torch.randint(0, 40, quarters.shape, generator=g) * 2**8
        steady = torch.randint(0, 9, quarters.shape, generator=torch.Generator().manual_seed(self.seed))
        return ((quarters + 3 * steady) * self.unit // 4).tolist()


class GivenIntegers(IntegerModel):
    """What the integer model does with logits."""

    def __init__(self, logits_of, word):
        self.logits_of, self.device = logits_of, torch.device("cpu")
        self.shape, self.numerics = SimpleNamespace(shift=0), SimpleNamespace(word=word)
        self.units = SimpleNamespace(argmax=Argmax(SoftmaxNumerator(word)))
        self.credit = Credit(word)

    def _hidden_where(self, tokens, kept, record, name=""):
        rows = torch.tensor([self.logits_of(row) for row in tokens.tolist()])
        return rows.clamp(self.numerics.word.min, self.numerics.word.max)

    def _logits(self, hidden, record):
        return hidden


class GivenFloats(FloatEngine):
    def __init__(self, logits_of):
        self.logits_of, self.model = logits_of, SimpleNamespace(shape=SimpleNamespace(shift=0))

    def _logits(self, tokens, kept, name=""):
        return torch.tensor([self.logits_of(row) for row in tokens.tolist()]).double() / ONE


@st.composite
def cases(draw):
    block = draw(st.sampled_from([1, 2, 3, 5, 9, 12]))
    return {
        "prompt": draw(st.lists(st.integers(0, 2), min_size=1, max_size=4)),
        "gen_length": block * draw(st.integers(1, max(1, 12 // block))),
        "block_length": block,
        "threshold": draw(st.sampled_from([0.3, 0.6, 0.9, 1.0])),
        "seed": draw(st.integers(0, 1 << 20)),
        "amount": draw(st.sampled_from([0.7, 1.0, 4.0, 15.9, 2**-12])),
        "decay": draw(st.sampled_from([0.8, 0.8, 1.0, 0.0, 0.5])),
        "power": draw(st.sampled_from([0.2, 0.2, 1.0, 0.0])),
    }


def asked(case):
    names = {"credit": "amount", "credit_decay": "decay", "credit_power": "power"}
    same = ("block_length", "threshold")
    values = {name: case[name] for name in same} | {name: case[other] for name, other in names.items()}
    return Sampling.of("threshold", case["gen_length"], **values)


def compared(case, logits_of, plain, predicted, engine, mask, close=int.__eq__, shift=0):
    """A run against the rule, pass by pass; its machine, and what has the credit of each position in the rule."""
    model = Tokens(vocab_size=64, mask_token=mask)
    run, made = denoise(engine, torch.tensor([case["prompt"]]), asked(case), model), []

    def one():
        made.append(plain(case["amount"], case["decay"], case["power"]))
        return made[-1]

    sizes = (case[name] for name in ("prompt", "gen_length", "block_length", "threshold"))
    for step, (tokens, found) in zip(run, rule(logits_of, one, predicted, *sizes, mask, shift), strict=True):
        assert step.tokens[0].tolist() == tokens
        for p, (token, spread) in found.items():
            assert int(step.prediction.tokens[0, p]) == token and close(int(step.prediction.spread[0, p]), spread)
    return run.machines[0], made


def integers_of(argmax):
    def predicted(logits):
        token, spread = argmax.compute(torch.tensor(logits))
        return int(token), int(spread)

    return predicted


def floats(logits):
    top = max(logits)
    return logits.index(top), round(ONE * sum(math.exp(one - top) for one in logits))


def near(one: int, other: int) -> bool:
    return math.isclose(one, other, rel_tol=2e-4)


def check_integers(case, word, wild):
    drawn = Drawn(case["seed"], 7, 1 << word.frac, wild)
    engine = GivenIntegers(drawn, word)
    argmax = engine.units.argmax

    def clamped(tokens):
        return [[max(word.min, min(word.max, one)) for one in row] for row in drawn(tokens)]

    def plain(*values):
        return PlainInteger(word, *values, argmax)

    machine, made = compared(case, clamped, plain, integers_of(argmax), engine, 6)
    assert [[list(pair) for pair in pairs] for pairs in machine.credits] == [one.pairs for one in made]


def check_many(count):
    @settings(deadline=None, max_examples=count)
    @given(cases(), st.sampled_from(WORDS), st.booleans())
    def agrees(case, word, wild):
        check_integers(case, word, wild)

    agrees()


def test_integers_are_those_of_the_rule_in_ordinary_python():
    check_many(60)


@pytest.mark.slow
def test_integers_are_those_of_the_rule_in_a_thousand_cases():
    check_many(1000)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_floats_are_those_of_dinfers_credit_over_the_whole_vocabulary(case):
    """Of four tokens, all of which may have credit at once."""
    drawn = Drawn(case["seed"], 4, ONE)
    case |= {name: round(case[name] * 4096) / 4096 for name in ("amount", "decay", "power")}

    def logits_of(tokens):
        return [[one / ONE for one in row] for row in drawn(tokens)]

    compared(case, logits_of, PlainFloat, floats, GivenFloats(drawn), 3, near)


@pytest.mark.parametrize("family", ["LLaDA-MoE", "Dream"])
def test_models_raise_the_logits_by_which_positions_are_predicted(family, tmp_path):
    """In Dream, those of the position before."""
    folder, case = write_family(tmp_path / "c", family), {"prompt": [3, 1, 4], "gen_length": 8, "block_length": 8}
    case |= {"threshold": 1.0, "amount": 4.0, "decay": 0.75, "power": 0.25}
    model, floating = IntegerModel.from_checkpoint(folder), FloatModel.from_checkpoint(folder)
    word, argmax, mask, shift = model.numerics.word, model.units.argmax, model.shape.mask_token, model.shape.shift
    assert shift == (family == "Dream")

    def integers(tokens):
        return model.forward(torch.tensor([tokens]))[0].tolist()

    def plain(*values):
        return PlainInteger(word, *values, argmax)

    machine, made = compared(case, integers, plain, integers_of(argmax), model, mask, shift=shift)
    assert [[list(pair) for pair in pairs] for pairs in machine.credits] == [one.pairs for one in made]
    assert sum(credit > ONE for pairs in machine.credits for _, credit in pairs) > 4

    def logits_of(tokens):
        with torch.inference_mode():
            return floating(torch.tensor([tokens]))[0].double().tolist()

    four = case | {"gen_length": 4, "block_length": 4}  # passes, and so tokens with credit
    compared(four, logits_of, PlainFloat, floats, FloatEngine(floating), mask, near, shift=shift)


def test_rows_count_for_themselves():
    word, drawn = WORDS[0], Drawn(5, 7, 1 << 10)
    prompts, sampling = [[0], [1], [2]], Sampling.of("threshold", 6, block_length=6, threshold=1.0, credit=4.0)
    model = Tokens(vocab_size=7, mask_token=6)
    together = denoise(GivenIntegers(drawn, word), torch.tensor(prompts), sampling, model)
    list(together)
    for row, prompt in enumerate(prompts):
        alone = denoise(GivenIntegers(drawn, word), torch.tensor([prompt]), sampling, model)
        list(alone)
        assert alone.machines[0].credits == together.machines[row].credits != [NO_CREDIT] * 7
        assert alone.machines[0].tokens == together.machines[row].tokens


def test_a_row_without_credit_is_as_ever_beside_one_that_has_some():
    engine, tokens = GivenIntegers(Drawn(5, 7, 1 << 10), WORDS[0]), torch.tensor([[1, 6, 6], [1, 6, 6]])
    some = Manner(credit=4 << 12, credit_decay=4096, credits=(((3, 9 * ONE), *NO_CREDIT[1:]),) * 3)
    both, without = engine.predict(tokens, manners=[some, Manner()]), engine.predict(tokens)
    assert torch.equal(both.tokens[1], without.tokens[1]) and torch.equal(both.spread[1], without.spread[1])
    assert not torch.equal(both.spread[0], without.spread[0])


def test_what_is_suppressed_gains_nothing_and_is_not_predicted():
    engine, tokens = GivenIntegers(lambda tokens: [[0, 9000, 0, 8000]] * 2, WORDS[0]), torch.tensor([[0, 3]])
    manner = Manner((1,), credit=4096, credit_power=0, credits=(((1, 9 * ONE), *NO_CREDIT[1:]),) * 2)
    found = engine.predict(tokens, manners=[manner])
    assert found.tokens.tolist() == [[3, 3]] and found.credits[0, 0].tolist()[0] == [3, ONE]


def waiting(tmp_path):
    """Commits what is more probable than 0.9, and waits as long as nothing is."""
    file = tmp_path / "waits.sampler"
    file.write_text(
        '"""Waits."""\nblock(prompt_length, positions)\nwhile any(masked):\n    predict(masked)\n'
        "    for p in in_order(masked):\n        if confident(p, 0.9):\n            token[p] = guess[p]\n"
    )
    return str(file)


@pytest.mark.parametrize(("amount", "ends"), [(1.5, True), (1.0, False)])
def test_credit_that_grows_is_another_state(tmp_path, amount, ends):
    """Logits stay as they are. Credit comes to 5, and by and by a token to a probability of 0.9, or never."""
    engine, run = GivenIntegers(lambda tokens: [[0, 1024, 0, 0]] * 2, WORDS[0]), []
    sampling = Sampling.of(waiting(tmp_path), 1, credit=amount)
    steps = denoise(engine, torch.tensor([[0]]), sampling, Tokens(vocab_size=4, mask_token=3))
    if ends:
        assert len(list(steps)) > 4 and steps.machines[0].answered == [1]
    else:
        with pytest.raises(UserError, match=r"it does not end: pass 1?[0-9]{2} begins as an earlier one did"):
            run.extend(steps)
        assert run[-1].prediction.credits[0, 1, 0].tolist()[1] == pytest.approx(5 * 0.8 * ONE, rel=0.3)


@pytest.mark.parametrize("frac", [0, 5, 12, 16])
def test_a_gain_and_a_boost_are_close_to_what_they_stand_for(frac):
    word = FixedPoint(28, frac)
    unit, x = Credit(word), torch.logspace(0, 4.8, 4001, dtype=torch.float64)
    for power in (0, 819, 4096):
        found = unit.gain((x * ONE).long(), torch.full((len(x),), power)) / ONE
        assert (found - x ** (-power / 4096)).abs().max() < 3e-4
    for amount in (1, 2867, 65535):
        found = unit.boost((x * ONE).long(), torch.full((len(x),), amount)) * 2.0**-frac
        assert (found - amount / 4096 * (x + 1).log()).abs().max() < amount / 4096 * 2**-13 + 2.0 ** -(frac + 1) + 1e-9
