# An RTL engineer: the chip in a folder of its own, read by the tools of a flow, and a bench of one's own on it.
hardloom quantize "$CKPT" -o quantized
hardloom generate quantized -o chip
hardloom export chip --to export
verilator --lint-only -Wall --top-module hardloom_chip -F export/chip.f
fusesoc --cores-root export run --target lint --setup hardloom:chips:hardloom_chip
(cd export && sed -n 's/\.v$/&/p' chip.f | sed 's/^/read_verilog -defer /' > read.ys && echo "hierarchy -check -top hardloom_chip" >> read.ys && yosys read.ys)
cat > mine.py << 'END'
import cocotb
import hardloom_registers as registers
from test_chip import EXPECTED, Host

@cocotb.test()
async def it_says_how_large_its_vocabulary_is(dut):
    host = Host(dut)
    await host.reset()
    assert (await host.chip.get(registers.VOCAB_SIZE))["VALUE"] == EXPECTED["fixed"]["VOCAB_SIZE"]
END
TESTS=mine python export/bench/run.py
