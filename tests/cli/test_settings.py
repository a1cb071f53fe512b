"""Every variable: its name, its default, what is taken and what is refused, and in which words."""

import os
import re
from decimal import Decimal
from pathlib import Path

import pytest

from unghost.errors import ConfigurationError
from unghost.model import BLOCKER_STATUSES, AttributionPolicy, Mode
from unghost.settings import (
    LogFormat,
    LogLevel,
    Settings,
    known_variables,
    load_settings,
    unknown_variables,
)
from unghost.settings.variables import OUR_PREFIXES, default_home

CHECKLIST = {
    "ENABLE_RECON_EXIT_BACKFILL": "false",
    "RECON_EXIT_BACKFILL_DRY_RUN": "true",
    "RECON_EXIT_BACKFILL_REQUIRE_PAUSE": "true",
    "RECON_EXIT_BACKFILL_DUST_ABS_QTY": "0.001",
    "RECON_EXIT_BACKFILL_DUST_REL_PCT": "0.002",
    "RECON_EXIT_BACKFILL_LOOKBACK_HOURS": "72",
    "EXCHANGE_STATE_MISMATCH_THROTTLE_MS": "300000",
}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in list(os.environ):
        if name.startswith(OUR_PREFIXES) or name == "DATABASE_URL":
            monkeypatch.delenv(name)


