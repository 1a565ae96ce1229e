"""From predictions to tokens: samplers as programs, their interpreter, a run on any engine."""
