"""Where the demo happens: a folder of its own with a database, a ledger, and a simulated venue.

Everything that is started here is stopped when the block ends, however it ends; the data stays.
"""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.sample_rows import empty_database
from unghost.demo.sample import ACCOUNT, PROFILE, Sample, build_sample
from unghost.demo.venue import spawned_venue
from unghost.errors import ConfigurationError, EnvironmentFailure, RefusedError
from unghost.settings.variables import OUR_PREFIXES

FOLDER: Final = "demo"
API_KEY_VARIABLE: Final = "DEMO_API_KEY"
SECRET_VARIABLE: Final = "DEMO_API_SECRET"  # noqa: S105 - the name of a variable, not a secret
QUIET_SECONDS: Final = 600
"""Longer than the demo lasts on the slowest machine, so that one lifecycle stays unquiet."""

_NOT_INHERITED: Final = frozenset({"DATABASE_URL", "COLUMNS", "LINES"})
_NO_BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"

_PROFILE_FILE: Final = """\
# Written by `unghost demo`; made anew each time.
[profiles.{profile}]
exchange = "binanceusdm"
market = "swap"
api_key_env = "{key}"
secret_env = "{secret}"
base_url = "{base_url}"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """The demo's surroundings while it runs. `variables` are what a user would export."""

    folder: Path
    database: Database
    sample: Sample
    variables: Mapping[str, str]

    @property
    def variables_file(self) -> Path:
        """A file for a shell to read, so that people can look around afterwards."""
        return self.folder / "environment"


@contextmanager
def open_house(home: Path, *, tell: Callable[[str], None]) -> Iterator[House]:
    """Set everything up under `home`/demo, empty.

    Raises RefusedError while another demo runs there, EnvironmentFailure where a part does not
    start.
    """
    folder = home.expanduser().resolve() / FOLDER
    with (
        _alone_in(folder),
        embedded_database(folder, tell=tell) as conninfo,
        closing(Database(conninfo)) as database,
    ):
        empty_database(database)
        sample = build_sample(datetime.now(UTC))
        with _venue(sample) as base_url:
            variables = _variables(folder, sample)
            house = House(folder=folder, database=database, sample=sample, variables=variables)
            _write_files(house, base_url)
            yield house


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    try:
        _make(folder)
        lock = os.open(folder / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigurationError(
            f"The demo cannot use {folder} ({why}): choose another folder with UNGHOST_HOME."
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f"Another demo is running in {folder}: wait until it ends, or give this one a"
                " folder of its own with UNGHOST_HOME."
            ) from None
        yield
    finally:
        os.close(lock)


def _make(folder: Path) -> None:
    """Open to pass through, because the server may run as another account; its data is not."""
    for one in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        with suppress(FileExistsError):
            one.mkdir()
            one.chmod(0o755)


@contextmanager
def _venue(sample: Sample) -> Iterator[str]:
    """The address of the simulated exchange, which is a process of its own."""
    with ExitStack() as stack:
        try:
            control = stack.enter_context(spawned_venue(sample.world))
        except (OSError, TimeoutError) as error:
            raise EnvironmentFailure(f"The simulated exchange did not start: {error}.") from error
        yield control.base_url


def _variables(folder: Path, sample: Sample) -> dict[str, str]:
    account = sample.world.account(ACCOUNT)
    return {
        "UNGHOST_HOME": str(folder),
        "UNGHOST_CONFIG": str(folder / "unghost.toml"),
        "UNGHOST_ACTOR": "demo",
        "RECON_EXIT_BACKFILL_QUIET_SECONDS": str(QUIET_SECONDS),
        API_KEY_VARIABLE: account.api_key,
        SECRET_VARIABLE: account.secret,
    }


def profile_file(base_url: str) -> str:
    """The text of an `unghost.toml` whose one profile is the sample's."""
    return _PROFILE_FILE.format(
        profile=PROFILE, key=API_KEY_VARIABLE, secret=SECRET_VARIABLE, base_url=base_url
    )


def _write_files(house: House, base_url: str) -> None:
    (house.folder / "unghost.toml").write_text(profile_file(base_url), encoding="utf-8")
    lines = ["# Written by `unghost demo`. Read it with: . ./environment"]
    lines += [f"export {name}={shlex.quote(text)}" for name, text in house.variables.items()]
    house.variables_file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def bare_environment(folder: Path) -> dict[str, str]:
    """This process's environment without settings of unghost: the demo has its own.

    Where Python may keep no bytecode, each command would compile CCXT anew, for many seconds; then
    it is kept in the demo's folder, and nowhere else.
    """
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(OUR_PREFIXES) and name not in _NOT_INHERITED
    }
    if kept.pop(_NO_BYTECODE, ""):
        kept["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return kept