def loaded(monkeypatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def refused(monkeypatch, **values: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(monkeypatch, **values)
    return str(caught.value)


def test_the_checklists_variables_have_its_names_and_defaults():
    defaults = {info.name: info.default for info in known_variables()}
    assert {name: defaults[name] for name in CHECKLIST} == CHECKLIST
    assert list(defaults)[: len(CHECKLIST)] == list(CHECKLIST)


def test_defaults_are_the_safe_state():
    settings = load_settings()
    assert (settings.enabled, settings.dry_run, settings.require_pause) == (False, True, True)
    assert settings.mode is Mode.DRY_RUN
    assert (settings.quiet_seconds, settings.max_rows) == (60, 10_000)
    assert settings.attribution is AttributionPolicy.FIFO
    assert settings.blocker_statuses == BLOCKER_STATUSES
    assert settings.database_url is None
    assert settings.config == Path("unghost.toml")
    assert "@" in settings.actor


def test_every_variable_says_in_one_line_what_it_is():
    for info in known_variables():
        assert len(info.description) > 10, info.name
        assert "\n" not in info.description


def test_root_keeps_its_data_out_of_its_home(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home() == Path("/var/lib/unghost")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_home().name == "unghost"
    assert default_home() != Path("/var/lib/unghost")


@pytest.mark.parametrize(
    ("text", "value"),
    (("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("No", False)),
)
def test_a_switch_understands_six_words(monkeypatch, text, value):
    assert loaded(monkeypatch, RECON_EXIT_BACKFILL_DRY_RUN=text).dry_run is value


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    (
        ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "0.1", "dust_abs_qty", Decimal("0.1")),
        ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "1e-8", "dust_abs_qty", Decimal("1e-8")),
        ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "0", "dust_abs_qty", Decimal(0)),
        ("RECON_EXIT_BACKFILL_DUST_REL_PCT", "0.05", "dust_rel_pct", Decimal("0.05")),
        ("RECON_EXIT_BACKFILL_LOOKBACK_HOURS", "168", "lookback_hours", 168),
        ("EXCHANGE_STATE_MISMATCH_THROTTLE_MS", "0", "throttle_ms", 0),
        ("RECON_EXIT_BACKFILL_QUIET_SECONDS", "0", "quiet_seconds", 0),
        ("RECON_EXIT_BACKFILL_MAX_ROWS", "1", "max_rows", 1),
        ("RECON_EXIT_BACKFILL_MAX_NOTIONAL", "2.5e6", "max_notional", Decimal(2_500_000)),
        ("RECON_EXIT_BACKFILL_MAX_NOTIONAL", "None", "max_notional", None),
        ("RECON_EXIT_BACKFILL_MAX_SHARE", "1", "max_share", Decimal(1)),
        ("UNGHOST_ATTRIBUTION", "Strict", "attribution", AttributionPolicy.STRICT),
        ("UNGHOST_BLOCKER_STATUSES", "New, held", "blocker_statuses", frozenset({"new", "held"})),
        ("UNGHOST_PLAN_TTL_MINUTES", "5", "plan_ttl_minutes", 5),
        ("UNGHOST_HTTP_TIMEOUT_SECONDS", "3", "http_timeout_seconds", 3),
        ("UNGHOST_HOME", "/srv/unghost", "home", Path("/srv/unghost")),
        ("UNGHOST_CONFIG", "/etc/unghost.toml", "config", Path("/etc/unghost.toml")),
        ("UNGHOST_ACTOR", "nadia", "actor", "nadia"),
        ("UNGHOST_LOG_FORMAT", "json", "log_format", LogFormat.JSON),
        ("UNGHOST_LOG_LEVEL", "DEBUG", "log_level", LogLevel.DEBUG),
        ("ENABLE_RECON_EXIT_BACKFILL", "true", "enabled", True),
        ("RECON_EXIT_BACKFILL_REQUIRE_PAUSE", "false", "require_pause", False),
    ),
)
def test_a_variable_is_read(monkeypatch, name, text, field, value):
    settings = loaded(monkeypatch, **{name: text})
    assert getattr(settings, field) == value
    assert type(getattr(settings, field)) is type(value) or field in {"home", "config"}


def test_an_amount_never_goes_through_float(monkeypatch):
    text = "0.1000000000000000055511151231257827"
    settings = loaded(monkeypatch, RECON_EXIT_BACKFILL_DUST_ABS_QTY=text)
    assert str(settings.dust_abs_qty) == text


WRONG = [
    ("ENABLE_RECON_EXIT_BACKFILL", "on", "true or false"),
    ("ENABLE_RECON_EXIT_BACKFILL", "", "set but empty"),
    ("RECON_EXIT_BACKFILL_DRY_RUN", "flase", "true or false"),
    ("RECON_EXIT_BACKFILL_REQUIRE_PAUSE", "2", "true or false"),
    ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "-0.001", "not negative"),
    ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "1.1", "base units from 0 to 1"),
    ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "1e30", "base units from 0 to 1"),
    ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "NaN", "finite number"),
    ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "Infinity", "finite number"),
    ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "0,001", "decimal point"),
    ("RECON_EXIT_BACKFILL_DUST_ABS_QTY", "1_000", "decimal point"),
    ("RECON_EXIT_BACKFILL_DUST_REL_PCT", "0.2", "fraction from 0 to 0.05"),
    ("RECON_EXIT_BACKFILL_DUST_REL_PCT", "0.0500001", "fraction from 0 to 0.05"),
    ("RECON_EXIT_BACKFILL_DUST_REL_PCT", "-1", "not negative"),
    ("RECON_EXIT_BACKFILL_LOOKBACK_HOURS", "0", "from 1 to"),
    ("RECON_EXIT_BACKFILL_LOOKBACK_HOURS", "72.5", "whole number of hours"),
    ("EXCHANGE_STATE_MISMATCH_THROTTLE_MS", "-1", "milliseconds"),
    ("RECON_EXIT_BACKFILL_QUIET_SECONDS", "a minute", "seconds"),
    ("RECON_EXIT_BACKFILL_MAX_ROWS", "0", "from 1 to"),
    ("RECON_EXIT_BACKFILL_MAX_NOTIONAL", "-1", "or none"),
    ("RECON_EXIT_BACKFILL_MAX_NOTIONAL", "any", "or none"),
    ("RECON_EXIT_BACKFILL_MAX_SHARE", "50", "fraction from 0 to 1"),
    ("UNGHOST_ATTRIBUTION", "lifo", "fifo, strict"),
    ("UNGHOST_BLOCKER_STATUSES", "new,,open", "parted by commas"),
    ("UNGHOST_BLOCKER_STATUSES", "new,filled", "filled"),
    ("UNGHOST_PLAN_TTL_MINUTES", "0", "minutes"),
    ("UNGHOST_HTTP_TIMEOUT_SECONDS", "9999", "from 1 to 300"),
    ("UNGHOST_LOG_FORMAT", "xml", "auto, console, json"),
    ("UNGHOST_LOG_LEVEL", "loud", "debug, info, warning, error"),
    ("UNGHOST_ACTOR", " ", "printable"),
    ("UNGHOST_HOME", "", "set but empty"),
    ("UNGHOST_CONFIG", "", "set but empty"),
    ("DATABASE_URL", "", "postgresql://"),
    ("UNGHOST_BIND", "127.0.0.1", "host and a port"),
    ("UNGHOST_BIND", "http://127.0.0.1:80", "host and a port"),
    ("UNGHOST_BIND", "127.0.0.1:99999", "host and a port"),
    ("UNGHOST_TOKENS", "", "set but empty"),
    ("UNGHOST_TOKENS_FILE", "", "set but empty"),
    ("UNGHOST_FOUR_EYES", "both", "true or false"),
    ("UNGHOST_LOOP", "on", "flags, dry_run, off"),
    ("UNGHOST_LOOP_SECONDS", "7", "divide a minute"),
    ("UNGHOST_LOOP_SECONDS", "90", "divide an hour"),
    ("UNGHOST_LOOP_SECONDS", "0", "from 1 to"),
    ("UNGHOST_LOOP_CONCURRENCY", "9", "from 1 to 8"),
    ("UNGHOST_PACE_DIVIDED_BY", "0", "from 1 to 1000"),
    ("UNGHOST_FULL_SCAN_MINUTES", "1441", "from 0 to 1440"),
    ("UNGHOST_NOTIFY", "", "set but empty"),
    ("UNGHOST_NOTIFY_SECONDS", "-1", "seconds"),
]


