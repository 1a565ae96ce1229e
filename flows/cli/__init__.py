"""The command line: a function a command, with its options and help; nothing is computed here."""
