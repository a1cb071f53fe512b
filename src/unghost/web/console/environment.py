"""The templates and what they may call. Autoescape is on; an unknown name is an error, not ''."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from secrets import token_urlsafe
from typing import Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unghost import __version__, rowfacts
from unghost.gates import show_key
from unghost.model import AuditRow, LifecycleKey, Reason
from unghost.report import REASONS, WHAT_TO_DO
from unghost.web.console import charts, figures

_SEPARATOR: Final = ", "
_TOLD_AT_MOST: Final = 12
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}\.[0-9]{1,40}")


@cache
def templates() -> Environment:
    """The environment of every page."""
    environment = Environment(
        loader=PackageLoader("unghost.web.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"sentence": sentence, "spoken": spoken, "told": told}
    environment.globals |= {
        "ago": figures.ago,
        "batch_address": batch_address,
        "counted": figures.counted,
        "draw": charts.draw,
        "export_address": export_address,
        "figure": figures.figure,
        "is_ours": rowfacts.is_ours,
        "lasting": figures.lasting,
        "lifecycle_address": lifecycle_address,
        "live": live,
        "meaning": meaning,
        "moment": figures.moment,
        "money": figures.money,
        "new_key": new_key,
        "plain": figures.plain,
        "profile_address": profile_address,
        "took": figures.took,
        "version": __version__,
        "what_to_do": what_to_do,
    }
    environment.globals["m"] = environment.get_template("macros.html").module
    return environment


# --- addresses ---------------------------------------------------------------------------------


def profile_address(profile_id: str) -> str:
    """The page of a profile."""
    return f"/profiles/{quote(profile_id, safe='')}"


def batch_address(batch_id: str) -> str:
    """The page of a batch."""
    return f"/batches/{quote(batch_id, safe='')}"


def lifecycle_address(key: LifecycleKey | AuditRow) -> str:
    """The page of a lifecycle; symbols hold slashes, so they are no part of the path."""
    wanted = urlencode({"symbol": key.symbol, "trade_id": key.trade_id})
    return f"{profile_address(key.profile_id)}/lifecycle?{wanted}"


def export_address(kind: str, form: str, **wanted: str) -> str:
    """Where the same rows are a file; `kind` is audit or events, `form` csv or jsonl."""
    named = {name: text for name, text in wanted.items() if text}
    return f"/api/v1/{kind}/export?{urlencode({'format': form, **named})}"


def live(address: str, seconds: int | None) -> Markup:
    """The attributes of a region that the script fetches anew: once, or every so many seconds."""
    every = Markup("") if seconds is None else Markup(' data-every="{}"').format(seconds)
    return Markup(' data-live="{}"').format(address) + every


def new_key() -> str:
    """An idempotency key: the same form sent twice acts once."""
    return token_urlsafe(16)


# --- words -------------------------------------------------------------------------------------


def spoken(word: object) -> str:
    """`dry_run` as people say it."""
    return str(word).replace("_", " ").replace("no go", "no-go")


def told(value: object) -> str:
    """A value of an event's payload in a line."""
    if isinstance(value, Mapping):
        return _SEPARATOR.join(f"{name} {told(one)}" for name, one in sorted(value.items()))
    if isinstance(value, list | tuple):
        shown = _SEPARATOR.join(str(one) for one in value[:_TOLD_AT_MOST])
        left_out = len(value) - _TOLD_AT_MOST
        return f"{shown} and {left_out} more" if left_out > 0 else shown
    text = str(value)
    return figures.plain(Decimal(text)) if _NUMBER.fullmatch(text) else text


def sentence(row: AuditRow) -> str:
    """Why a row was refused, without the names that its line shows already."""
    named = LifecycleKey(profile_id=row.profile_id, symbol=row.symbol, trade_id=row.trade_id)
    said = str(row.evidence.get("sentence", ""))
    return said.removeprefix(f"{show_key(named)}: ")


def meaning(reason: Reason | str) -> str:
    """What a reason of the audit means."""
    return REASONS[Reason(reason)]


def what_to_do(reason: Reason | str) -> str:
    """What a person does about it. The command line has a heading above it, a page has none."""
    return WHAT_TO_DO[Reason(reason)].replace("Nothing:", "Nothing to do:", 1)
