"""The command line: `unghost COMMAND`. One small file for each group of commands."""

from unghost.cli.entry import main

__all__ = ["main"]
