"""One dry run over a ledger, in a process of its own: prints its highest resident size in kB."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

from benchmarks.recording import FlatExchange, desk_at
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.cycle import run_cycle
from unghost.model import Mode


def main() -> None:
    """The profile is the argument, the database DATABASE_URL; the exchange tells no fills."""
    (_, profile_id) = sys.argv
    with closing(Database(os.environ["DATABASE_URL"], statement_timeout_ms=600_000)) as database:
        TradingProfiles(database).pause(profile_id, actor="bench")
        exchange = FlatExchange(0, datetime.now(UTC))
        desk = desk_at(database, exchange, profile_id=profile_id, mode=Mode.DRY_RUN)
        report = run_cycle(desk, actor="bench")
    if not report.lifecycles or Decimal(len(report.audit)) < len(report.lifecycles):
        raise SystemExit("the cycle found nothing")
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")


if __name__ == "__main__":
    main()
