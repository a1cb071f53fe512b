"""`python -m unghost.demo.furnish`: the demo's sample for a PostgreSQL and a venue of your own.

It fills the database that DATABASE_URL names, and writes into a folder what a venue serves
(`world.json`) and how unghost reaches it (`unghost.toml`). For `ops/compose.yaml`; a ledger that
holds rows already is left alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.migrations import create_sample_orders, migrate
from unghost.adapters.postgres.queue import install_queue
from unghost.adapters.postgres.sample_rows import load_orders, orders_state
from unghost.demo.house import profile_file
from unghost.demo.sample import build_sample
from unghost.errors import ConfigurationError, RefusedError, UnghostError

WORLD_FILE: Final = "world.json"
CONFIG_FILE: Final = "unghost.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Furnish, and return the exit code; what is wrong is one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        sys.stdout.write(furnish(options.folder, options.venue) + "\n")
    except UnghostError as error:
        sys.stderr.write(f"furnish: {error}\n")
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m unghost.demo.furnish", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--folder", type=Path, required=True, help="where the two files go")
    parser.add_argument("--venue", required=True, help="address under which the venue will answer")
    return parser


def furnish(folder: Path, venue_url: str) -> str:
    """Load the sample and write the files; say what was done.

    Raises ConfigurationError without DATABASE_URL or folder, RefusedError where the ledger is
    somebody's, DatabaseError.
    """
    conninfo = os.environ.get("DATABASE_URL", "").strip()
    if not conninfo:
        raise ConfigurationError("DATABASE_URL is unset: name the database to be filled.")
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder} to write into.")
    with closing(Database(conninfo)) as database:
        migrate(database)
        install_queue(database)
        create_sample_orders(database)
        if (folder / WORLD_FILE).exists():
            return "The sample is there already; nothing was changed."
        if orders_state(database).rows:
            raise RefusedError(
                f"The ledger holds rows, and {folder} has no {WORLD_FILE} that belongs to them:"
                " the sample is only loaded into an empty ledger."
            )
        return _filled(database, folder, venue_url)


def _filled(database: Database, folder: Path, venue_url: str) -> str:
    sample = build_sample(datetime.now(UTC))
    loaded = load_orders(database, sample.rows())
    (folder / CONFIG_FILE).write_text(profile_file(venue_url), encoding="utf-8")
    draft = folder / f".{WORLD_FILE}"
    draft.write_text(sample.world.to_json(), encoding="utf-8")
    draft.replace(folder / WORLD_FILE)
    return f"Loaded {loaded} orders; the venue's world and the profile are in {folder}."


if __name__ == "__main__":
    sys.exit(main())
