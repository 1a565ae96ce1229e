"""What each kind of people does, from a clean folder to a first result, as shell scripts, and the test of them."""
