"""hardloom: hardwired mixture-of-experts diffusion accelerators, from a checkpoint to proven Verilog.

The floors `golden`, `rtl_templates`, `gen`, `verif` and `flows` stand beside this folder; links make them its packages.
"""
