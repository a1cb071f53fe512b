"""An examination of the connection, step by step; whatever fails is a finding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from unghost.adapters.exchange.client import ReadOnlyClient
from unghost.adapters.exchange.connection import ConnectionSpec
from unghost.adapters.exchange.failures import ReadFailed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import to_ms
from unghost.adapters.exchange.venues.reader import VenueReader
from unghost.model import Flatness, Market, Window
from unghost.ports import Clock

SKEW_WARN_MS: Final = 1000
"""A call signed this far ahead of the exchange's clock is refused by several exchanges."""
SKEW_FAIL_MS: Final = 5000
SAMPLE: Final = timedelta(hours=1)


async def examine(
    client: ReadOnlyClient,
    reader: VenueReader,
    names: Callable[[], Awaitable[Mapping[str, Market | None]]],
    clock: Clock,
) -> tuple[Finding, ...]:
    """Findings in the order in which a person would look; one read of each kind is made."""
    clock_finding = await _clock(client, clock)
    markets, listed = await _markets(names)
    if not markets:
        return (*clock_finding, listed)
    sample = markets[0]
    told = await reader.check(client)
    return (
        *clock_finding,
        listed,
        await _positions(client, reader, sample),
        await _fills(client, reader, sample, clock()),
        await _orders(client, reader, sample, clock()),
        *told,
        *_untold(client, told, sample),
    )


def unprotected(spec: ConnectionSpec) -> tuple[Finding, ...]:
    """What an exchange says is the evidence: nobody on the way should be able to say it instead."""
    if not spec.is_open_to_read:
        return ()
    warning = Finding(
        name="encryption",
        verdict=Verdict.WARN,
        detail=f"calls to {spec.base_url} are not encrypted: whoever is on the way can read the key"
        " and make up answers",
        remedy="give base_url with https://, unless that network is yours alone",
    )
    return (warning,)


async def _clock(client: ReadOnlyClient, clock: Clock) -> tuple[Finding, ...]:
    if not client.tells_time:
        return (
            Finding(
                name="clock",
                verdict=Verdict.WARN,
                detail=f"{client.exchange_id} tells no time to compare this machine's with",
                remedy="keep this machine's clock synchronised (NTP)",
            ),
        )
    before = clock()
    try:
        theirs = await client.server_time_ms()
    except ReadFailed as failure:
        return (
            Finding(
                name="exchange answers",
                verdict=Verdict.FAIL,
                detail=failure.sentence,
                remedy="check the network, base_url and the exchange's status page",
            ),
        )
    middle = before + (clock() - before) / 2
    return (
        Finding(name="exchange answers", verdict=Verdict.OK, detail=client.exchange_id),
        _skew(to_ms(middle) - theirs),
    )


def _skew(ahead_ms: int) -> Finding:
    size = abs(ahead_ms)
    verdict = Verdict.OK if size <= SKEW_WARN_MS else Verdict.WARN
    verdict = Verdict.FAIL if size > SKEW_FAIL_MS else verdict
    where = "ahead of" if ahead_ms >= 0 else "behind"
    return Finding(
        name="clock",
        verdict=verdict,
        detail=f"this machine is {size} ms {where} the exchange",
        remedy="" if verdict is Verdict.OK else "synchronise this machine's clock (NTP)",
    )


async def _markets(
    names: Callable[[], Awaitable[Mapping[str, Market | None]]],
) -> tuple[tuple[Market, ...], Finding]:
    try:
        known = {market for market in (await names()).values() if market is not None}
    except ReadFailed as failure:
        return (), Finding(name="markets", verdict=Verdict.FAIL, detail=failure.sentence)
    if not known:
        return (), Finding(
            name="markets",
            verdict=Verdict.FAIL,
            detail="the exchange lists no market of the profile's type",
            remedy="check the profile's market (swap, spot or margin)",
        )
    return tuple(sorted(known)), Finding(
        name="markets", verdict=Verdict.OK, detail=f"{len(known)} markets of the profile's type"
    )


async def _positions(client: ReadOnlyClient, reader: VenueReader, market: Market) -> Finding:
    try:
        reading = (await reader.positions(client, [market]))[market.unified]
    except ReadFailed as failure:
        return Finding(
            name="positions",
            verdict=Verdict.FAIL,
            detail=failure.sentence,
            remedy="check the key, its secret, its rights and the addresses it may be used from",
        )
    detail = f"{market.unified} is {reading.flatness}: {reading.detail}"
    # On spot an asset that was never held may be left out of the balance: that is no fault.
    proves = reading.flatness is not Flatness.UNKNOWN or market.spot
    return Finding(
        name="positions",
        verdict=Verdict.OK if proves else Verdict.WARN,
        detail=detail,
        remedy="" if proves else "nothing is written while a market is not proven flat",
    )


async def _fills(
    client: ReadOnlyClient, reader: VenueReader, market: Market, now: datetime
) -> Finding:
    window = Window(start_at=now - SAMPLE, end_at=now)
    try:
        reading = await reader.fills(client, market, window)
    except ReadFailed as failure:
        why = failure.about(f"Fills of {market.unified}").sentence
        return Finding(name="fills", verdict=Verdict.FAIL, detail=why)
    verdict = Verdict.OK if reading.complete else Verdict.WARN
    return Finding(name="fills", verdict=verdict, detail=f"{market.unified}: {reading.detail}")


async def _orders(
    client: ReadOnlyClient, reader: VenueReader, market: Market, now: datetime
) -> Finding:
    """Whether ledger rows that hold the bot's own order ids can be linked."""
    window = Window(start_at=now - SAMPLE, end_at=now)
    try:
        told = await reader.client_order_ids(client, market, window)
    except ReadFailed as failure:
        why = failure.about(f"Orders of {market.unified}").sentence
        return Finding(name="orders", verdict=Verdict.FAIL, detail=why)
    if told is None:
        return Finding(
            name="orders",
            verdict=Verdict.WARN,
            detail="no call tells the bot's own order ids in full",
            remedy="let the ledger hold the exchange's order id in each row",
        )
    detail = f"{market.unified}: the bot's own order ids can be read ({len(told)} in the last hour)"
    return Finding(name="orders", verdict=Verdict.OK, detail=detail)


def _untold(client: ReadOnlyClient, told: Sequence[Finding], market: Market) -> tuple[Finding, ...]:
    """What a person wants to know and this exchange is not asked for: told as such, not left out.

    A position mode that is told for no account as a whole is told by each row, or is refused.
    """
    known = {finding.name for finding in told}
    missing = [name for name in BY_HAND if name not in known]
    found = [
        Finding(
            name=name,
            verdict=Verdict.WARN,
            detail=f"{client.exchange_id} is not asked for it",
            remedy=BY_HAND[name],
        )
        for name in missing
    ]
    if not market.spot and "position mode" not in known:
        detail = "not told for the account as a whole; read from each position and fill"
        found.append(Finding(name="position mode", verdict=Verdict.OK, detail=detail))
    return tuple(found)


BY_HAND: Final = {
    "account": "make sure by hand that the key is of the profile's account: a wrong one answers"
    " well-formed and empty",
    "key rights": "make sure by hand that the key may only read",
}
