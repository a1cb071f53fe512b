"""Commands are run here as in their own tests."""

from tests.cli.conftest import books, place

__all__ = ["books", "place"]
