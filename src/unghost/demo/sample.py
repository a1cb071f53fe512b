"""A sample bot's history: what happened on the exchange, and the ledger that the bot kept of it.

Some hundred lifecycles that are in order, and each case that matters (see `cases`). Everything
follows from a seed and a given `now`: the same call makes the same sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from unghost.demo.bot import BNB, ENTRY, EXIT, Bot, Executed, Leg, Line, Link, Plan
from unghost.demo.prices import PricePaths, on_step
from unghost.demo.staging import stage
from unghost.demo.world import DEFAULT_MARKETS, PositionMode, PositionSide, World

PROFILE = "demo"
ACCOUNT = "demo"
SEED = "unghost"
REACH = timedelta(hours=150)
STRETCHES = 5
"""Each leg's history is parted into so many; an ordinary lifecycle lives within one."""

STRETCH = timedelta(hours=29)
MARGIN = timedelta(hours=1)
FIRST_TRADE = 1001
HAND_TRADES = (30, 80)
"""Those that a person did and the bot noted without a trade_id."""

FIRST_ORDER = 40001

_LEGS = tuple(
    Leg(market=market, side=side)
    for market in DEFAULT_MARKETS
    for side in (PositionSide.LONG, PositionSide.SHORT)
)
_LINKS = (Link.BOTH, Link.EXCHANGE, Link.CLIENT, Link.NONE)
_LINK_WEIGHTS = (75, 10, 10, 5)
_PARTS = ((1,), (1,), (3, 2), (2, 1, 1), (1, 2, 3, 1))
_DEAD_STATUSES = ("canceled", "expired", "rejected", "cancelled")
_FEES = ((BNB,), (), (), ())
_SHARES = ((1,), (1,), (1,), (1, 1), (2, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The exchange and the ledger, as of `now`."""

    now: datetime
    world: World
    lines: tuple[Line, ...]

    def rows(self, profile_id: str = PROFILE) -> tuple[Mapping[str, object], ...]:
        """The rows of `orders`, oldest first, as the sample table's columns."""
        return tuple(
            {"order_id": f"o-{number}", "profile_id": profile_id, **asdict(line)}
            for number, line in enumerate(self.lines, start=FIRST_ORDER)
        )


def build_sample(now: datetime) -> Sample:
    """Make the sample as it would look at `now` (aware; cut to milliseconds)."""
    now = now.astimezone(UTC).replace(microsecond=now.microsecond // 1000 * 1000)
    world = World()
    account = world.open_account(ACCOUNT, mode=PositionMode.HEDGE, read_only=True)
    prices = PricePaths(DEFAULT_MARKETS, reach=REACH, seed=SEED)
    bot = Bot(world, account, prices, now=now, seed=SEED)
    stage(bot)
    _live_ordinarily(bot)
    lines = sorted(bot.lines, key=lambda line: (line.created_at, line.client_order_id or ""))
    return Sample(now=now, world=world, lines=tuple(lines))


def sample_rows(now: datetime, profile_id: str = PROFILE) -> tuple[Mapping[str, object], ...]:
    """The rows of `orders` alone."""
    return build_sample(now).rows(profile_id)


# --- ordinary life -----------------------------------------------------------------------------


def _live_ordinarily(bot: Bot) -> None:
    """Fill the time that the cases leave free with lifecycles that are in order."""
    free = [(leg, ago) for leg in _LEGS for ago in _free_stretches(bot, leg)]
    free.sort(key=lambda one: -one[1])
    for number, (leg, ago) in enumerate(free):
        trade_id = None if number in HAND_TRADES else f"t-{FIRST_TRADE + number}"
        _trade_round(bot, leg, trade_id, ago)


def _free_stretches(bot: Bot, leg: Leg) -> list[timedelta]:
    """How long ago each stretch begins in which nothing else happens on the leg."""
    busy = _busy(bot, leg)
    begins = [REACH - STRETCH * number for number in range(STRETCHES)]
    return [
        ago
        for ago in begins
        if busy is None or ago <= busy[1] - MARGIN or ago - STRETCH >= busy[0] + MARGIN
    ]


def _busy(bot: Bot, leg: Leg) -> tuple[timedelta, timedelta] | None:
    """Between which times, both as ago, the case of a leg takes place; to now if it is open."""
    orders = [
        order
        for order in bot.world.orders(bot.account, leg.market.symbol)
        if order.position_side is leg.side
    ]
    if not orders:
        return None
    ages = [bot.now - datetime.fromtimestamp(0, UTC) - _since_1970(o.created_at) for o in orders]
    is_open = any(
        held.symbol == leg.market.symbol and held.position_side is leg.side
        for held in bot.world.positions(bot.account)
    )
    return max(ages), timedelta(0) if is_open else min(ages)


def _since_1970(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)


def _trade_round(bot: Bot, leg: Leg, trade_id: str | None, begins: timedelta) -> None:
    """Open and close one lifecycle, in one order or several, and write all of it down."""
    quantity = _quantity(bot, leg, begins)
    opens = begins - timedelta(seconds=bot.rng.randint(0, 42_000))
    holds = timedelta(seconds=bot.rng.randint(1_500, 36_000))
    if bot.rng.choices((True, False), (15, 85))[0]:
        _fail(bot, leg, trade_id, quantity, opens + timedelta(minutes=12))
    for action, ago in ((ENTRY, opens), (EXIT, opens - holds)):
        for executed in _executions(bot, leg, action, quantity, ago):
            _write(bot, leg, trade_id, action, executed)


def _quantity(bot: Bot, leg: Leg, ago: timedelta) -> Decimal:
    notional = Decimal(bot.rng.randint(600, 9000))
    step = leg.market.quantity_step
    return max(step * 4, on_step(notional / bot.price(leg.market, ago), step))


def _fail(bot: Bot, leg: Leg, trade_id: str | None, quantity: Decimal, ago: timedelta) -> None:
    """An order that came to nothing: its row counts nowhere."""
    tried = bot.attempt(leg, ENTRY, Plan(quantity=quantity, ago=ago))
    status = bot.rng.choice(_DEAD_STATUSES)
    bot.write(trade_id, leg, ENTRY, tried, quantity=quantity, status=status)


def _executions(
    bot: Bot, leg: Leg, action: str, quantity: Decimal, ago: timedelta
) -> Iterable[Executed]:
    """The orders of one side of a lifecycle, some minutes apart."""
    weights = bot.rng.choice(_SHARES)
    first = on_step(quantity * weights[0] / sum(weights), leg.market.quantity_step)
    amounts = [first, quantity - first] if len(weights) > 1 else [quantity]
    for number, amount in enumerate(amounts):
        maker = bot.rng.choice((True, False))
        plan = Plan(
            quantity=amount,
            ago=ago - timedelta(minutes=6 * number),
            parts=_parts(bot, leg, amount),
            maker=maker,
            fee_in=bot.rng.choice(_FEES),
        )
        yield bot.trade(leg, action, plan)


def _parts(bot: Bot, leg: Leg, amount: Decimal) -> tuple[int, ...]:
    """Several fills, where the quantity is large enough to be split."""
    weights = bot.rng.choice(_PARTS)
    return weights if amount >= leg.market.quantity_step * 20 else (1,)


def _write(bot: Bot, leg: Leg, trade_id: str | None, action: str, executed: Executed) -> None:
    link = bot.rng.choices(_LINKS, _LINK_WEIGHTS)[0]
    status = bot.rng.choices(("filled", "partially_filled", "partially-filled"), (94, 4, 2))[0]
    bot.write(trade_id, leg, action, executed, status=status, link=link)
