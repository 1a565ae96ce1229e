"""The whole chip simulated: its host, taps at probes, scoreboard, comparison with the integer model."""
