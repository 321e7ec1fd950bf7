"""The command line: one file a command; each parses, calls the library and prints (floor 9)."""

from cuvee.cli.app import main

__all__ = ["main"]