@pytest.mark.parametrize(("name", "text", "allowed"), WRONG)
def test_a_wrong_value_names_variable_value_and_what_is_allowed(monkeypatch, name, text, allowed):
    words = refused(monkeypatch, **{name: text})
    assert name in words
    assert allowed in words
    assert repr(text) in words or not text or name == "DATABASE_URL"


def test_every_variable_that_can_be_wrong_is_tested_with_a_wrong_value():
    assert {name for name, _, _ in WRONG} == {info.name for info in known_variables()}


def test_all_wrong_values_are_named_at_once(monkeypatch):
    words = refused(
        monkeypatch,
        RECON_EXIT_BACKFILL_DRY_RUN="maybe",
        RECON_EXIT_BACKFILL_LOOKBACK_HOURS="soon",
        UNGHOST_LOG_LEVEL="loud",
    )
    assert words.startswith("3 settings cannot be used")
    for name in ("DRY_RUN is 'maybe'", "LOOKBACK_HOURS is 'soon'", "LOG_LEVEL is 'loud'"):
        assert name in words


def test_a_database_url_is_never_shown(monkeypatch):
    words = refused(monkeypatch, DATABASE_URL="mysql://bot:hunter2@db/ledger")
    assert "DATABASE_URL" in words
    assert "hunter2" not in words
    monkeypatch.setenv("DATABASE_URL", "postgresql://bot:hunter2@db/ledger")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.shown())
    assert settings.shown()["DATABASE_URL"] == "set (secret)"


@pytest.mark.parametrize("text", ("postgres://db/x", "postgresql://u:p@h:1/x", "host=db dbname=x"))
def test_a_database_may_be_given_as_url_or_as_words(monkeypatch, text):
    settings = loaded(monkeypatch, DATABASE_URL=text)
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == text


def test_what_is_shown_can_be_given_back(monkeypatch):
    shown = load_settings().shown()
    given = {name: text for name, text in shown.items() if text != "unset"}
    assert loaded(monkeypatch, **given).shown() == shown


def test_a_misspelt_variable_is_named_with_the_nearest_one():
    found = unknown_variables(
        {
            "RECON_EXIT_BACKFILL_DRYRUN": "false",
            "UNGHOST_ZZZZ": "1",
            "UNGHOST_CI": "1",
            "UNGHOST_MAIN_KEY": "k",
            "RECON_EXIT_BACKFILL_DRY_RUN": "true",
            "PATH": "/bin",
        },
        also_known=["UNGHOST_MAIN_KEY"],
    )
    assert found == (
        ("RECON_EXIT_BACKFILL_DRYRUN", "RECON_EXIT_BACKFILL_DRY_RUN"),
        ("UNGHOST_ZZZZ", None),
    )


@pytest.mark.parametrize(
    "slip",
    (
        "RECON_EXIT_BACKFIL_MAX_ROWS",
        "RECON_EXITBACKFILL_MAX_ROWS",
        "recon_exit_backfill_max_rows",
    ),
)
def test_a_slip_in_the_beginning_of_a_name_is_noticed_too(slip):
    assert unknown_variables({slip: "5"}) == ((slip, "RECON_EXIT_BACKFILL_MAX_ROWS"),)


def test_names_of_the_bots_own_are_no_slips():
    bots = ("RECON_INTERVAL_MS", "RECONNECT_SECONDS", "EXCHANGE_STATE_DIR")
    assert unknown_variables(dict.fromkeys(bots, "5")) == ()


def test_what_the_tests_and_the_build_read_is_no_misspelt_setting():
    """A warning of them would be one line more of errors, and tests of those lines would fail."""
    house = Path(__file__).resolve().parents[2]
    files = [house / "Makefile", house / ".ci" / "run", *(house / "tests").rglob("*.py")]
    read = re.compile(r"""(?:environ(?:\.get\(|\[)|export |@)["']?(UNGHOST_[A-Z_]+)""")
    found = {name for file in files for name in read.findall(file.read_text(encoding="utf-8"))}
    assert {"UNGHOST_CI", "UNGHOST_CRASH_POINTS", "UNGHOST_SOAK_SEED"} <= found
    assert unknown_variables(dict.fromkeys(found, "1"), also_known=[]) == ()
