"""The commands as a person runs them: a process, a real database, a simulated exchange."""

import json
from decimal import Decimal

import pytest
from tests.cli.conftest import lose_an_exit, profile_text

from unghost.cli.numbers import aligned, plain

APPLY = {"RECON_EXIT_BACKFILL_DRY_RUN": "false"}


def plan(shop) -> str:
    """Pause, and make a dry run; the batch's id."""
    assert shop.run("pause").code == 0
    ran = shop.run("cycle", "--json")
    assert ran.code == 1, ran.err
    batch_id: str = ran.data["batch"]["batch_id"]
    return batch_id


def applied(shop) -> str:
    """Pause and write; the batch's id."""
    assert shop.run("pause").code == 0
    ran = shop.run("cycle", "--json", **APPLY)
    assert ran.code == 0, ran.err
    batch_id: str = ran.data["batch"]["batch_id"]
    return batch_id


# --- init, doctor --------------------------------------------------------------------------------


def test_init_makes_the_tables_once(place, empty_database_url):
    place.environment["DATABASE_URL"] = empty_database_url
    first, second = place.run("init", "--json"), place.run("init", "--json")
    assert (first.code, second.code) == (0, 0)
    assert "record" in first.data["applied"]
    assert second.data == {"applied": [], "sample_created": False, "indexes": []}


def test_init_makes_indexes_on_orders_only_when_told_to(place, database_url):
    place.environment["DATABASE_URL"] = database_url
    plain, told = place.run("init", "--json"), place.run("init", "--indexes", "--json")
    assert plain.data["indexes"] == []
    assert told.data["indexes"] == [
        "orders_unghost_detection",
        "orders_unghost_times",
        "orders_unghost_exchange_order",
        "orders_unghost_client_order",
    ]
    assert "Every index on orders is there already." in place.run("init", "--indexes").out


def test_before_init_a_command_says_what_to_do(place, empty_database_url):
    place.environment["DATABASE_URL"] = empty_database_url
    ran = place.run("detect", "--profile", "main")
    assert ran.code == 3
    assert "unghost init" in ran.err


def test_without_a_database_url_the_embedded_server_is_used(place, unghost_home):
    del place.environment["DATABASE_URL"]
    ran = place.run("init", "--json", UNGHOST_HOME=str(unghost_home))
    assert ran.code == 0, ran.err
    assert ran.data["sample_created"] is True
    assert "embedded PostgreSQL" in ran.err
    assert place.run("detect", "-p", "main", UNGHOST_HOME=str(unghost_home)).code == 0


def test_doctor_finds_everything_in_order(shop):
    shop.run("pause")
    ran = shop.run("doctor", "--json")
    assert ran.code == 0, ran.out
    verdicts = {(one["area"], one["verdict"]) for one in ran.data["checks"]}
    assert {area for area, _ in verdicts} == {"settings", "database", "pause", "exchange"}
    assert "fail" not in {verdict for _, verdict in verdicts}
    assert "Everything needed is in order." in shop.run("doctor").out


def test_doctor_checks_every_profile_against_its_venue(shop):
    text = (shop.folder / "unghost.toml").read_text(encoding="utf-8")
    shop.configure(text + text.replace("profiles.main", "profiles.spare").replace("MAIN", "SPARE"))
    keys = {"SPARE_API_KEY": "somebody-else", "SPARE_SECRET": "secret-of-somebody"}
    ran = shop.run("doctor", "--json", **keys)
    assert ran.code == 3
    by_area = {one["area"]: [] for one in ran.data["checks"]}
    for one in ran.data["checks"]:
        by_area[one["area"]].append((one["name"], one["verdict"]))
    assert ("positions", "ok") in by_area["exchange of main"]
    assert ("positions", "fail") in by_area["exchange of spare"]
    assert {"pause of main", "pause of spare"} <= by_area.keys()
    assert ("key rights", "warn") in by_area["exchange of main"]


def test_doctor_finds_two_keys_of_one_account(shop):
    """The second is another key of the first's account, and its profile names no account."""
    text = (shop.folder / "unghost.toml").read_text(encoding="utf-8")
    spare = text.replace("profiles.main", "profiles.spare").replace("MAIN_API", "SPARE_API")
    shop.configure(text + spare)
    shop.venue.world.issue_key("main", "spare-key")
    ran = shop.run("doctor", "--json", SPARE_API_KEY="spare-key")
    assert ran.code == 3
    found = {one["area"]: one for one in ran.data["checks"] if one["name"] == "account of its own"}
    assert found["exchange of main"]["verdict"] == "ok"
    assert found["exchange of spare"]["verdict"] == "fail"
    assert "sees the same exchange account as that of main" in found["exchange of spare"]["detail"]
    shop.configure(text + 'account = "desk"\n' + spare + 'account = "desk"\n')
    assert shop.run("doctor", SPARE_API_KEY="spare-key").code == 0


