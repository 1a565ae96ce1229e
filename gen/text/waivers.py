"""What `verilator -Wall` warns of in the text of units, and the file that waives it there and nowhere else."""

__all__ = ["WAIVED", "waivers"]

WAIVED = {
    "CASEOVERLAP": "Yosys writes a multiplexer of one-hot selects as a casez with patterns that never meet",
    "UNOPTFLAT": "sign bits of wide words are copied from a bit of the same vector; `check` of Yosys finds real loops",
    "UNUSEDSIGNAL": "carries and the low bits of rounded products are computed and dropped",
    "WIDTHEXPAND": "Yosys relies on Verilog's own extension of operands, which is RTLIL's",
    "WIDTHTRUNC": "Yosys relies on Verilog's own truncation on assignment, which is RTLIL's",
}
"""Rules of Verilator that emitted units break, each with the reason why they may."""

UNITS = "*rtl/units/?*.v"
"""Files of units in any folder; without the question mark some tools would see the begin of a comment in it."""


def waivers() -> str:
    """Verilator's configuration file that waives `WAIVED` in units; for any other tool an empty Verilog file, so that a
    list of files may name it."""
    rules = "".join(f'// {reason}\nlint_off -rule {rule} -file "{UNITS}"\n' for rule, reason in WAIVED.items())
    return f"`ifdef VERILATOR\n`verilator_config\n{rules}`endif\n"
