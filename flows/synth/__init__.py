"""`hardloom synth`: Yosys and ABC on a build; gates, area, timing, power."""