def test_doctor_goes_on_after_a_failure_and_ends_with_3(shop):
    shop.environment["DATABASE_URL"] = "postgresql://bot:planted-password-1@127.0.0.1:1/none"
    ran = shop.run("doctor", "--json", MAIN_SECRET="wrong-secret")
    assert ran.code == 3
    failed = {one["area"] for one in ran.data["checks"] if one["verdict"] == "fail"}
    assert failed == {"database", "pause", "exchange"}


def test_doctor_names_a_secret_that_is_not_set(shop):
    del shop.environment["MAIN_SECRET"]
    ran = shop.run("doctor")
    assert ran.code == 3
    assert "MAIN_SECRET" in ran.out


# --- detect, evidence, sql -----------------------------------------------------------------------


def test_a_name_with_a_slip_in_it_is_warned_of_where_no_file_tells_the_names(shop):
    (shop.folder / "unghost.toml").unlink()
    slip = shop.run("detect", "--profile", "mian")
    assert (slip.code, "orders has no row of profile 'mian'" in slip.err) == (0, True)
    right = shop.run("detect", "--profile", "main")
    assert (right.code, "has no row" in right.err) == (1, False)


def test_detect_finds_nothing_in_an_empty_ledger(books):
    ran = books.run("detect", "--profile", "main")
    assert (ran.code, ran.out) == (0, "0 lifecycles open in the ledger.\n")


def test_detect_lists_the_columns_of_the_checklist(shop):
    ran = shop.run("detect", "--json")
    assert ran.code == 1
    (found,) = ran.data["lifecycles"]
    assert found["trade_id"] == "t-1"
    quantities = [found[name] for name in ("entry_qty", "exit_qty", "open_qty")]
    assert all(isinstance(one, str) for one in quantities)
    assert [Decimal(one) for one in quantities] == [Decimal("0.5"), Decimal(0), Decimal("0.5")]
    assert found["first_entry_at"].endswith("Z")
    table = shop.run("detect")
    for word in ("profile_id", "symbol", "trade_id", "entry_qty", "exit_qty", "open_qty", "t-1"):
        assert word in table.out
    assert "1 lifecycle open" in table.out


def test_evidence_shows_readings_and_claims(shop):
    shop.run("pause")
    ran = shop.run("evidence", "BTCUSDT", "--json")
    assert ran.code == 0, ran.err
    assert ran.data["evidence"]["position_before"]["flatness"] == "flat"
    fills = ran.data["evidence"]["fills"]
    assert (fills["complete"], fills["pages"], fills["source"]) == (True, 1, "exchange")
    assert len(ran.data["claims"]) == 1
    assert ran.data["unclaimed"] == []
    table = shop.run("evidence", "BTCUSDT").out
    for word in ("position before", "window", "pages", "complete", "Fills", "Claims", "Gates of"):
        assert word in table
    assert shop.backfills() == []


def test_evidence_shows_what_is_left_unclaimed(shop):
    """The exchange opened more than the ledger knows, so that nothing can be given out."""
    shop.sql("UPDATE orders SET quantity = 0.2, qty = 0.2")
    (left,) = shop.run("evidence", "BTCUSDT", "--json").data["unclaimed"]
    assert (set(left), Decimal(left["quantity"])) == (
        {"exchange_order_id", "quantity"},
        Decimal("0.5"),
    )
    table = shop.run("evidence", "BTCUSDT").out
    assert "Left unclaimed" in table
    assert left["exchange_order_id"] in table


def test_evidence_of_a_symbol_without_lifecycles_is_a_usage_error(shop):
    ran = shop.run("evidence", "ETHUSDT")
    assert ran.code == 2
    assert "ETHUSDT" in ran.err


def test_sql_lists_its_names_and_prints_a_statement(books):
    names = books.run("sql").out.split()
    assert {"detect", "validate", "rollback"} <= set(names)
    for name in names:
        ran = books.run("sql", name)
        assert ran.code == 0, ran.err
        assert ran.out.strip()
    assert books.run("sql", "--json").data == {"names": names}


def test_sql_puts_the_profile_in_where_it_is_named(books):
    assert "'<<PROFILE_ID>>'" in books.run("sql", "detect").out
    assert "profile_id = 'main'" in books.run("sql", "detect", "-p", "main").out


