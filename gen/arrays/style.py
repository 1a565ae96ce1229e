"""What a style is, and the plan of an array in one: emission and extraction start from here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np

from hardloom.gen.arrays.shells import Prefab, Shell
from hardloom.gen.text.provenance import digest
from hardloom.golden.errors import UserError
from hardloom.golden.units.quantize import Quantize

__all__ = ["ArrayPlan", "Form", "Style"]


class Form(Protocol):
    """What a style derives from shapes, slices and format, without looking at single weights but for a capacity class.

    The prefabricated text depends on nothing else. acc_width: bits of a result; steps: cycles in which a packet is
    added up; compute_cycles: between the last beat of one packet and the first of the next; fold: neurons that take
    turns at one adder.
    """

    @property
    def acc_width(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def compute_cycles(self) -> int: ...

    @property
    def fold(self) -> int: ...


F = TypeVar("F", bound=Form)


class Style(ABC, Generic[F]):
    """A way to make wiring of weights; one object a style, entered in `gen.arrays.styles.STYLES`.

    Attributes
    ----------
    name: what users, builds and the registries of the other floors call it.
    shells: what its arrays' shells are.
    addressed: inputs are taken by address, `inputs / slices` a cycle; otherwise bit by bit or all at once.
    prefabricated: all neuron cells are alike, every slot there whether used or not.
    neurons_share: neurons have logic in common behind the shell, so that their number decides what it costs.
    baseline: there to be compared with; too large to be chosen for a chip.
    refused: weight formats of more magnitudes than it is made for.
    """

    name: str
    shells: type[Shell]
    addressed = False
    prefabricated = False
    neurons_share = False
    baseline = False
    refused: frozenset[str] = frozenset()

    @abstractmethod
    def form(
        self, matrices: tuple[np.ndarray, ...], slices: int, formats: tuple[str, ...], lanes: int, width: int
    ) -> F:
        """Form of an array of `matrices`, int16 or int32 [rows, inputs], each of a format, for inputs of `width` bits.

        Raises UserError where they do not go into this style.
        """

    @abstractmethod
    def shell(self, plan: ArrayPlan[F]) -> Shell:
        """The module that buffers inputs and drains results."""

    @abstractmethod
    def prefab(self, plan: ArrayPlan[F]) -> Iterator[Prefab]:
        """Everything that single weights do not touch, the shell first."""

    @abstractmethod
    def connections(self, plan: ArrayPlan[F]) -> Iterator[bytes]:
        """Text of the array module, which holds the weights, a few rows at a time."""

    def small_slices(self, inputs: int) -> int:
        """Slices of a small example array: more than one wherever the style has any."""
        return inputs if self.addressed else 4

    def check_beat(self, inputs: int, slices: int, lanes: int) -> None:
        """Raises UserError where a beat holds no whole number of a cycle's inputs; `slices` divides `inputs`."""
        wide = inputs // slices
        if self.addressed and lanes % wide:
            raise UserError(
                f"style {self.name}: {wide} inputs a cycle (inputs / slices) do not divide {lanes} lanes; "
                f"take {inputs} slices"
            )

    def check_formats(self, formats: Iterable[str]) -> None:
        """Raises UserError for a weight format that is `refused`."""
        if strange := [format for format in formats if format in self.refused]:
            raise UserError(
                f"style {self.name} takes no {strange[0]} weights; choose metal or packed, or quantize them otherwise"
            )


@dataclass(frozen=True)
class ArrayPlan(Generic[F]):
    """One array unit: `out[b][j] = sum_i matrices[b][j, i] * x[i]` for all banks b.

    Attributes
    ----------
    name: Verilog module.
    matrices: int32, or int16 for magnitudes below 4096, [rows, inputs], one a bank.
    lanes: elements of an input beat, and of each bank in an output beat.
    slices: parts that the inputs are fed in (input i in slice `i % slices`).
    formats: of each bank, names of `golden.quantization.formats`.
    activation: what made the inputs: their bits, and those of the scale that passes through. The least integer of so
        many bits never occurs.
    style, form: a style, and what it made of the above.
    """

    name: str
    matrices: tuple[np.ndarray, ...]
    lanes: int
    slices: int
    formats: tuple[str, ...]
    activation: Quantize
    style: Style[F]
    form: F

    @property
    def banks(self) -> int:
        return len(self.matrices)

    @property
    def rows(self) -> int:
        """Rows of one bank."""
        return self.matrices[0].shape[0]

    @property
    def inputs(self) -> int:
        return self.matrices[0].shape[1]

    @property
    def weights(self) -> int:
        """Hardwired weights of all banks, zeros included."""
        return self.rows * self.inputs * self.banks

    @property
    def beats_in(self) -> int:
        return self.inputs // self.lanes

    @property
    def beats_out(self) -> int:
        return -(-self.rows // self.lanes)

    @property
    def acc_width(self) -> int:
        """Bits of one result, two's complement; depends on the form only."""
        return self.form.acc_width

    @property
    def cycles_per_packet(self) -> int:
        """Clock cycles from one packet to the next when nobody waits: the longer of loading and computing."""
        return max(self.beats_in, self.form.compute_cycles + self.beats_out)

    @property
    def stream(self) -> dict[str, int]:
        """What every `Shell` is made for."""
        widths = {"width": self.activation.width, "scale_width": self.activation.scale_width}
        return {"inputs": self.inputs, "rows": self.rows, "lanes": self.lanes} | widths

    @property
    def shell(self) -> str:
        """Name of the module that buffers inputs and drains results."""
        return self.style.shell(self).module

    @cached_property
    def sha256(self) -> str:
        """Over the integer weights of all banks, in order."""
        return digest(*self.matrices)
