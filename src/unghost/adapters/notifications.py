"""Notifications through apprise: to whatever an operator already reads.

They leave in a thread of their own, so that no cycle ever waits for a chat server; and the
throttle is the one of the events, kept in the database for all processes.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Final

import structlog

from unghost.errors import UnghostError
from unghost.model import Event
from unghost.ports import EventSink
from unghost.redaction import redactor

log = structlog.get_logger("unghost")

WAITING_AT_MOST: Final = 100
CLOSING_SECONDS: Final = 5
NOTIFIED: Final = "NOTIFIED_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What people shall hear of, in one sentence."""

    kind: str
    profile_id: str
    text: str


class Notifier:
    """Sends notices; without addresses it does nothing."""

    def __init__(self, addresses: str, events: EventSink, *, throttle_seconds: int) -> None:
        self._addresses = addresses.split()
        self._events = events
        self._throttle_ms = throttle_seconds * 1000
        self._waiting: queue.Queue[Notice | None] = queue.Queue(WAITING_AT_MOST)
        redactor.learn(self._addresses)
        self._thread: threading.Thread | None = None
        if self._addresses:
            self._thread = threading.Thread(target=self._work, name="notices", daemon=True)
            self._thread.start()

    def tell(self, notice: Notice) -> None:
        """Leave a notice; returns at once, and drops it where too many wait."""
        if self._thread is None:
            return
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            log.warning("a notice was dropped: too many wait", kind=notice.kind)

    def close(self) -> None:
        """Give what waits a few seconds to leave."""
        if self._thread is None:
            return
        try:
            self._waiting.put(None, timeout=CLOSING_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSING_SECONDS)

    def _work(self) -> None:
        while (notice := self._waiting.get()) is not None:
            try:
                if self._is_due(notice):
                    self._send(notice)
            except UnghostError as error:
                log.warning("a notice was not sent", kind=notice.kind, error=str(error))
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the loop goes on
                log.warning("a notice was not sent", kind=notice.kind, error=type(error).__name__)

    def _is_due(self, notice: Notice) -> bool:
        event = Event(
            event_type=NOTIFIED + notice.kind,
            profile_id=notice.profile_id,
            symbol=None,
            payload={"text": notice.text},
        )
        return bool(self._events.emit_throttled([event], throttle_ms=self._throttle_ms))

    def _send(self, notice: Notice) -> None:
        from apprise import Apprise  # noqa: PLC0415 - it takes long to import, and few need it

        sender = Apprise()
        for address in self._addresses:
            sender.add(address)
        title = f"unghost: {notice.kind.replace('_', ' ').lower()} ({notice.profile_id})"
        if not sender.notify(body=notice.text, title=title):
            log.warning("a notice was not delivered", kind=notice.kind)
