"""The combinational expressions and tables of the hardware against `golden.units`, exhaustively where that is small."""

from collections.abc import Callable, Sequence

import pytest
import torch
from amaranth.hdl import Module, Shape, Signal, signed, unsigned
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator
from torch import Tensor

from hardloom.gen.stream.arith import bit_length, magnitude, or_reduce, saturate
from hardloom.gen.text.constant_table import ConstantTable
from hardloom.gen.units.rounding import round_saturate, round_shift
from hardloom.gen.units.table import TableLookup
from hardloom.golden.units import fixed
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.table import Exp2, Reciprocal, Rsqrt, Sigmoid, Table

Expression = Callable[..., object]
WORD = FixedPoint(8, 4)


def evaluate(shapes: Sequence[Shape], expression: Expression, values: Tensor) -> list[int]:
    """`expression(module, *signals)` for each row of `values`, [n, signals]."""
    m = Module()
    inputs = [Signal(shape) for shape in shapes]
    value = expression(m, *inputs)
    output = Signal(value.shape())
    m.d.comb += output.eq(value)
    results = []

    async def testbench(ctx) -> None:
        for row in values.tolist():
            for signal, number in zip(inputs, row, strict=True):
                ctx.set(signal, number)
            results.append(ctx.get(output))

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()
    return results


def memory_of(table: ConstantTable, platform: object) -> Module:
    """What its Verilog says, for a simulator that reads none."""
    m = Module()
    words: Memory
    m.submodules.words = words = Memory(shape=table.width, depth=len(table.words), init=table.words[:, 0].tolist())
    port = words.read_port(domain="comb")
    m.d.comb += [port.addr.eq(table.index), table.data.as_value().eq(port.data)]
    return m


def every(*ranges: range) -> Tensor:
    return torch.cartesian_prod(*(torch.tensor(r) for r in ranges)).reshape(-1, len(ranges))


def test_round_shift() -> None:
    values = every(range(-64, 64), range(16))
    expected = fixed.round_shift(*values.unbind(1)).tolist()
    assert evaluate([signed(7), unsigned(4)], lambda m, x, s: round_shift(x, s), values) == expected


def test_round_shift_by_a_constant() -> None:
    for shift in range(5):
        values = every(range(-64, 64))
        expected = fixed.round_shift(values[:, 0], shift).tolist()
        assert evaluate([signed(7)], lambda m, x, shift=shift: round_shift(x, shift), values) == expected


@pytest.mark.parametrize("width", [6, 8, 10])
def test_saturate(width: int) -> None:
    values = every(range(-(1 << (width - 1)), 1 << (width - 1)))
    expected = WORD.saturate(values[:, 0]).tolist()
    assert evaluate([signed(width)], lambda m, x: saturate(x, WORD), values) == expected


@pytest.mark.parametrize("width", [5, 8, 10])
def test_round_saturate_with_the_tightest_bounds_at_every_shift(width: int) -> None:
    """A left shift by a word's width less one, and a right shift by the operand's width, are as good as any further."""
    values = every(range(-(1 << (width - 1)), 1 << (width - 1), 3 if width == 10 else 1), range(-16, 16))
    expected = WORD.round(*values.unbind(1)).tolist()
    lowest, highest = 1 - WORD.width, width
    assert (
        evaluate([signed(width), signed(5)], lambda m, x, s: round_saturate(m, x, s, WORD, lowest, highest), values)
        == expected
    )


def test_bit_length_and_magnitude() -> None:
    values = every(range(1 << 10))
    expected = fixed.bit_length(values[:, 0]).tolist()
    assert evaluate([unsigned(10)], lambda m, x: bit_length(m, x), values) == expected
    values = every(range(-512, 512))
    assert evaluate([signed(10)], lambda m, x: magnitude(x), values) == values[:, 0].abs().tolist()


def test_or_reduce() -> None:
    values = every(range(8), range(8), range(8))
    expected = [a | b | c for a, b, c in values.tolist()]
    assert evaluate([unsigned(3)] * 3, lambda m, *x: or_reduce(list(x)), values) == expected


@pytest.mark.parametrize("table", [Exp2().table, Reciprocal().table, Rsqrt(12).table, Rsqrt(64).table, Sigmoid().table])
def test_tables(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every segment at both ends and at an odd stride between them."""
    segment, fractions = torch.arange(1 << table.index_bits) << table.fraction_bits, 1 << table.fraction_bits
    inside = torch.tensor([0, 1, fractions - 1, *range(3, fractions, max(1, fractions // 16 + 1))])
    x = (segment[:, None] + inside).flatten()

    def lookup(m: Module, index: Signal) -> Signal:
        m.submodules.table = unit = TableLookup("any", table)
        m.d.comb += unit.x.eq(index)
        return unit.y

    monkeypatch.setattr(ConstantTable, "elaborate", memory_of)
    width = table.index_bits + table.fraction_bits
    assert evaluate([unsigned(width)], lookup, x[:, None]) == table.compute(x).tolist()
