"""One whole expert of real shape, gate and up, SwiGLU, down, in simulation against the integer model.

The arrays are their table views, their memories read back from the Verilog of a build; everything between them (row
scales, SwiGLU, quantization) is what a chip has. So this shows that what the wires hold, computed in the arrays' cycles
and put through the chip's units, is what the integer model says; that the wiring view computes the same as the table
view is shown by `verif.arrays.bench` on whole arrays of other sizes and on tiles of these.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from amaranth.hdl import Const, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.arrays.shells import CLOCK_GATE
from hardloom.gen.build.constants import emit_scales, scale_words
from hardloom.gen.build.folder import Build
from hardloom.gen.build.names import connection_file
from hardloom.gen.design.layer_sizes import LayerSizes, wired_module
from hardloom.gen.engine.chains import array_ports, hidden_packets, rescaled, scale_ports
from hardloom.gen.engine.hardwired import HardwiredArray, HardwiredConstants
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import activations, beat, chain
from hardloom.gen.units.rescale import Rescale
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file
from hardloom.golden.models.integer_parts import Packet, Parts
from hardloom.verif.arrays.table_view import TABLES, TableView, table_views, write_weights
from hardloom.verif.extract.arrays import read_array
from hardloom.verif.simulators.job import Job
from hardloom.verif.simulators.runner import build_and_test
from hardloom.verif.streams.bench import BENCH, Case, Stimulus, bench_verilog, packets
from hardloom.verif.streams.stimulus import integers

__all__ = ["ExpertJob", "bench_expert", "experts_of"]

KINDS = ("gate_up", "down")


class ExpertPath(Component):
    """An expert as a layer engine has it, without what chooses it and adds it up.

    Attributes
    ----------
    i: stream of packets, in; o: stream of fixed-point packets, out.
    """

    def __init__(self, sizes: LayerSizes, expert: int) -> None:
        self.sizes, self.expert = sizes, expert
        lanes = sizes.lanes
        super().__init__(
            {
                "i": In(stream.Signature(activations(sizes.activation("gate_up"), lanes))),
                "o": Out(stream.Signature(beat(sizes.numerics.word.width, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, g = Module(), self.sizes
        gate_up, gate_up_rescale = self._rescaled(m, "gate_up", 2, g.intermediate)
        down, down_rescale = self._rescaled(m, "down", 1, g.hidden)
        chain(m, wiring.flipped(self.i), gate_up)
        chain(m, gate_up_rescale, *hidden_packets(m, Const(0), g, g.intermediate), down)
        chain(m, down_rescale, wiring.flipped(self.o))
        return m

    def _rescaled(self, m: Module, kind: str, banks: int, rows: int) -> tuple[HardwiredArray, Rescale]:
        """The expert's array of a kind and its rescale unit, with the ROM of its row scales."""
        g, name = self.sizes, self.sizes.module(f"expert.{self.expert}.{kind}")
        array = HardwiredArray(name, array_ports(g, kind, banks))
        scales = HardwiredConstants(name + "_scales", scale_ports(g, banks, rows))
        m.submodules[f"{kind}_array"], m.submodules[f"{kind}_scales"] = array, scales
        return array, rescaled(m, Const(0), g, kind, banks, rows, array.o, scales)


def experts_of(build: Build) -> list[tuple[str, int]]:
    """(prefix, number) of every expert whose arrays, in style metal, are all in `build`."""
    found: dict[tuple[str, int], set[str]] = {}
    for facts in build.arrays:
        if facts.expert is not None and facts.style == "metal":
            found.setdefault((facts.prefix, facts.expert), set()).add(facts.kind)
    return [expert for expert, kinds in found.items() if kinds == set(KINDS)]


def bench_expert(build: Build, prefix: str, expert: int, folder: Path, tokens: int = 3) -> int:
    """Simulate an expert of `build` on random tokens in `folder`; the number of tests that failed, 0 or 1.

    Raises `UserError` where its arrays are not there.
    """
    if (prefix, expert) not in experts_of(build):
        raise UserError(f"{build.path}: does not hold both arrays of expert {expert} of {prefix} in style metal")
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [facts for facts in build.arrays if (facts.prefix, facts.expert) == (prefix, expert)]
    sources, views, checkpoint = [TABLES], dict[str, TableView](), build.checkpoint()
    prefab = {Path(name).name: build.text(name) for name in build.files if name.startswith("rtl/prefab/")}
    for array in arrays:
        weights = read_array(build.read(connection_file(array.module)), prefab)
        module = wired_module(prefix, array.name)  # as the bench calls it, which knows no prefix of a build
        view = TableView.of(array, checkpoint.numerics, build.hardware.lanes)
        views[module] = replace(view, module_prefix="")
        write_weights(folder / f"{module}.bin", weights)
        scales = module + "_scales"
        banks = [scale_words(checkpoint.integers(name)) for name in array.matrices]
        sources.append(folder / f"{scales}.v")
        write_file(sources[-1], emit_scales(scales, [banks], build.hardware.lanes))
    acc_width = {array.kind: array.acc_width for array in arrays}
    layer = arrays[0].layer
    assert layer is not None
    job = ExpertJob(str(build.path.resolve()), layer, expert, tokens, acc_width)
    sources += [folder / "tables.v", folder / f"{CLOCK_GATE.module}.v", folder / f"{BENCH}.v"]
    sources[-3].write_text(table_views(views))
    sources[-2].write_text(CLOCK_GATE.text)
    sources[-1].write_text(bench_verilog([job.case()]))
    return build_and_test(sources, BENCH, "hardloom.verif.arrays.expert_tests", folder, job.hand_over(folder))


@dataclass(frozen=True)
class ExpertJob(Job):
    """build: folder; layer, expert: numbers of layer and expert; tokens: to be played; acc_width: by kind of array."""

    build: str
    layer: int
    expert: int
    tokens: int
    acc_width: dict[str, int]

    def case(self) -> Case:
        """The expert, with random packets and what the integer model makes of them."""
        build = Build(self.build)
        checkpoint, hardware = build.checkpoint(), build.hardware
        sizes = LayerSizes(checkpoint.model, checkpoint.numerics, hardware, self.layer, self.acc_width)
        network = Parts(checkpoint, sizes.units, self.layer, torch.device("cpu")).network(expert=self.expert)
        limit = sizes.units.quantize("norm").limit

        def stimulus(generator: torch.Generator, kind: str) -> Stimulus:
            x = integers(generator, -limit, limit, (self.tokens, sizes.hidden))
            scale = integers(generator, 0, 12, (self.tokens, 1))
            *_, expected = network(Packet(x, scale).value)
            return Stimulus({"i": packets(x, hardware.lanes, scale)}, {"o": packets(expected.long(), hardware.lanes)})

        return Case("expert", lambda: ExpertPath(sizes, self.expert), stimulus, 0)
