"""A command, setting or reason that nobody can look up is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unghost.adapters.exchange.venues import READERS
from unghost.model import Decision, Reason
from unghost.settings import Settings

HOUSE = Path(__file__).resolve().parent.parent
README = (HOUSE / "README.md").read_text(encoding="utf-8")
REASONS = (HOUSE / "docs/reasons.md").read_text(encoding="utf-8")
SCALE = (HOUSE / "docs/scale.md").read_text(encoding="utf-8")
VENUES = (HOUSE / "docs/add-a-venue.md").read_text(encoding="utf-8")
COMMANDS = (
    "demo init doctor detect evidence import-fills cycle go-no-go validate rollback reinstate audit"
    " explain pause resume status sql"
)


@pytest.mark.parametrize(("exchange", "market"), READERS)
def test_every_reader_is_among_the_venues_in_figures(exchange, market):
    assert f"| `{exchange}` | {market} |" in VENUES


ALONE = ("grants", "indexes", "migrations", "requirements", "sample", "sample_rows", "schema")
"""Statements that set things up, once."""


def unsharded():
    """Statements on the bot's ledger or our tables that do not name the profile."""
    for path in sorted((HOUSE / "src/unghost/sql").glob("*.sql")):
        _, *blocks = re.split(r"^-- name: ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for name, block in (one.split("\n", 1) for one in blocks):
            words = re.sub("--.*", "", block)
            tables = re.search(
                r"\b(orders|\w+_audit|reconciliation_\w+|procrastinate_\w+)\b", words
            )
            if path.stem not in ALONE and tables and "profile_id" not in words:
                yield f"{path.stem}: {name}"


def test_what_a_sharded_database_would_ask_everywhere_is_told():
    told = set(re.findall(r"^\| (`.*?`) \|", SCALE, re.MULTILINE))
    names = {name for line in told for name in re.findall(r"`(\w+: \w+)`", line)}
    assert names == set(unsharded())


@pytest.mark.parametrize("word", (*Reason, *Decision))
def test_every_reason_and_decision_is_documented(word):
    assert f"`{word}`" in REASONS


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_is_in_the_readme(command):
    assert command in README


def test_every_setting_is_in_the_readme():
    names = [str(field.alias or field.validation_alias) for field in Settings.model_fields.values()]
    assert [name for name in names if name.isupper() and f"`{name}`" not in README] == []


def test_every_picture_and_page_that_the_readme_shows_is_there():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert "docs/images/demo.svg" in links
    assert [link for link in links if not (HOUSE / link).exists()] == []


def test_the_picture_shows_the_demo_to_its_end_and_needs_nothing_from_afar():
    picture = (HOUSE / "docs/images/demo.svg").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", picture).replace("&#160;", " ")
    assert re.search(r"All\s\d+\ssteps\sended\sas\sthey\smust", text)
    assert re.findall(r"url\([^#]|@import|<image|href=", picture) == []