def test_sql_knows_its_names(books):
    ran = books.run("sql", "drop")
    assert ran.code == 2
    assert "detect" in ran.err


# --- pause, resume, status -----------------------------------------------------------------------


def test_pause_and_resume_are_kept_with_actor_and_reason(books):
    ran = books.run("pause", "-p", "main", "--reason", "repair", "--json")
    assert ran.code == 0, ran.err
    assert ran.data["pause"]["state"] == "PAUSED"
    assert (ran.data["pause"]["actor"], ran.data["pause"]["note"]) == ("tester@desk", "repair")
    assert "PAUSED" in books.run("status", "-p", "main").out
    assert "RUNNING" in books.run("resume", "-p", "main").out
    assert books.run("status", "-p", "main", "--json").data["pause"]["state"] == "RUNNING"


@pytest.mark.parametrize("reason", ("x" * 501, "one line\nand another", "\x1b[2J"))
def test_a_reason_that_the_service_would_not_take_is_refused(books, reason):
    ran = books.run("pause", "-p", "main", "--reason", reason)
    assert ran.code == 2
    assert "one line of at most 500 printable characters" in ran.err
    assert len(ran.err) < 250, ran.err
    assert books.run("pause", "-p", "main", "--reason", "x" * 500).code == 0


def test_a_profile_with_a_status_url_is_paused_in_the_bot(shop):
    url = "http://127.0.0.1:1/internal/trading/status"
    shop.configure(profile_text(shop.venue.base_url, more=f'status_url = "{url}"\n'))
    ran = shop.run("pause")
    assert ran.code == 2
    assert "status_url" in ran.err
    assert shop.run("status", "--json").data["pause"]["state"] == "UNKNOWN"


def test_status_shows_flags_and_the_last_batch(shop):
    batch_id = plan(shop)
    ran = shop.run("status", "--json")
    assert ran.data["last_batch"]["batch_id"] == batch_id
    assert ran.data["settings"]["RECON_EXIT_BACKFILL_DRY_RUN"] == "true"
    assert batch_id in shop.run("status").out


def test_status_shows_the_batch_of_a_run_that_died_as_interrupted(shop):
    shop.sql(
        "INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)"
        " VALUES ('dead', 'main', 'dry_run', 'running', 'anna')"
    )
    plan(shop)
    batches = {one["batch_id"]: one for one in shop.run("status", "--json").data["batches"]}
    assert batches["dead"]["status"] == "interrupted"
    assert batches["dead"]["notes"] == ["the process that ran this batch ended before it"]
    assert "interrupted" in shop.run("status", COLUMNS="200").out


# --- cycle ---------------------------------------------------------------------------------------


def test_a_cycle_that_is_not_enabled_only_detects(shop):
    ran = shop.run("cycle", "--json", ENABLE_RECON_EXIT_BACKFILL="false")
    assert ran.code == 1, ran.err
    assert ran.data["batch"] is None
    assert [one["event_type"] for one in ran.data["events"]] == ["EXCHANGE_STATE_MISMATCH"]
    first_line = shop.run("cycle", ENABLE_RECON_EXIT_BACKFILL="false").out.splitlines()[0]
    assert first_line.startswith("DETECT ONLY: orders untouched")


def test_a_dry_run_says_first_that_orders_are_untouched(shop):
    shop.run("pause")
    ran = shop.run("cycle")
    assert ran.code == 1, ran.err
    assert ran.out.splitlines()[0].startswith("DRY RUN: orders untouched")
    assert "unghost go-no-go" in ran.out
    assert "unghost cycle --plan" in ran.out
    assert shop.backfills() == []


def test_a_running_profile_is_refused_with_what_to_do(shop):
    ran = shop.run("cycle")
    assert ran.code == 4, ran.err
    assert "profile_not_paused" in ran.out
    assert "unghost pause" in ran.out


def test_an_apply_says_how_many_rows_it_wrote(shop):
    shop.run("pause")
    ran = shop.run("cycle", **APPLY)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == "APPLY: 1 row written to orders."
    assert [(row[1], row[3]) for row in shop.backfills()] == [("t-1", "filled")]
    again = shop.run("cycle", "--json", **APPLY)
    assert (again.code, again.data["orders_touched"]) == (0, 0)


def test_decimals_are_strings_and_times_are_utc(shop):
    shop.run("pause")
    (row,) = shop.run("cycle", "--json").data["audit"]
    assert isinstance(row["filled_qty"], str)
    assert isinstance(row["price"], str)
    assert row["filled_at"].endswith("Z")
    assert row["created_at"].endswith("Z")


