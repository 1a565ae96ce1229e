# A verification engineer: every weight read back, faults planted and found, a run on the simulated chip with a waveform, what it reaches.
hardloom quantize "$CKPT" -o quantized
hardloom generate quantized -o chip
hardloom verify chip --static
hardloom verify chip --faults 1
hardloom export chip --to export
WAVES=1 python export/bench/run.py
find export/bench -name dump.vcd -o -name "*.fst" | grep .
if [ "${SIM:-verilator}" = verilator ]; then
    COVERAGE=1 python export/bench/run.py
    hardloom verify chip --sim --no-units --coverage coverage.info
    grep -q "^BRDA:" coverage.info
fi
