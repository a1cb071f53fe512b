"""Nothing that a person can set or type is left out of the documents."""

from pathlib import Path

import pytest

from unghost.cli.commands import COMMANDS
from unghost.settings import known_variables
from unghost.settings.profiles import PROFILE_KEYS

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def documents() -> str:
    files = [HOUSE / "README.md", *sorted((HOUSE / "docs").glob("*.md"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("name", [info.name for info in known_variables()])
def test_every_setting_is_in_the_documents(documents, name):
    assert f"`{name}" in documents


@pytest.mark.parametrize("key", PROFILE_KEYS)
def test_every_key_of_a_profile_is_in_the_documents(documents, key):
    assert key in documents


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_every_command_is_in_the_documents(documents, name):
    assert f"unghost {name}" in documents
