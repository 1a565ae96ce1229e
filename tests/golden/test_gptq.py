"""Rounding with care: against the rule written out, where it must equal rounding to nearest, and that it pays."""

import pytest
import torch

from hardloom.golden.quantization.formats import FORMATS, format_rules
from hardloom.golden.quantization.gptq import BLOCK, DAMPING, factor, gptq


def inputs(columns: int, tokens: int = 400, seed: int = 0) -> torch.Tensor:
    """Correlated inputs, columns of unlike size, float64 [tokens, columns]."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, columns, generator=random, dtype=torch.float64)
    x = x @ torch.randn(columns, columns, generator=random, dtype=torch.float64)
    return x * torch.rand(columns, generator=random, dtype=torch.float64)


def weights(rows: int, columns: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def written_out(w: torch.Tensor, hessian: torch.Tensor, rules) -> torch.Tensor:
    """Dequantized rows by the rule as it is said, in float64: after a column is rounded, the others move to the least
    squares of what is left, by the inverse of the Hessian of the columns that are still free."""
    energy = hessian.diagonal()
    starts = sorted(range(0, w.shape[1], BLOCK), key=lambda start: -float(energy[start : start + BLOCK].mean()))
    order = [column for start in starts for column in range(start, min(start + BLOCK, w.shape[1]))]
    damped = hessian + DAMPING * energy.mean() * torch.eye(len(energy), dtype=torch.float64)
    left, out = w.double(), torch.zeros(w.shape)
    row_scales = rules.scales(w) if rules.block is None else None
    for turn, column in enumerate(order):
        start = column // BLOCK * BLOCK
        if column == start:
            block = left[:, start : start + BLOCK].float()
            scales = rules.scales(block) if row_scales is None else row_scales
        now = left[:, column : column + 1].float()
        out[:, column : column + 1] = rules.dequantize(rules.encode(now, scales), scales)
        free = order[turn:]
        inverse = torch.linalg.inv(damped[free][:, free])
        error = (left[:, column] - out[:, column]) / inverse[0, 0]
        left[:, free] -= error[:, None] * inverse[0]
    return out


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("columns", [40, 64, 96])
def test_it_is_the_rule_written_out(format, columns):
    rules, w, x = format_rules(format), weights(5, columns), inputs(columns)
    hessian = x.T @ x
    found = rules.dequantize(*gptq(w, factor(hessian), rules))
    expected = written_out(w, hessian, rules)
    assert (found != expected).float().mean() < 0.01  # float32 against float64: a weight that is nearly half-way


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("columns", [7, 32, 75])
def test_unrelated_inputs_leave_rounding_to_nearest(format, columns):
    rules, w = format_rules(format), weights(6, columns)
    found = gptq(w, factor(torch.diag(torch.rand(columns, generator=torch.Generator().manual_seed(2)) + 0.1)), rules)
    assert all(torch.equal(*pair) for pair in zip(found, rules.quantize(w), strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_products_over_the_inputs_lose_less_than_when_rounded_to_nearest(format):
    rules, w, x = format_rules(format), weights(32, 160), inputs(160, 2000)
    careful, nearest = (
        float(((rules.dequantize(*found).double() - w) @ x.T).square().sum())
        for found in (gptq(w, factor(x.T @ x), rules), rules.quantize(w))
    )
    assert careful < 0.8 * nearest


def test_rows_do_not_depend_on_their_neighbours():
    rules, w, x = format_rules("mxfp4"), weights(12, 96), inputs(96)
    shared = factor(x.T @ x)
    whole = gptq(w, shared, rules)
    parts = [gptq(w[rows], shared, rules) for rows in (slice(0, 5), slice(5, 12))]
    assert all(torch.equal(part, torch.cat(both)) for part, both in zip(whole, zip(*parts, strict=True), strict=True))


def test_a_singular_hessian_has_a_factor():
    x = inputs(64, tokens=3)
    upper = factor(x.T @ x).upper
    assert bool(torch.isfinite(upper).all()) and bool((upper.diagonal() > 0).all())
