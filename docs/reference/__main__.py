"""Writes both."""

from docs.reference import api, cli

cli.PAGE.write_text(cli.page())
api.PAGE.write_text(api.page())
