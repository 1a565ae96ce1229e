"""What commands print: progress, tables, `--json`."""
