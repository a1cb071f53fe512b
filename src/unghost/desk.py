"""What one profile's cycle and commands work with. Who only looks need not load a cycle for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from unghost.ceilings import ANY_SHARE, percent, with_share_allowed
from unghost.model import ProfileRef, Rules
from unghost.ports import Clock, EventSink, Exchange, FillFiles, Ledger, PauseGate, SeenAccounts


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Everything that one profile's cycle works with.

    `own_pause` when the pause is kept in `trading_profile`. `settings_shown` is what the batch
    records of the settings; it holds no secret.
    """

    profile: ProfileRef
    ledger: Ledger
    exchange: Exchange
    pause: PauseGate
    events: EventSink
    rules: Rules
    enabled: bool
    throttle_ms: int
    plan_ttl_minutes: int
    ledger_in_contracts: bool
    settings_shown: Mapping[str, str]
    clock: Clock
    own_pause: bool
    files: FillFiles | None = None
    """Imported files of fills; None where there are none to ask."""
    accounts: SeenAccounts | None = None
    """Which account each profile's key sees; None where nobody asks."""
    share_allowed: str = ""
    """Up to which share of the open lifecycles, by whom, for one batch; empty: nobody."""


def allowing_share(desk: Desk, *, actor: str, share: Decimal = ANY_SHARE) -> Desk:
    """The desk for one batch that may close up to this share; the batch says by whose word.

    `share` is the one that the person saw, as a fraction: more than that nobody has allowed.
    """
    word = f"up to {percent(share)} % allowed by {actor}"
    return replace(
        desk,
        rules=with_share_allowed(desk.rules, share),
        settings_shown={**desk.settings_shown, "allow_share": word},
        share_allowed=word,
    )
