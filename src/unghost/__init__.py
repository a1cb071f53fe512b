"""unghost finds ghost positions in a trading bot's orders ledger and closes them with evidence."""

from typing import Final

__version__: Final = "0.1.0"
