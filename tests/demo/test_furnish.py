"""The sample for a PostgreSQL and a venue of one's own, as ops/compose.yaml uses it."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.migrations import pending_migrations
from unghost.adapters.postgres.queue import queue_is_there
from unghost.demo import furnish
from unghost.demo.cases import CASES
from unghost.demo.world import World

VENUE = "http://127.0.0.1:9001"


def furnished(folder) -> int:
    return furnish.main(["--folder", str(folder), "--venue", VENUE])


def rows(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        ((found,),) = connection.execute("SELECT count(*) FROM orders").fetchall()
        return found


def test_an_empty_database_is_filled_once(empty_database_url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    assert furnished(tmp_path) == 0
    loaded = rows(empty_database_url)
    assert loaded > len(CASES)
    with closing(Database(empty_database_url)) as database:
        assert pending_migrations(database) == ()
        assert queue_is_there(database)  # so that `unghost serve` starts on it
    assert f"Loaded {loaded} orders" in capsys.readouterr().out
    assert VENUE in (tmp_path / furnish.CONFIG_FILE).read_text(encoding="utf-8")
    world = World.from_json((tmp_path / furnish.WORLD_FILE).read_bytes())
    assert [account.name for account in world.accounts] == ["demo"]

    assert furnished(tmp_path) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert rows(empty_database_url) == loaded


def test_a_ledger_that_is_somebodys_is_left_alone(database_url, tmp_path, monkeypatch, capsys):
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO orders (order_id) VALUES ('theirs')")
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert furnished(tmp_path) == 4
    assert "The ledger holds rows" in capsys.readouterr().err
    assert rows(database_url) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unset", (True, False))
def test_what_is_missing_is_named(tmp_path, monkeypatch, capsys, unset):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if not unset:
        monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    assert furnished(tmp_path if unset else tmp_path / "none") == 3
    said = capsys.readouterr().err
    assert ("DATABASE_URL is unset" in said) if unset else ("There is no folder" in said)
