"""Numbers that are not computed: each with its range, its source and its kind (docs/estimate.md)."""
