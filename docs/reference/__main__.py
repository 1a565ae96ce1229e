"""Writes the pages; with the word `notebook`, runs the notebook and writes what it prints into it, too."""

import sys

from docs.reference import api, cli, notebook

cli.PAGE.write_text(cli.page())
api.PAGE.write_text(api.page())
if "notebook" in sys.argv[1:]:
    notebook.PAGE.write_text(notebook.page())
