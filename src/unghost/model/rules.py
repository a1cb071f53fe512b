"""What deciding is told: the settings it needs, and whose books are meant."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from unghost.model.words import BLOCKER_STATUSES, AttributionPolicy, Mode


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The settings that deciding needs, as plain values. Quantities in base units.

    `*_scale` are the decimal places that the ledger's columns hold; None means unlimited (prices
    then keep 18 places). `blocker_statuses` are lower case.
    """

    mode: Mode = Mode.DRY_RUN
    require_pause: bool = True
    dust_abs_qty: Decimal = Decimal("0.001")
    dust_rel_pct: Decimal = Decimal("0.002")
    lookback_hours: int = 72
    quiet_seconds: int = 60
    max_rows: int = 10_000
    max_notional: Decimal | None = None
    max_share: Decimal = Decimal(1)
    attribution: AttributionPolicy = AttributionPolicy.FIFO
    reading_max_age_seconds: int = 30
    blocker_statuses: frozenset[str] = BLOCKER_STATUSES
    quantity_scale: int | None = None
    price_scale: int | None = None
    fee_scale: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileRef:
    """Which books are meant: the profile, its exchange account, and all profiles sharing its fills.

    `neighbours` are the profiles of other accounts at the same exchange and sort of market,
    `elsewhere` those of another exchange or sort of market: their rows name no order of this one.
    """

    profile_id: str
    account: str
    account_profiles: tuple[str, ...]
    neighbours: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def no_strangers(self) -> tuple[str, ...]:
        """Profiles whose rows may name an order of this account, or cannot mean it if they do."""
        return (*self.account_profiles, *self.elsewhere)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyMark:
    """Which key is used where, without telling it: exchange and sort of market, and a hash."""

    venue: str
    mark: str
