"""Verilator: compile, run cocotb tests, write waveforms."""
