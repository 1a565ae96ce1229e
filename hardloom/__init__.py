"""hardloom: hardwired mixture-of-experts diffusion accelerators, from a checkpoint to proven Verilog.

What Python programs call is named here; `hardloom.api` has it, with examples. Each does what the command of its name
does. The floors `golden`, `rtl_templates`, `gen`, `verif` and `flows` stand beside this folder; links make them its
packages.
"""

from hardloom.api import Chip, Verified, calibrate, estimate, generate, load, quantize, verify
from hardloom.golden.checkpoints.shipped import DEMO, DEMO2
from hardloom.golden.errors import UserError

__all__ = [
    "DEMO",
    "DEMO2",
    "Chip",
    "UserError",
    "Verified",
    "calibrate",
    "estimate",
    "generate",
    "load",
    "quantize",
    "verify",
]
