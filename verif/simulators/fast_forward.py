"""Whole clock cycles inside the simulator's main program while the host sleeps: nobody looks, so nobody is asked.

cocotb toggles the clock through VPI, which costs about a quarter of the time of a chip's simulation. While `host_rst`
is high the bus models sleep, and all that wakes them is `m_axis_tvalid` or `irq` (see `verif.chip.host`). Until then
the main program toggles `clk` itself, in slices short enough for cocotb's own timers to be served.
"""

from hardloom.verif.simulators.verilator import adapted_main

__all__ = ["fast_forward_main"]

CYCLES_AT_ONCE = 4096

LOOP = """        // between cocotb's falling and rising edge: the same two edges, without VPI
        if (!top->clk && top->host_rst && !top->rst)
            for (int cycle = 0; cycle < %d && !top->m_axis_tvalid && !top->irq; ++cycle) {
                top->clk = 1;
                top->eval_step();
                top->clk = 0;
                top->eval_step();
                main_time += 2;
            }
"""
TIMES = "        vluint64_t next_time_cocotb = VerilatedVpi::cbNextDeadline();\n"


def fast_forward_main() -> str:
    """cocotb's main program for `verif.chip.bench.bench_verilog`, with the loop; a clock cycle is 2 time steps."""
    next_time = "            main_time = next_time;\n"
    return adapted_main({TIMES: LOOP % CYCLES_AT_ONCE + TIMES, next_time: next_time.replace("next_time", LATEST)})


LATEST = "std::max(main_time, next_time)"
"""Timers that the loop has passed are due at once."""
