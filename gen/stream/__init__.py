"""The words that units are written in: beats, stages, delays, arithmetic, clock gates, probe points."""
