"""One cycle of the loop: look, record what is new, and say where the loop stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import stamina
import structlog

from unghost.adapters.notifications import Notice, Notifier
from unghost.adapters.postgres.figures import Starter
from unghost.adapters.postgres.service import Begun, ServiceBooks
from unghost.assembly import House
from unghost.cycle import Outcome, Watched, watch
from unghost.errors import CommitOutcomeUnknownError, DatabaseError, ExchangeError, UnghostError
from unghost.model import GateVerdict, Ruling
from unghost.notices import notices
from unghost.redaction import redactor
from unghost.settings import LoopMode

log = structlog.get_logger("unghost")

ACTOR: Final = "unghost loop"
ATTEMPTS: Final = 3
FIRST_WAIT_SECONDS: Final = 1


def run_profile(house: House, profile_id: str, *, worker: str, notifier: Notifier) -> Outcome:
    """Run the profile's cycle. Call only while holding the profile's lock in the queue.

    What the environment refuses is tried again a few times; then it is written down, and the next
    beat tries anew. Raises UnghostError where not even that could be written down.
    """
    books = ServiceBooks(house.database)
    with (
        structlog.contextvars.bound_contextvars(profile_id=profile_id),
        house.figures.timing(profile_id, Starter.LOOP),
    ):
        begun = books.begin_cycle(profile_id, worker=worker)
        try:
            watched = _tried(house, profile_id, begun)
        except UnghostError as error:
            _failed(books, notifier, profile_id, begun.digest, str(error))
            return Outcome.ENVIRONMENT
        except Exception as error:
            log.exception("a bug stopped the cycle", exc_info=error)
            words = f"A bug of unghost stopped the cycle: {type(error).__name__}."
            _failed(books, notifier, profile_id, begun.digest, words)
            return Outcome.ENVIRONMENT
        report = watched.report
        books.end_cycle(
            profile_id,
            outcome=report.outcome,
            digest=watched.digest,
            batch_id=report.batch.batch_id if report.batch else None,
            gates=gate_counts(report.rulings),
            hint=watched.hint,
        )
        for notice in notices(profile_id, report):
            notifier.tell(notice)
        return report.outcome


def _tried(house: House, profile_id: str, begun: Begun) -> Watched:
    for attempt in stamina.retry_context(
        on=_is_passing, attempts=ATTEMPTS, wait_initial=FIRST_WAIT_SECONDS, timeout=None
    ):
        with attempt, _desk(house, profile_id) as desk:
            return watch(
                desk,
                actor=ACTOR,
                known=begun.digest,
                hint=begun.hint,
                full_every=timedelta(minutes=house.settings.full_scan_minutes),
            )
    raise UnghostError("the cycle was not tried")  # not reached: the last attempt raises


def _is_passing(error: Exception) -> bool:
    """An answer to COMMIT that was lost is read back by the next cycle, never repeated blindly."""
    is_ours = isinstance(error, DatabaseError | ExchangeError)
    return is_ours and not isinstance(error, CommitOutcomeUnknownError)


def _desk(house: House, profile_id: str) -> Any:  # noqa: ANN401 - the context of House.desk
    """Where two people are wanted for an apply the loop is none of them, whoever put the job."""
    only_plans = house.settings.loop is LoopMode.DRY_RUN or house.settings.four_eyes
    dry_run = True if only_plans else None
    return house.desk(profile_id, needs_exchange=True, dry_run=dry_run)


def _failed(
    books: ServiceBooks, notifier: Notifier, profile_id: str, known: str, words: str
) -> None:
    told = redactor.clean(words)
    log.error("the cycle failed", error=told)
    books.end_cycle(profile_id, outcome=Outcome.ENVIRONMENT, digest=known, detail=told, failed=True)
    notifier.tell(Notice(kind="CYCLE_FAILED", profile_id=profile_id, text=told))


def gate_counts(rulings: Sequence[Ruling]) -> list[dict[str, Any]]:
    """Each gate with how many lifecycles met it open, closed or unknown; JSON-ready."""
    counts: dict[str, Counter[GateVerdict]] = {}
    for ruling in rulings:
        for gate in ruling.gates:
            counts.setdefault(gate.name, Counter())[gate.verdict] += 1
    return [
        {"name": name, **{verdict.value: count[verdict] for verdict in GateVerdict}}
        for name, count in counts.items()
    ]
