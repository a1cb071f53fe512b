"""Commands are run here as in their own tests."""

from tests.cli.conftest import books, commands, place

__all__ = ["books", "commands", "place"]
