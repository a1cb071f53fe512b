"""The lifecycles of the sample that matter: what happened to each, and what unghost must say."""

from __future__ import annotations

from dataclasses import dataclass

from unghost.demo.world import PositionSide
from unghost.model import Reason

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT

_FILLS = (Reason.FILL_EVIDENCE,)
_DUST = (Reason.DUST_REMAINDER,)
_MISSING = (Reason.MISSING_FILL_EVIDENCE,)
_AMBIGUOUS = (Reason.AMBIGUOUS_ATTRIBUTION,)
_NOT_FLAT = (Reason.EXCHANGE_NOT_FLAT,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One lifecycle. `reasons` are those of its audit rows in a dry run, sorted: one for each."""

    trade_id: str
    base: str
    side: PositionSide
    name: str
    happened: str
    reasons: tuple[Reason, ...]

    @property
    def repaired(self) -> bool:
        """Whether the ghost can be closed."""
        return set(self.reasons) <= {Reason.FILL_EVIDENCE, Reason.DUST_REMAINDER}

    @property
    def rows(self) -> int:
        """How many EXIT rows close it."""
        return len(self.reasons) if self.repaired else 0

    @property
    def symbol(self) -> str:
        """As the ledger spells it."""
        return f"{self.base}USDT"


CASES: tuple[Case, ...] = (
    Case(
        trade_id="t-2001",
        base="BTC",
        side=LONG,
        name="lost exit",
        reasons=_FILLS,
        happened="The websocket dropped just as the exit filled, and no EXIT row was ever written.",
    ),
    Case(
        trade_id="t-2002",
        base="ETH",
        side=LONG,
        name="one of two exits lost",
        reasons=_FILLS,
        happened="Two exits of one half each: the first was recorded, the second was lost.",
    ),
    Case(
        trade_id="t-2003",
        base="ETH",
        side=SHORT,
        name="lost exit in many fills",
        reasons=_FILLS,
        happened="A resting order closed it in five fills, with a rebate, while the bot restarted.",
    ),
    Case(
        trade_id="t-2004",
        base="SOL",
        side=LONG,
        name="EXIT short of its order",
        reasons=_FILLS,
        happened="Of three partial fills of the exit order only the first reached the ledger.",
    ),
    Case(
        trade_id="t-2005",
        base="SOL",
        side=SHORT,
        name="fees in two currencies",
        reasons=_FILLS,
        happened="The lost exit's fee was half in BNB, half in USDT: one column cannot hold it.",
    ),
    Case(
        trade_id="t-2006",
        base="BNB",
        side=LONG,
        name="only dust",
        reasons=_DUST,
        happened="Booked as 12.0007 where 12 were bought and sold: the rest is open in the ledger.",
    ),
    Case(
        trade_id="t-2007",
        base="BNB",
        side=SHORT,
        name="pending row",
        reasons=(Reason.PENDING_LIFECYCLE_BLOCKER,),
        happened="The exit filled, but its row still says new: the bot may yet book that fill.",
    ),
    Case(
        trade_id="t-2008",
        base="XRP",
        side=LONG,
        name="manual close, first share",
        reasons=_FILLS,
        happened="Closed by hand: one order in the exchange's app closed two lifecycles at once.",
    ),
    Case(
        trade_id="t-2009",
        base="XRP",
        side=LONG,
        name="manual close, second share",
        reasons=_FILLS,
        happened="The other lifecycle of that order, with a quarter of its fee.",
    ),
    Case(
        trade_id="t-2010",
        base="XRP",
        side=SHORT,
        name="EXIT without trade_id",
        reasons=_MISSING,
        happened="Its exit was recorded without a trade_id: the fill is taken, there is no second.",
    ),
    Case(
        trade_id="t-2011",
        base="DOGE",
        side=LONG,
        name="really open",
        reasons=_NOT_FLAT,
        happened="No ghost: the position is there, and the bot is right to count it.",
    ),
    Case(
        trade_id="t-2012",
        base="DOGE",
        side=LONG,
        name="ghost beside an open one",
        reasons=_NOT_FLAT,
        happened="Its exit was lost, but the symbol is not flat, so nothing can be told apart yet.",
    ),
    Case(
        trade_id="t-2013",
        base="ADA",
        side=LONG,
        name="hedge pair, long",
        reasons=_NOT_FLAT,
        happened="Long and short of the same size: the net is 0, and both are open.",
    ),
    Case(
        trade_id="t-2014",
        base="ADA",
        side=SHORT,
        name="hedge pair, short",
        reasons=_NOT_FLAT,
        happened="The other side of that pair.",
    ),
    Case(
        trade_id="t-2015",
        base="AVAX",
        side=LONG,
        name="more than dust",
        reasons=_MISSING,
        happened="Booked as asked for, 51.30696933; 51 were bought and sold: the rest is no dust.",
    ),
    Case(
        trade_id="t-2016",
        base="AVAX",
        side=SHORT,
        name="short ghost",
        reasons=_FILLS,
        happened="The process was killed between the buy that closed the short and its EXIT row.",
    ),
    Case(
        trade_id="t-2017",
        base="LINK",
        side=LONG,
        name="fills fall short",
        reasons=_AMBIGUOUS,
        happened="Booked as 300 though 250 filled; one manual order closed 450 of the 500 booked.",
    ),
    Case(
        trade_id="t-2018",
        base="LINK",
        side=LONG,
        name="fills fall short, neighbour",
        reasons=_AMBIGUOUS,
        happened="Nobody can know which of the two the missing 50 belong to, so neither is closed.",
    ),
    Case(
        trade_id="t-2019",
        base="LINK",
        side=SHORT,
        name="exit given up too early",
        reasons=_FILLS,
        happened="The exit timed out and its row says failed, but the order had been filled.",
    ),
    Case(
        trade_id="t-2020",
        base="DOT",
        side=LONG,
        name="someone else's position",
        reasons=_AMBIGUOUS,
        happened="A person had a position of their own on the same side: the fills may be theirs.",
    ),
    Case(
        trade_id="t-2021",
        base="DOT",
        side=SHORT,
        name="EXIT in the wrong lifecycle",
        reasons=_MISSING,
        happened="Its exit was booked under t-1999, which now counts as closed twice.",
    ),
    Case(
        trade_id="t-2022",
        base="LTC",
        side=LONG,
        name="liquidation",
        reasons=_FILLS,
        happened="The exchange liquidated it by an order that the bot never knew.",
    ),
    Case(
        trade_id="t-2023",
        base="LTC",
        side=SHORT,
        name="still being written",
        reasons=(Reason.RECENT_ACTIVITY,),
        happened="The bot wrote to its rows seconds ago; the missing EXIT may be on its way.",
    ),
    Case(
        trade_id="t-2024",
        base="TRX",
        side=LONG,
        name="older than the lookback",
        reasons=_MISSING,
        happened="Its exit was lost four days ago, and fills are read 72 hours back.",
    ),
    Case(
        trade_id="t-2025",
        base="BCH",
        side=LONG,
        name="entry that never filled",
        reasons=_MISSING,
        happened="The ENTRY row says filled; the exchange let the order expire untouched.",
    ),
    Case(
        trade_id="t-2026",
        base="BCH",
        side=SHORT,
        name="deleveraged",
        reasons=_FILLS,
        happened="The exchange closed the short by auto-deleveraging.",
    ),
    Case(
        trade_id="t-2027",
        base="NEAR",
        side=LONG,
        name="fill and dust",
        reasons=_DUST + _FILLS,
        happened="Booked as 250.3 where 250 were bought; the lost exit covers all but 0.3.",
    ),
    Case(
        trade_id="t-2028",
        base="NEAR",
        side=SHORT,
        name="row without quantity",
        reasons=(Reason.INVALID_LEDGER_ROW,),
        happened="One of its ENTRY rows is filled with quantity NULL: nobody knows what is open.",
    ),
)
"""All of them have a lifecycle that the checklist's section 1 finds open."""

CASE_OF: dict[str, Case] = {case.trade_id: case for case in CASES}
WRONGLY_CLOSED_TWICE = "t-1999"
"""Complete, until the exit of t-2021 was booked into it."""
