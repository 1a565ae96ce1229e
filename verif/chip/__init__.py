"""The whole chip simulated, in either view: its host, taps at probes, scoreboard, comparison with the integer model."""
