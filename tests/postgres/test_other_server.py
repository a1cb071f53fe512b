"""The tests run on the release that was asked for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import psycopg
from tests.other_server import PROGRAMS_VARIABLE

from unghost.adapters.postgres.server_programs import installed_programs


def test_the_release_that_was_asked_for_answers(server):
    asked_for = os.environ.get(PROGRAMS_VARIABLE)
    programs = Path(asked_for) if asked_for else installed_programs(None) / "bin"
    told = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    (release,) = re.findall(r"PostgreSQL\) (\d+)", told)
    with psycopg.connect(server) as connection:
        assert connection.info.server_version // 10_000 == int(release)
