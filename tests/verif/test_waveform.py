"""Waveforms are files that an FST reader understands (here the one inside Yosys), of the cycles asked for."""

import ctypes
from pathlib import Path

import cocotb
import pyosys
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from hardloom.verif.simulators.runner import run_tests
from hardloom.verif.simulators.waveform import verilate_traced, window

COUNTER = """\
module counter (input clk, output reg [31:0] count, output reg [99:0] wide);
    initial begin count = 0; wide = 0; end
    always @(posedge clk) begin count <= count + 1; wide <= {wide[67:0], count * 32'h9e3779b9}; end
    silent quiet (clk);
endmodule
"""
SILENT = """\
module silent (input clk);
    reg [31:0] hidden = 0;
    always @(posedge clk) hidden <= hidden + 3;
endmodule
"""
FIRST, LAST, CYCLES = 300, 2300, 2500


@cocotb.test()
async def run_counter(dut):
    cocotb.start_soon(Clock(dut.clk, 2, "step").start())
    await ClockCycles(dut.clk, CYCLES)


class Fst:
    """The reader of libyosys, by the C interface of its fstapi.h."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(Path(pyosys.__file__).parent / "libyosys.so"))
        self.library.fstReaderOpen.restype = ctypes.c_void_p
        self.file = ctypes.c_void_p(self.library.fstReaderOpen(str(path).encode()))

    def number(self, name):
        function = getattr(self.library, f"fstReaderGet{name}")
        function.restype = ctypes.c_uint64
        return function(self.file)

    def value(self, handle, time):
        buffer = ctypes.create_string_buffer(200)
        function = self.library.fstReaderGetValueFromHandleAtTime
        function.restype = ctypes.c_char_p
        return function(self.file, ctypes.c_uint64(time), ctypes.c_uint32(handle), buffer).decode()


@pytest.fixture(scope="module")
def wave(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waveform") / "a b"
    folder.mkdir()
    (folder / "counter.v").write_text(COUNTER)
    (folder / "silent.v").write_text(SILENT)
    sources = [folder / "counter.v", folder / "silent.v"]
    verilate_traced(sources, "counter", folder / "verilator", ["*/silent.v"])
    environment = window(folder / "counter.fst", FIRST, LAST)
    assert run_tests("counter", __name__, folder, environment, log=folder / "log") == 0
    return Fst(folder / "counter.fst")


def test_the_window_is_the_one_asked_for(wave):
    assert (wave.number("StartTime"), wave.number("EndTime")) == (2 * FIRST, 2 * LAST - 1)


def test_every_value_is_right(wave):
    by_width = {len(wave.value(handle, 2 * FIRST)): handle for handle in range(1, 1 + wave.number("MaxHandle"))}
    assert sorted(by_width) == [1, 32, 100]
    first = int(wave.value(by_width[32], 2 * FIRST), 2)
    for cycle in (FIRST, FIRST + 1, (FIRST + LAST) // 2, LAST - 1):
        count = first + cycle - FIRST
        words = [(count - back) * 0x9E3779B9 % 2**32 for back in (4, 3, 2, 1)]
        wide = (words[0] << 96 | words[1] << 64 | words[2] << 32 | words[3]) % 2**100
        assert int(wave.value(by_width[32], 2 * cycle), 2) == count
        assert int(wave.value(by_width[100], 2 * cycle), 2) == wide
