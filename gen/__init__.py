"""Hardware: what is decided, what is drawn, what is written."""
