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


def _case(
    trade_id: str,
    base: str,
    side: PositionSide,
    name: str,
    reasons: tuple[Reason, ...],
    happened: str,
) -> Case:
    return Case(
        trade_id=trade_id, base=base, side=side, name=name, happened=happened, reasons=reasons
    )


CASES: tuple[Case, ...] = (
    _case(
        "t-2001",
        "BTC",
        LONG,
        "lost exit",
        _FILLS,
        "The websocket dropped just as the exit filled, and no EXIT row was ever written.",
    ),
    _case(
        "t-2002",
        "ETH",
        LONG,
        "one of two exits lost",
        _FILLS,
        "Two exits of one half each: the first was recorded, the second was lost.",
    ),
    _case(
        "t-2003",
        "ETH",
        SHORT,
        "lost exit in many fills",
        _FILLS,
        "A resting order closed it in five fills, with a rebate, while the bot was restarting.",
    ),
    _case(
        "t-2004",
        "SOL",
        LONG,
        "EXIT short of its order",
        _FILLS,
        "Of three partial fills of the exit order only the first reached the ledger.",
    ),
    _case(
        "t-2005",
        "SOL",
        SHORT,
        "fees in two currencies",
        _FILLS,
        "The lost exit was paid half in BNB and half in USDT, which one fee column cannot hold.",
    ),
    _case(
        "t-2006",
        "BNB",
        LONG,
        "only dust",
        _DUST,
        "The bot took the fee off the exit's quantity: 0.0007 stayed open in the ledger alone.",
    ),
    _case(
        "t-2007",
        "BNB",
        SHORT,
        "pending row",
        (Reason.PENDING_LIFECYCLE_BLOCKER,),
        "The exit filled, but its row still says new: the bot may yet book that fill itself.",
    ),
    _case(
        "t-2008",
        "XRP",
        LONG,
        "manual close, first share",
        _FILLS,
        "Closed by hand: one order in the exchange's app closed two lifecycles at once.",
    ),
    _case(
        "t-2009",
        "XRP",
        LONG,
        "manual close, second share",
        _FILLS,
        "The other lifecycle of that order, with a quarter of its fee.",
    ),
    _case(
        "t-2010",
        "XRP",
        SHORT,
        "EXIT without trade_id",
        _MISSING,
        "Its exit was recorded without a trade_id: the fill is taken, and no second one exists.",
    ),
    _case(
        "t-2011",
        "DOGE",
        LONG,
        "really open",
        _NOT_FLAT,
        "No ghost: the position is there, and the bot is right to count it.",
    ),
    _case(
        "t-2012",
        "DOGE",
        LONG,
        "ghost beside an open one",
        _NOT_FLAT,
        "Its exit was lost, but the symbol is not flat, so nothing can be told apart yet.",
    ),
    _case(
        "t-2013",
        "ADA",
        LONG,
        "hedge pair, long",
        _NOT_FLAT,
        "Long and short of the same size: the net is 0, and both are open.",
    ),
    _case(
        "t-2014",
        "ADA",
        SHORT,
        "hedge pair, short",
        _NOT_FLAT,
        "The other side of that pair.",
    ),
    _case(
        "t-2015",
        "AVAX",
        LONG,
        "more than dust",
        _MISSING,
        "The bot booked 51.30696933 as asked for; 51 were bought and sold, and 0.30696933 is no"
        " dust.",
    ),
    _case(
        "t-2016",
        "AVAX",
        SHORT,
        "short ghost",
        _FILLS,
        "The process was killed between the buy that closed the short and its EXIT row.",
    ),
    _case(
        "t-2017",
        "LINK",
        LONG,
        "fills fall short",
        _AMBIGUOUS,
        "Booked as 300 though 250 filled; a manual order closed 450 of the 500 in the ledger.",
    ),
    _case(
        "t-2018",
        "LINK",
        LONG,
        "fills fall short, neighbour",
        _AMBIGUOUS,
        "Nobody can know which of the two the missing 50 belong to, so neither is closed.",
    ),
    _case(
        "t-2019",
        "LINK",
        SHORT,
        "exit given up too early",
        _FILLS,
        "The exit timed out and its row says failed, but the order had been filled.",
    ),
    _case(
        "t-2020",
        "DOT",
        LONG,
        "someone else's position",
        _AMBIGUOUS,
        "A person held a position of their own on the same side: any of the fills may be theirs.",
    ),
    _case(
        "t-2021",
        "DOT",
        SHORT,
        "EXIT in the wrong lifecycle",
        _MISSING,
        "Its exit was booked under t-1999, which now counts as closed twice.",
    ),
    _case(
        "t-2022",
        "LTC",
        LONG,
        "liquidation",
        _FILLS,
        "The exchange liquidated it by an order that the bot never knew.",
    ),
    _case(
        "t-2023",
        "LTC",
        SHORT,
        "still being written",
        (Reason.RECENT_ACTIVITY,),
        "The bot wrote to its rows seconds ago; the missing EXIT may be on its way.",
    ),
    _case(
        "t-2024",
        "TRX",
        LONG,
        "older than the lookback",
        _MISSING,
        "Its exit was lost four days ago, and fills are read 72 hours back.",
    ),
    _case(
        "t-2025",
        "BCH",
        LONG,
        "entry that never filled",
        _MISSING,
        "The ENTRY row says filled; the exchange let the order expire untouched.",
    ),
    _case(
        "t-2026",
        "BCH",
        SHORT,
        "deleveraged",
        _FILLS,
        "The exchange closed the short by auto-deleveraging.",
    ),
    _case(
        "t-2027",
        "NEAR",
        LONG,
        "fill and dust",
        _DUST + _FILLS,
        "Booked as 250.3 though 250 were bought; the lost exit covers 250 and the rest is dust.",
    ),
    _case(
        "t-2028",
        "NEAR",
        SHORT,
        "row without quantity",
        (Reason.INVALID_LEDGER_ROW,),
        "One of its ENTRY rows is filled with a quantity of NULL, so nobody knows how much is"
        " open.",
    ),
)
"""All of them have a lifecycle that the checklist's section 1 finds open."""

CASE_OF: dict[str, Case] = {case.trade_id: case for case in CASES}
WRONGLY_CLOSED_TWICE = "t-1999"
"""Complete, until the exit of t-2021 was booked into it."""
