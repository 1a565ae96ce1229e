"""`hardloom report`: one page, a single file without anything from elsewhere, that shows a chip and a run of it."""
