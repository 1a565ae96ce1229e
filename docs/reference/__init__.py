"""docs/cli.md and docs/api.md, the pages of commands and functions, from the code: `python -m docs.reference`."""
