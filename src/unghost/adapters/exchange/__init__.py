"""Exchange accounts, read through CCXT and through nothing else. Import `ExchangeAccount` here."""

from unghost.adapters.exchange.account import ExchangeAccount
from unghost.adapters.exchange.connection import ConnectionSpec, SecretValue
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.kept_markets import FileMarkets
from unghost.adapters.exchange.markets import InProcessMarkets, MarketsCache
from unghost.adapters.exchange.pace import Paces
from unghost.adapters.exchange.retrying import RetryPolicy

__all__ = [
    "ConnectionSpec",
    "ExchangeAccount",
    "FileMarkets",
    "Finding",
    "InProcessMarkets",
    "MarketsCache",
    "Paces",
    "RetryPolicy",
    "SecretValue",
    "Verdict",
]
