"""How each case of the sample comes about: what happened on the exchange, what the bot wrote."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from unghost.demo.bot import BNB, ENTRY, EXIT, Bot, Executed, Leg, Line, Link, Plan
from unghost.demo.cases import CASE_OF, WRONGLY_CLOSED_TWICE
from unghost.demo.world import FillKind

REBATE = Decimal("-0.00005")
TOUCHED_SECONDS_AGO = 4


def stage(bot: Bot) -> None:
    """Make all cases happen."""
    for happen in (
        _lose_exits,
        _lose_one_of_two_exits,
        _lose_part_of_an_exit,
        _book_a_little_too_much,
        _leave_the_exit_pending,
        _close_two_by_hand,
        _record_the_exit_without_trade_id,
        _leave_a_position_open,
        _hold_both_sides,
        _book_what_was_asked_for,
        _close_less_than_booked,
        _give_up_too_early,
        _hold_a_position_of_ones_own,
        _book_the_exit_elsewhere,
        _close_by_force,
        _touch_just_now,
        _never_fill_the_entry,
        _close_nearly_all,
        _forget_a_quantity,
    ):
        happen(bot)


def _ago(hours: str) -> timedelta:
    return timedelta(seconds=int(Decimal(hours) * 3600))


def _plan(quantity: str, hours: str, **more: Any) -> Plan:
    return Plan(quantity=Decimal(quantity), ago=_ago(hours), **more)


def _leg(bot: Bot, trade_id: str) -> Leg:
    case = CASE_OF[trade_id]
    return bot.leg(case.base, case.side)


def _enter(
    bot: Bot, trade_id: str, quantity: str, hours: str, *, booked: str | None = None, **more: Any
) -> Line:
    """Open, and write it down; `booked` is what the row says instead of the truth."""
    leg = _leg(bot, trade_id)
    opened = bot.trade(leg, ENTRY, _plan(quantity, hours, **more))
    return bot.write(trade_id, leg, ENTRY, opened, quantity=Decimal(booked) if booked else None)


def _leave(bot: Bot, trade_id: str, quantity: str, hours: str, **more: Any) -> Executed:
    """Close on the exchange; whether it is written down is another matter."""
    return bot.trade(_leg(bot, trade_id), EXIT, _plan(quantity, hours, **more))


# --- exits that were lost ----------------------------------------------------------------------


def _lose_exits(bot: Bot) -> None:
    _enter(bot, "t-2001", "0.250", "26", parts=(3, 2))
    _leave(bot, "t-2001", "0.250", "21.4", parts=(2, 1, 1))
    _enter(bot, "t-2003", "2.400", "33")
    _leave(bot, "t-2003", "2.400", "30.5", parts=(3, 5, 1, 4, 2), maker=True, fee=REBATE)
    _enter(bot, "t-2005", "42.00", "19")
    _leave(bot, "t-2005", "42.00", "16.2", parts=(1, 1), fee_in=(BNB, "USDT"))
    _enter(bot, "t-2016", "110", "12.5", parts=(1, 2))
    _leave(bot, "t-2016", "110", "9.8", parts=(4, 7))
    _enter(bot, "t-2024", "52000", "120")
    _leave(bot, "t-2024", "52000", "101")


def _lose_one_of_two_exits(bot: Bot) -> None:
    _enter(bot, "t-2002", "0.432", "40")
    first = _leave(bot, "t-2002", "0.216", "38", maker=True)
    bot.write("t-2002", _leg(bot, "t-2002"), EXIT, first)
    _leave(bot, "t-2002", "0.216", "36.6", maker=True)


def _lose_part_of_an_exit(bot: Bot) -> None:
    _enter(bot, "t-2004", "60.00", "29")
    left = _leave(bot, "t-2004", "60.00", "25.3", parts=(5, 4, 3), seconds_between=9)
    bot.write("t-2004", _leg(bot, "t-2004"), EXIT, left.first(1), status="partially_filled")


def _give_up_too_early(bot: Bot) -> None:
    _enter(bot, "t-2019", "140.00", "22")
    left = _leave(bot, "t-2019", "140.00", "20.1", parts=(1, 1))
    bot.write(
        "t-2019",
        _leg(bot, "t-2019"),
        EXIT,
        left.first(0),
        quantity=left.quantity,
        status="failed",
        link=Link.CLIENT,
    )


# --- closed by others --------------------------------------------------------------------------


def _close_two_by_hand(bot: Bot) -> None:
    _enter(bot, "t-2008", "15000.0", "44")
    _enter(bot, "t-2009", "5000.0", "43.2")
    _leave(bot, "t-2009", "20000.0", "41", parts=(2, 3), client_order_id="ios_Tq4cNbW81")


def _close_by_force(bot: Bot) -> None:
    _enter(bot, "t-2022", "35.000", "17")
    forced = {"kind": FillKind.LIQUIDATION, "price_factor": Decimal("0.93")}
    _leave(bot, "t-2022", "35.000", "14.9", parts=(3, 1), **forced)
    _enter(bot, "t-2026", "6.500", "15")
    _leave(bot, "t-2026", "6.500", "13.1", kind=FillKind.ADL)


# --- dust --------------------------------------------------------------------------------------


def _book_a_little_too_much(bot: Bot) -> None:
    _enter(bot, "t-2006", "12.00", "27", booked="12.0007")
    left = _leave(bot, "t-2006", "12.00", "24.5")
    bot.write("t-2006", _leg(bot, "t-2006"), EXIT, left)


def _book_what_was_asked_for(bot: Bot) -> None:
    _enter(bot, "t-2015", "51", "31", booked="51.30696933")
    left = _leave(bot, "t-2015", "51", "28.7")
    bot.write("t-2015", _leg(bot, "t-2015"), EXIT, left)


def _close_nearly_all(bot: Bot) -> None:
    _enter(bot, "t-2027", "250", "35", booked="250.3")
    _leave(bot, "t-2027", "250", "32.4", parts=(1, 1))


# --- what is refused ---------------------------------------------------------------------------


def _leave_the_exit_pending(bot: Bot) -> None:
    _enter(bot, "t-2007", "8.50", "11")
    left = _leave(bot, "t-2007", "8.50", "8.6")
    leg = _leg(bot, "t-2007")
    bot.write("t-2007", leg, EXIT, left.first(0), quantity=left.quantity, status="new")


def _record_the_exit_without_trade_id(bot: Bot) -> None:
    _enter(bot, "t-2010", "6200.0", "18")
    left = _leave(bot, "t-2010", "6200.0", "15.5")
    bot.write(None, _leg(bot, "t-2010"), EXIT, left)


def _leave_a_position_open(bot: Bot) -> None:
    _enter(bot, "t-2012", "12000", "23")
    _enter(bot, "t-2011", "20000", "21", parts=(1, 1))
    _leave(bot, "t-2012", "12000", "18.5")


def _hold_both_sides(bot: Bot) -> None:
    _enter(bot, "t-2013", "5000", "10")
    _enter(bot, "t-2014", "5000", "9.9")


def _close_less_than_booked(bot: Bot) -> None:
    _enter(bot, "t-2017", "250.00", "47", booked="300", order_quantity=Decimal(300))
    _enter(bot, "t-2018", "200.00", "46")
    _leave(bot, "t-2018", "450.00", "42", parts=(4, 5), client_order_id="web_9sKfLm2Qz")


def _hold_a_position_of_ones_own(bot: Bot) -> None:
    leg = _leg(bot, "t-2020")
    _enter(bot, "t-2020", "200.0", "37")
    bot.trade(leg, ENTRY, _plan("150.0", "36", client_order_id="web_h3RtYb7Vd"))
    bot.trade(leg, EXIT, _plan("350.0", "34.2", client_order_id="web_p0WxNc5Ja"))


def _book_the_exit_elsewhere(bot: Bot) -> None:
    leg = _leg(bot, "t-2021")
    opened = bot.trade(leg, ENTRY, _plan("80.0", "27.5"))
    bot.write(WRONGLY_CLOSED_TWICE, leg, ENTRY, opened)
    closed = bot.trade(leg, EXIT, _plan("80.0", "26.1"))
    bot.write(WRONGLY_CLOSED_TWICE, leg, EXIT, closed)
    _enter(bot, "t-2021", "120.0", "25")
    left = _leave(bot, "t-2021", "120.0", "23.3")
    bot.write(WRONGLY_CLOSED_TWICE, leg, EXIT, left)


def _touch_just_now(bot: Bot) -> None:
    entry = _enter(bot, "t-2023", "18.000", "3")
    _leave(bot, "t-2023", "18.000", "0.4")
    bot.rewrite(entry, updated_at=bot.now - timedelta(seconds=TOUCHED_SECONDS_AGO))


def _never_fill_the_entry(bot: Bot) -> None:
    leg = _leg(bot, "t-2025")
    asked = bot.attempt(leg, ENTRY, _plan("5.000", "14"))
    line = bot.write("t-2025", leg, ENTRY, asked, quantity=Decimal("5.000"))
    price = bot.price(leg.market, _ago("14"))
    bot.rewrite(line, price=price, filled_at=line.created_at + timedelta(seconds=1))


def _forget_a_quantity(bot: Bot) -> None:
    _enter(bot, "t-2028", "120", "20")
    second = _enter(bot, "t-2028", "40", "19.5")
    bot.rewrite(second, quantity=None, qty=None)
    _leave(bot, "t-2028", "160", "17.7")