def test_a_batch_without_the_pause_gate_says_so(shop):
    ran = shop.run("cycle", RECON_EXIT_BACKFILL_REQUIRE_PAUSE="false")
    assert "NOT REQUIRED" in ran.out
    assert "RECON_EXIT_BACKFILL_REQUIRE_PAUSE is false" in ran.out


def test_an_exchange_that_does_not_answer_ends_with_3(shop):
    shop.run("pause")
    shop.configure(profile_text("http://127.0.0.1:1"))
    ran = shop.run("cycle", "--json", **APPLY)
    assert ran.code == 3, ran.err
    assert {row["reason"] for row in ran.data["audit"]} == {"exchange_state_unknown"}
    assert shop.backfills() == []
    for command in (("explain", "t-1"), ("evidence", "BTCUSDT")):
        told = " ".join(shop.run(*command, **APPLY).out.split())
        assert "Markets at binanceusdm could not be read" in told, told
        assert "does not resolve" not in told, told


def test_a_plan_is_applied_after_a_go(shop):
    batch_id = plan(shop)
    verdict = shop.run("go-no-go", batch_id, "--json")
    assert verdict.code == 0, verdict.err
    assert verdict.data["go"] is True
    assert "GO" in shop.run("go-no-go", batch_id).out
    ran = shop.run("cycle", "--plan", batch_id, "--json", **APPLY)
    assert ran.code == 0, ran.err
    assert ran.data["batch"]["plan_batch_id"] == batch_id
    assert len(shop.backfills()) == 1


def test_a_plan_is_not_applied_in_a_dry_run(shop):
    batch_id = plan(shop)
    ran = shop.run("cycle", "--plan", batch_id)
    assert ran.code == 4
    assert "RECON_EXIT_BACKFILL_DRY_RUN" in ran.err


def test_go_no_go_refuses_while_the_profile_runs(shop):
    batch_id = plan(shop)
    shop.run("resume")
    ran = shop.run("go-no-go", batch_id)
    assert ran.code == 4
    assert "NO-GO" in ran.out


# --- validate, audit, explain --------------------------------------------------------------------


def test_validate_is_clean_only_when_nothing_is_open(shop):
    before = shop.run("validate", "--json")
    assert before.code == 1
    assert [one["trade_id"] for one in before.data["ghosts"]] == ["t-1"]
    applied(shop)
    after = shop.run("validate", "--json")
    assert after.code == 0
    assert (after.data["ghosts"], after.data["decisions"]) == ([], {"APPLIED": 1})
    assert "No lifecycle is left open." in shop.run("validate").out


def test_validate_names_the_backfill_that_a_later_exit_made_superfluous(shop):
    batch_id = applied(shop)
    ((order_id, *_),) = shop.backfills()
    (at,) = shop.sql("SELECT now()")[0]
    shop.write("t-1", "EXIT", "0.5", at)
    ran = shop.run("validate")
    assert ran.code == 1
    assert f"unghost rollback {batch_id} --order {order_id}" in ran.out
    assert shop.run("rollback", batch_id, "--order", order_id, "--yes").code == 0
    assert shop.run("validate").code == 0


def test_audit_shows_the_record_and_filters_it(shop):
    batch_id = plan(shop)
    (row,) = shop.run("audit", "--json").data["rows"]
    assert (row["decision"], row["reason"]) == ("DRY_RUN", "fill_evidence")
    assert row["actor"] == "tester@desk"
    assert "DRY_RUN" in shop.run("audit", "--batch", batch_id).out
    assert shop.run("audit", "--json", "--decision", "no_go").data["rows"] == []
    assert shop.run("audit", "--json", "--trade", "t-2").data["rows"] == []


def test_explain_tells_in_sentences(shop):
    plan(shop)
    ran = shop.run("explain", "t-1")
    assert ran.code == 0, ran.err
    assert "Lifecycle t-1 of profile main" in ran.out
    assert "DRY_RUN" in ran.out
    told = shop.run("explain", "t-1", "--json").data
    assert len(told["sentences"]) > 3
    assert [row["trade_id"] for row in told["rows"]] == ["t-1"]


def test_explain_of_a_stranger_is_a_usage_error(shop):
    ran = shop.run("explain", "t-9", "--json")
    assert ran.code == 2
    assert ran.data["error"]["exit_code"] == 2
    assert "t-9" in ran.data["error"]["message"]


# --- rollback, reinstate -------------------------------------------------------------------------


