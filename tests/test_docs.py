"""A command, setting or reason that nobody can look up is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from unghost.model import Decision, Reason
from unghost.settings import Settings

HOUSE = Path(__file__).resolve().parent.parent
README = (HOUSE / "README.md").read_text(encoding="utf-8")
REASONS = (HOUSE / "docs/reasons.md").read_text(encoding="utf-8")
COMMANDS = (
    "demo init doctor detect evidence cycle go-no-go validate rollback reinstate audit explain"
    " pause resume status sql"
)


@pytest.mark.parametrize("word", (*Reason, *Decision))
def test_every_reason_and_decision_is_documented(word):
    assert f"`{word}`" in REASONS


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_is_in_the_readme(command):
    assert command in README


def test_every_setting_is_in_the_readme():
    names = [str(field.alias or field.validation_alias) for field in Settings.model_fields.values()]
    assert [name for name in names if name.isupper() and f"`{name}`" not in README] == []
