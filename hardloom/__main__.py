"""`python -m hardloom` is the command line."""

from hardloom.flows.cli.app import app

if __name__ == "__main__":
    app()