def test_rollback_and_reinstate_change_the_status_only(shop):
    batch_id = applied(shop)
    ((order_id, *_),) = shop.backfills()
    ran = shop.run("rollback", batch_id, "--yes", "--json")
    assert ran.code == 0, ran.err
    assert [one["order_id"] for one in ran.data["changed"]] == [order_id]
    assert ran.data["preview"]["reopens"] == [
        {"profile_id": "main", "symbol": "BTCUSDT", "trade_id": "t-1"}
    ]
    assert [row[3] for row in shop.backfills()] == ["canceled"]
    assert shop.run("reinstate", batch_id, "--yes").code == 0
    assert [row[3] for row in shop.backfills()] == ["filled"]


def test_a_reinstate_that_finds_nothing_says_where_the_way_back_is(shop):
    """Here a person canceled the row; so it is where a batch was rolled back that only found it."""
    batch_id = applied(shop)
    shop.sql("UPDATE orders SET status = 'canceled' WHERE order_id LIKE 'BFILL-%%'")
    ran = shop.run("reinstate", batch_id, "--yes")
    assert ran.code == 0
    assert "roll this batch back first" in " ".join(ran.out.split())
    assert shop.run("rollback", batch_id, "--yes").code == 0
    assert shop.run("reinstate", batch_id, "--yes").code == 0
    assert [row[3] for row in shop.backfills()] == ["filled"]


def test_rollback_may_be_run_three_times(shop):
    batch_id = applied(shop)
    runs = [shop.run("rollback", batch_id, "--yes", "--json") for _ in range(3)]
    assert [ran.code for ran in runs] == [0, 0, 0]
    assert [len(ran.data["changed"]) for ran in runs] == [1, 0, 0]


def test_rollback_of_one_trade_leaves_the_others(shop):
    lose_an_exit(shop, shop.venue.world, "t-2", "0.7")
    batch_id = applied(shop)
    assert shop.run("rollback", batch_id, "--trade", "t-2", "--yes").code == 0
    assert {row[1]: row[3] for row in shop.backfills()} == {"t-1": "filled", "t-2": "canceled"}


@pytest.mark.parametrize("command", ("rollback", "reinstate"))
def test_without_a_terminal_yes_is_needed(shop, command):
    batch_id = applied(shop)
    if command == "reinstate":
        shop.run("rollback", batch_id, "--yes")
    before = shop.backfills()
    for arguments in ((command, batch_id), (command, batch_id, "--json")):
        ran = shop.run(*arguments, stdin="y\n")
        assert ran.code == 2
        assert "--yes" in ran.err
    assert shop.backfills() == before


def test_a_preview_is_shown_before_anything_changes(shop):
    batch_id = applied(shop)
    ran = shop.run("rollback", batch_id)
    assert "filled -> canceled" in ran.out
    assert "open again: t-1 (BTCUSDT)" in ran.out


def test_rollback_warns_of_rows_that_an_earlier_batch_wrote(shop):
    """A plan that is applied twice finds its rows standing the second time."""
    batch_id = plan(shop)
    first = shop.run("cycle", "--plan", batch_id, "--json", **APPLY).data["batch"]["batch_id"]
    second = shop.run("cycle", "--plan", batch_id, "--json", **APPLY).data["batch"]["batch_id"]
    ran = shop.run("rollback", second, "--yes")
    assert ran.code == 0, ran.err
    assert f"inserted by an earlier batch ({first})" in ran.out


def test_reinstate_is_refused_while_the_profile_runs(shop):
    batch_id = applied(shop)
    shop.run("rollback", batch_id, "--yes")
    shop.run("resume")
    ran = shop.run("reinstate", batch_id, "--yes")
    assert ran.code == 4
    assert "paused" in ran.err or "pause" in ran.err
    assert [row[3] for row in shop.backfills()] == ["canceled"]


# --- output --------------------------------------------------------------------------------------


def test_json_is_one_document_and_nothing_else(shop):
    shop.run("pause")
    for command in ("detect", "cycle", "validate", "audit", "status"):
        assert isinstance(json.loads(shop.run(command, "--json").out), dict), command


def test_numbers_are_aligned_at_the_decimal_point(shop):
    lose_an_exit(shop, shop.venue.world, "t-2", "12.125")
    lines = shop.run("detect").out.splitlines()
    points = {line.index(".") for line in lines if " t-" in line}
    assert len(points) == 1


def test_a_column_of_numbers_keeps_its_points_in_line():
    values = [Decimal("12.125"), Decimal(-3), None, Decimal("1E+3"), Decimal("0.50")]
    assert aligned(values) == ["  12.125", "  -3    ", "   -    ", "1000    ", "   0.5  "]
    assert plain(Decimal("1E-9")) == "0.000000001"
    assert aligned([]) == []
