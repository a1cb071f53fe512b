"""An examination of the connection, step by step; whatever fails is a finding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from unghost.adapters.exchange.client import ReadOnlyClient
from unghost.adapters.exchange.failures import ReadFailed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import to_ms
from unghost.adapters.exchange.venues.reader import VenueReader
from unghost.model import Market, Window
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
    return (
        *clock_finding,
        listed,
        await _positions(client, reader, sample),
        await _fills(client, reader, sample, clock()),
        *await reader.check(client),
    )


async def _clock(client: ReadOnlyClient, clock: Clock) -> tuple[Finding, ...]:
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
    return Finding(name="positions", verdict=Verdict.OK, detail=detail)


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
