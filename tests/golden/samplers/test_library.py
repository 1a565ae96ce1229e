"""Every sampler of the library does what its rule says, stated independently in `tests.golden.samplers.rules`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.golden.samplers.denoise import CERTAIN
from hardloom.golden.samplers.sampling import SAMPLERS, Sampling
from tests.golden.samplers import rules
from tests.golden.samplers.engines import DELETE, EOS, MASK, SPLIT, Hashing, steps_of

SWITCH, BLOCK = st.integers(0, 1), st.sampled_from([1, 2, 3, 5, 8, 9, 12])
PROBABILITY = st.sampled_from([0.0, 0.37, 0.5, 0.6, 0.99, 1.0, 1.0]) | st.floats(0.0, 1.0)
ALIGNED = {"block_length": BLOCK, "stop_at_eos": SWITCH}
EDITING = ALIGNED | {"threshold": PROBABILITY, "edit_threshold": PROBABILITY, "max_post": st.integers(1, 17)}
FLAT_NEAR = [(False, False), (False, False), (True, False), (False, True), (True, True)]
PARAMETERS = {
    "llada": {"stop_at_eos": SWITCH, "suppress_eos": SWITCH},
    "llada_random": {"stop_at_eos": SWITCH, "seed": st.integers(0, 9) | st.just(0x9E3779B9)},
    "llada_eos_last": {},
    "threshold": {"threshold": PROBABILITY, "stop_at_eos": SWITCH},
    "threshold_near": {"threshold": PROBABILITY, "fill_eos": SWITCH},
    "hierarchical": {"threshold": PROBABILITY, "run_threshold": PROBABILITY, "stop_at_eos": SWITCH},
    "factor": {"factor": st.sampled_from([0, 65536]) | st.integers(0, 65536), "stop_at_eos": SWITCH},
    "block_diffusion": ALIGNED | {"threshold": PROBABILITY},
    "joint_threshold": EDITING,
    "levenshtein": EDITING | {"max_rounds": st.integers(1, 40)},
    "left_to_right": {"stop_at_eos": SWITCH},
}


@st.composite
def cases(draw, name):
    """An engine, a prompt, the answer's length and values of the parameters."""
    values = {one: draw(strategy) for one, strategy in PARAMETERS[name].items()}
    block = values.get("block_length") or draw(BLOCK)
    gen_length = draw(st.integers(1, 24))
    if "block_length" not in values and name != "left_to_right":
        blocks = draw(st.integers(1, 3))
        values, gen_length = values | {"block_length": block}, block * blocks
        if name.startswith("llada"):
            values["steps"] = blocks * draw(st.integers(1, block + 2))
    if name == "block_diffusion":
        values["steps"] = draw(
            st.sampled_from([1, 2, 3, block - 1, block]).map(lambda steps: max(1, min(steps, block)))
        )
    special = draw(st.lists(st.sampled_from([MASK, EOS, DELETE, SPLIT]), max_size=4))
    few = draw(st.sampled_from([2, 90]))  # few tokens come to states again
    engine = Hashing(draw(st.integers(0, 1 << 20)), few, special, *draw(st.sampled_from(FLAT_NEAR)))
    return engine, draw(st.lists(st.integers(0, 90), min_size=1, max_size=12)), gen_length, values


def check(name, case):
    engine, prompt, gen_length, values = case
    steps = steps_of(engine, [prompt], Sampling.of(name, gen_length, **values))
    assert [step.tokens[0].tolist() for step in steps] == list(getattr(rules, name)(*case[:3], **values))


def test_every_sampler_has_its_rule():
    assert set(PARAMETERS) == set(SAMPLERS)


def check_many(name, count):
    @settings(deadline=None, max_examples=count)
    @given(cases(name))
    def agrees(case):
        check(name, case)

    agrees()


@pytest.mark.parametrize("name", SAMPLERS)
def test_it_follows_its_rule(name):
    check_many(name, 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_it_follows_its_rule_in_a_thousand_cases(name):
    check_many(name, 1000)


class Alike(Hashing):
    """Every position is predicted with the same spread, so much `over` that of a certain one."""

    def __init__(self, over):
        super().__init__(0)
        self.over = over

    def _position(self, key, suppressed, p):
        return 5, CERTAIN + self.over


@pytest.mark.parametrize("factor", [*range(13), 32768, 65535])
def test_a_factor_is_compared_exactly(factor):
    for over in range(7):
        check("factor", (Alike(over), [5], 3, {"block_length": 3, "factor": factor, "stop_at_eos": 0}))
