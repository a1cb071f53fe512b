"""The command import-fills: an exchange's CSV export as evidence, marked as such."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from unghost.cli.numbers import counted
from unghost.cli.opened import opened_desk
from unghost.cli.options import JsonOption, ProfileOption
from unghost.cli.output import Output
from unghost.errors import UsageError
from unghost.filefills import KIND_IS_SPOT
from unghost.model import Event, Window

if TYPE_CHECKING:
    from rich.table import Table

    from unghost.adapters.fills_file import ParsedFile
    from unghost.adapters.postgres.fill_files import Kept, Statement
    from unghost.cli.opened import Opened

IMPORTED_EVENT: Final = "FILLS_IMPORTED"
LARGEST_BYTES: Final = 256 * 1024 * 1024
ROWS_SHOWN: Final = 20

EXCHANGES: Final = {
    "binanceusdm": {"binanceusdm", "binance"},
    "bybit": {"bybit"},
    "okx": {"okx", "myokx", "okxus"},
    "kraken": {"kraken"},
}
"""Whose file it may be: kinds of files, with the CCXT ids of the exchanges that write them."""


def import_fills(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The exchange's export, as CSV.")],
    window_from: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="State that the file holds every fill from this time on"),
    ] = None,
    window_to: Annotated[
        str | None, typer.Option(metavar="TIME", help="and up to this one, both as ISO 8601.")
    ] = None,
    one_way: Annotated[
        bool,
        typer.Option(
            "--one-way", help="State that the account was in one-way position mode all the while."
        ),
    ] = False,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="UTC+3 or Europe/Berlin, where the file does not tell."),
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take fills from an exchange's CSV export as evidence: Binance USD-M, Bybit, OKX, Kraken.

    They take the place of the exchange's own answer only over the window that is stated.
    """
    from unghost.adapters.fills_file import parse
    from unghost.adapters.postgres.fill_files import FillFiles, Statement

    out = Output(as_json=as_json)
    parsed = parse(_read(file), file_name=file.name, zone=timezone)
    window = _window(parsed, window_from, window_to, file.name)
    with opened_desk(out, profile) as at:
        _require_exchange(at, parsed, file.name)
        statement = Statement(
            profile_id=at.profile_id,
            file_name=file.name,
            actor=at.actor,
            window=window,
            one_way=one_way,
        )
        files = at.desk.files
        if not isinstance(files, FillFiles):
            raise UsageError("There is no place to keep files of fills in.")
        kept = files.keep(parsed, statement)
        document = _document(parsed, statement, kept)
        if kept.added or kept.restated:
            at.desk.events.emit(_event(at.profile_id, document))
    out.result(document | {"fills": parsed.fills}, *([_table(parsed)] if parsed.fills else []))
    for sentence in _sentences(parsed, statement, kept):
        out.say(sentence)
    return 0


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            held = opened.read(LARGEST_BYTES + 1)  # the size of a device or a pipe says nothing
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    if len(held) > LARGEST_BYTES:
        raise UsageError(f"{file} is larger than {LARGEST_BYTES >> 20} MiB: split it.")
    return held


# What is stated ----------------------------------------------------------------------------------


def _window(
    parsed: ParsedFile, start: str | None, end: str | None, file_name: str
) -> Window | None:
    """The span that the file is stated to cover; it must hold every row, and lie in the past."""
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise UsageError("Say both --window-from and --window-to, or neither.")
    window = Window(
        start_at=_moment(start, "--window-from", parsed),
        end_at=_moment(end, "--window-to", parsed),
    )
    if window.start_at >= window.end_at:
        raise UsageError(f"The window ends ({end}) before it begins ({start}).")
    if window.end_at > datetime.now(UTC):
        raise UsageError(f"--window-to {end} lies in the future: no file covers that.")
    for one in parsed.fills:
        if not window.start_at <= one.filled_at <= window.end_at:
            raise UsageError(
                f"{file_name}, line {one.line}: {one.filled_at.isoformat()} lies outside of the"
                " window that was stated; nothing was kept."
            )
    return window


def _moment(text: str, option: str, parsed: ParsedFile) -> datetime:
    """Without a zone of its own, in that of the file."""
    from unghost.adapters.fills_file import zone_of

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a time: write it as 2026-02-01T12:00:00Z."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_of(parsed.zone))
    return moment.astimezone(UTC)


def _require_exchange(at: Opened, parsed: ParsedFile, file_name: str) -> None:
    """A name of a market means another one at another exchange, and another one on spot."""
    profile = at.profiles.by_name.get(at.profile_id)
    if profile is None:
        return
    is_spot = KIND_IS_SPOT.get(parsed.kind)
    other_market = is_spot is not None and is_spot is not (profile.market.value != "swap")
    if profile.exchange not in EXCHANGES[parsed.kind] or other_market:
        raise UsageError(
            f"{file_name} is an export of {parsed.kind}, but profile {at.profile_id} trades"
            f" {profile.market} on {profile.exchange}."
        )


# What is told ------------------------------------------------------------------------------------


def _document(parsed: ParsedFile, statement: Statement, kept: Kept) -> dict[str, Any]:
    return {
        "profile_id": statement.profile_id,
        "file_name": statement.file_name,
        "sha256": parsed.sha256,
        "kind": parsed.kind,
        "zone": parsed.zone,
        "rows": len(parsed.fills),
        "rows_without_ids": parsed.without_ids,
        "left_out": dict(parsed.left_out),
        "added": kept.added,
        "restated": kept.restated,
        "window_from": statement.window.start_at if statement.window else None,
        "window_to": statement.window.end_at if statement.window else None,
        "one_way": statement.one_way,
    }


def _event(profile_id: str, document: dict[str, Any]) -> Event:
    return Event(event_type=IMPORTED_EVENT, profile_id=profile_id, symbol=None, payload=document)


def _sentences(parsed: ParsedFile, statement: Statement, kept: Kept) -> list[str]:
    rows = counted(len(parsed.fills), "fill")
    said = [f"{statement.file_name}: {rows} of {parsed.kind}, times in {parsed.zone}."]
    if kept.added:
        said.append(f"{counted(kept.added, 'row')} kept for profile {statement.profile_id}.")
    else:
        new = "what is stated about it is new" if kept.restated else "nothing is new"
        said.append(f"This very file was imported before: no row added, {new}.")
    said += [f"Left out: {count} ({why})." for why, count in parsed.left_out.items()]
    if parsed.without_ids:
        nameless = counted(parsed.without_ids, "row")
        said.append(f"{nameless} without ids: shown here, and never written from.")
    elif statement.window is None:
        said.append(
            "No window was stated, so this call makes nothing of it evidence: state with"
            " --window-from and --window-to which span the file covers whole."
        )
    return said


def _table(parsed: ParsedFile) -> Table:
    from unghost.cli import tables

    shown = parsed.fills[:ROWS_SHOWN]
    more = len(parsed.fills) - len(shown)
    return tables.table(
        "Fills of the file" + (f" (the first {len(shown)}, {more} more follow)" if more else ""),
        ("line", [str(one.line) for one in shown]),
        ("symbol", [one.symbol for one in shown]),
        ("side", [one.side for one in shown]),
        ("quantity", [one.quantity for one in shown]),
        ("price", [one.price for one in shown]),
        ("at", [one.filled_at for one in shown]),
        ("order", [one.exchange_order_id for one in shown]),
        ("fill", [one.fill_id for one in shown]),
    )
