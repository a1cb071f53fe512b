"""The register of a world: its markets, its clock, its accounts and the keys that open them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from threading import RLock

from unghost.demo.world.clock import Clock
from unghost.demo.world.markets import DEFAULT_MARKETS, Market
from unghost.demo.world.records import Account
from unghost.demo.world.words import PositionMode

DEFAULT_BALANCES: Mapping[str, Decimal] = {"USDT": Decimal(100_000)}


class Register:
    """Markets and accounts, under the one lock of the world."""

    def __init__(self, *, markets: Sequence[Market] = DEFAULT_MARKETS) -> None:
        self.clock = Clock()
        self._lock = RLock()
        self._markets = {market.symbol: market for market in markets}
        self._accounts: dict[str, Account] = {}

    @property
    def markets(self) -> tuple[Market, ...]:
        """Every market, in the order given."""
        return tuple(self._markets.values())

    def market(self, name: str) -> Market:
        """The market of a unified symbol or any venue's native id; KeyError when unknown."""
        known = self._markets.get(name)
        if known is not None:
            return known
        for market in self._markets.values():
            if market.is_named(name):
                return market
        raise KeyError(f"no market is called {name!r}")

    def listed(self, venue: str) -> tuple[Market, ...]:
        """The markets that a venue trades."""
        return tuple(market for market in self.markets if market.is_listed(venue))

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Every account, in the order opened."""
        with self._lock:
            return tuple(self._accounts.values())

    def open_account(
        self,
        name: str,
        *,
        mode: PositionMode | str = PositionMode.ONE_WAY,
        api_key: str | None = None,
        secret: str | None = None,
        password: str | None = None,
        balances: Mapping[str, Decimal] = DEFAULT_BALANCES,
        read_only: bool = False,
    ) -> Account:
        """Open an account; keys default to `<name>-key`, `<name>-secret`, `<name>-password`."""
        account = Account(
            name=name,
            api_key=api_key or f"{name}-key",
            secret=secret or f"{name}-secret",
            password=f"{name}-password" if password is None else password,
            mode=PositionMode(mode),
            balances=dict(balances),
            read_only=read_only,
        )
        with self._lock:
            if name in self._accounts:
                raise ValueError(f"account {name!r} is open already")
            self._accounts[name] = account
        return account

    def account(self, account: Account | str) -> Account:
        """The account as it is now; KeyError when unknown."""
        name = account if isinstance(account, str) else account.name
        with self._lock:
            return self._accounts[name]

    def issue_key(self, account: Account | str, api_key: str) -> None:
        """Another key of the account, signed with the same secret."""
        with self._lock:
            opened = self.account(account)
            keys = (*opened.more_keys, api_key)
            self._accounts[opened.name] = replace(opened, more_keys=keys)

    def account_of_key(self, api_key: str) -> Account | None:
        """The account an API key opens, if any."""
        keys = ((each, (each.api_key, *each.more_keys)) for each in self.accounts)
        return next((each for each, known in keys if api_key in known), None)

    def set_mode(self, account: Account | str, mode: PositionMode | str) -> Account:
        """Switch between one-way and hedge; existing fills keep their position side."""
        with self._lock:
            changed = replace(self.account(account), mode=PositionMode(mode))
            self._accounts[changed.name] = changed
            return changed

    def set_balance(self, account: Account | str, currency: str, total: Decimal) -> Account:
        """Set one currency's wallet balance. Fills do not move balances."""
        with self._lock:
            known = self.account(account)
            changed = replace(known, balances={**known.balances, currency: total})
            self._accounts[changed.name] = changed
            return changed
