"""What is in ops/ names settings, commands and files that exist, and is as closed as it says."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from unghost.demo.house import API_KEY_VARIABLE, SECRET_VARIABLE
from unghost.settings.variables import OUR_PREFIXES, known_variables

HOUSE = Path(__file__).resolve().parents[1]
OPS = HOUSE / "ops"
KNOWN = {info.name for info in known_variables()}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((OPS / "compose.yaml").read_text(encoding="utf-8"))


def ours(names) -> set[str]:
    return {name for name in names if name.startswith((*OUR_PREFIXES, "DATABASE_URL"))}


def test_the_unit_is_closed_and_names_our_settings():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    text = (OPS / "unghost.service").read_text(encoding="utf-8")
    unit.read_string(text)
    service = unit["Service"]
    for name in ("NoNewPrivileges", "DynamicUser", "ProtectHome", "PrivateDevices", "PrivateTmp"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ExecStart"].endswith("/unghost serve")
    assert ours(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)) <= KNOWN


def test_the_image_is_built_from_the_locks_and_runs_without_rights():
    text = (OPS / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((HOUSE / name).exists() for names in copied for name in names.split())
    assert "--require-hashes" in text
    user = [line for line in text.splitlines() if line.startswith("USER ")]
    assert user == ["USER unghost"]
    assert ours(re.findall(r"\b([A-Z]+_[A-Z_]+)=", text)) <= KNOWN


def test_the_compose_file_names_what_is_there(compose):
    assert set(compose["services"]) == {"database", "sample", "venue", "unghost"}
    for service in compose["services"].values():
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert volumes <= set(compose["volumes"])
        assert all(published.startswith("127.0.0.1:") for published in service.get("ports", ()))


def test_the_compose_file_gives_the_service_its_settings_and_no_secret(compose):
    given = compose["services"]["unghost"]["environment"]
    assert set(given) - ours(given) == {API_KEY_VARIABLE, SECRET_VARIABLE}
    assert "password" not in given["DATABASE_URL"]
    assert given["UNGHOST_TOKENS_FILE"].startswith("/run/secrets/")


@pytest.mark.parametrize("name", ("venue", "unghost"))
def test_what_runs_on_is_closed(compose, name):
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
