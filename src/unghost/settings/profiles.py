"""The profiles of `unghost.toml`: which books belong to which exchange account.

The file holds names of environment variables and never a secret; a value that looks like one is
refused without being printed.
"""

from __future__ import annotations

import os
import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from unghost.errors import ConfigurationError, quoted
from unghost.model import ProfileRef
from unghost.settings import parsing
from unghost.settings.variables import DEFAULT_CONFIG, Settings

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_EXCHANGE_ID = re.compile(r"[a-z][a-z0-9]*", re.ASCII)
_LONGEST_VARIABLE_NAME: Final = 64
_SECRETS_ARE_AT_LEAST: Final = 20
LONGEST_NAME: Final = 100
SLOWEST_MS: Final = 60_000
"""A call a minute: what is slower would never end a cycle."""

EXAMPLE: Final = """\
[profiles.main]
exchange = "binanceusdm"
market = "swap"
api_key_env = "MAIN_API_KEY"
secret_env = "MAIN_SECRET"
"""


class MarketKind(StrEnum):
    """The kind of market that a profile trades."""

    SWAP = "swap"
    SPOT = "spot"
    MARGIN = "margin"


class QuantityUnit(StrEnum):
    """What the quantities of the ledger count."""

    BASE = "base"
    CONTRACTS = "contracts"


class _ShownNotAtAll(ValueError):
    """A problem with a value that may be a secret: the value must not be printed."""


def looks_like_a_secret(text: str) -> bool:
    """Whether a text is too long and too mixed to be the name of a variable."""
    if len(text) > _LONGEST_VARIABLE_NAME:
        return True
    has_digit = any(letter.isdigit() for letter in text)
    is_mixed = text != text.upper() and text != text.lower()
    is_jumbled = (has_digit and is_mixed) or ("_" not in text and (has_digit or is_mixed))
    return len(text) >= _SECRETS_ARE_AT_LEAST and is_jumbled


def _variable(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not _VARIABLE_NAME.fullmatch(text) or looks_like_a_secret(text):
        raise _ShownNotAtAll(
            "give the name of an environment variable, as in MAIN_API_KEY;"
            " a secret itself does not belong into this file"
        )
    return text


def _exchange_id(value: object) -> str:
    # `nan` without quotes is a number in TOML, and no exchange.
    text = value.strip() if isinstance(value, str) else ""
    if not _EXCHANGE_ID.fullmatch(text):
        raise ValueError("give a CCXT exchange id, as in binanceusdm")
    return text


def _name(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"give a name of 1 to {LONGEST_NAME} printable characters")
    return text


_Variable = Annotated[str, BeforeValidator(_variable)]
_Origin = Annotated[str, BeforeValidator(parsing.http_origin)]
_Url = Annotated[str, BeforeValidator(parsing.http_url)]


class Profile(BaseModel):
    """One table `[profiles.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_name)]
    exchange: Annotated[str, BeforeValidator(_exchange_id)] = Field(
        description="a CCXT exchange id"
    )
    market: Annotated[MarketKind, BeforeValidator(parsing.one_of(MarketKind))] = Field(
        description="swap, spot or margin"
    )
    api_key_env: _Variable = Field(description="name of the variable with the API key")
    secret_env: _Variable = Field(description="name of the variable with the secret")
    password_env: _Variable | None = Field(
        default=None, description="name of the variable with the password, where there is one"
    )
    base_url: _Origin | None = Field(
        default=None, description="scheme and host of every REST call; default: the exchange's own"
    )
    status_url: _Url | None = Field(
        default=None, description="where the bot tells its trading status; default: unghost's own"
    )
    account_name: Annotated[str, AfterValidator(_name)] | None = Field(
        default=None,
        alias="account",
        description="profiles of one account share its fills; default: exchange and api_key_env",
    )
    quantity_unit: Annotated[QuantityUnit, BeforeValidator(parsing.one_of(QuantityUnit))] = Field(
        default=QuantityUnit.BASE, description="base, or contracts where the ledger keeps those"
    )

    rate_limit_ms: Annotated[
        int | None, BeforeValidator(parsing.whole(1, SLOWEST_MS, "milliseconds"))
    ] = Field(
        default=None,
        description="milliseconds between two calls; default: what CCXT keeps for the exchange",
    )

    @property
    def account(self) -> str:
        """The exchange account: as named, else told apart by exchange and key."""
        return self.account_name or f"{self.exchange}:{self.api_key_env}"

    @property
    def place(self) -> tuple[str, MarketKind]:
        """The exchange and the sort of market: fills of one are never fills of another."""
        return self.exchange, self.market

    def secret(self, variable: str) -> SecretStr:
        """The value of a secret's variable. Raises ConfigurationError where it is not set."""
        value = os.environ.get(variable, "").strip()
        if not value:
            raise ConfigurationError(
                f"The environment variable {variable}, which profile {self.name} names for its"
                " exchange account, is not set: set it, or name another one in the profiles' file."
            )
        return SecretStr(value)

    def secret_variables(self) -> tuple[str, ...]:
        """The names of the variables that hold this profile's secrets."""
        names = (self.api_key_env, self.secret_env, self.password_env)
        return tuple(name for name in names if name is not None)


PROFILE_KEYS: Final = tuple(
    field.alias or name for name, field in Profile.model_fields.items() if name != "name"
)


class Profiles(BaseModel):
    """All profiles of the file, in its order; none where there is no file."""

    model_config = ConfigDict(frozen=True)

    path: Path
    exists: bool
    by_name: dict[str, Profile] = {}

    def names(self) -> tuple[str, ...]:
        """The profiles that there are."""
        return tuple(self.by_name)

    def reference(self, name: str) -> ProfileRef:
        """Which books are meant; a profile without a file is an account of its own."""
        profile = self.by_name.get(name)
        if profile is None:
            return ProfileRef(profile_id=name, account=f"profile:{name}", account_profiles=(name,))
        others = sorted(self.by_name.values(), key=lambda other: other.name)
        near = [other for other in others if other.place == profile.place]
        return ProfileRef(
            profile_id=name,
            account=profile.account,
            # One account may trade swaps and spot: BTCUSDT is then the name of two markets.
            account_profiles=tuple(o.name for o in near if o.account == profile.account),
            neighbours=tuple(o.name for o in near if o.account != profile.account),
            elsewhere=tuple(other.name for other in others if other.place != profile.place),
        )


def load_profiles(settings: Settings) -> Profiles:
    """Read the profiles' file. Raises ConfigurationError naming file, profile, key and value."""
    path = settings.config
    if path == DEFAULT_CONFIG and not path.exists():
        return Profiles(path=path, exists=False)
    return Profiles(path=path, exists=True, by_name=_profiles(_document(path), path))


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(parsing.text_of_file(path))
    except FileNotFoundError:
        raise ConfigurationError(
            f"UNGHOST_CONFIG is {str(path)!r}, and there is no such file: correct it or unset it."
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not a text in UTF-8: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, or tables thousands deep: TOML, but nobody's profiles.
        raise ConfigurationError(f"{path} holds numbers or tables that nobody can read.") from None


def _profiles(document: dict[str, Any], path: Path) -> dict[str, Profile]:
    problems = [
        f"{key}: no such key, {parsing.suggestion(key, ('profiles',))}"
        for key in document
        if key != "profiles"
    ]
    found: dict[str, Profile] = {}
    tables = document.get("profiles", {})
    if not isinstance(tables, dict):
        tables = {}
        problems.append("profiles: give one table for each, [profiles.NAME]")
    for name, table in tables.items():
        profile, wrong = _profile(name, table)
        problems += wrong
        if profile is not None:
            found[name] = profile
    problems += _disagreements(found)
    if problems:
        raise ConfigurationError(f"{path} cannot be used:\n  " + "\n  ".join(problems))
    return found


def _disagreements(found: dict[str, Profile]) -> list[str]:
    """Profiles of one account are read through one client, and their rows are summed."""
    problems = []
    first: dict[str, Profile] = {}
    for profile in found.values():
        other = first.setdefault(profile.account, profile)
        problems += [
            f"profiles {other.name} and {profile.name} share the account {profile.account!r} but"
            f" differ in {key}: give both the same, or accounts of their own"
            for key in ("exchange", "quantity_unit")
            if getattr(other, key) != getattr(profile, key)
        ]
    return [*problems, *_one_key_two_accounts(found)]


def _one_key_two_accounts(found: dict[str, Profile]) -> list[str]:
    """One key is one account: told apart by the names of its variables, both would use its fills.

    Who gives both profiles an account by name has said that they are two.
    """
    first: dict[tuple[str, ...], Profile] = {}
    problems = []
    for profile in found.values():
        key = os.environ.get(profile.api_key_env, "").strip()
        place = (profile.exchange, str(profile.market), str(profile.base_url), key)
        other = first.setdefault(place, profile) if key else profile
        named = other.account_name and profile.account_name
        if other.account != profile.account and not named:
            problems.append(
                f"profiles {other.name} and {profile.name} have the same API key of"
                f" {profile.exchange} but different accounts ({other.account!r} and"
                f" {profile.account!r}): give both the same account, or the same fills would be"
                " used twice"
            )
    return problems


def _profile(name: str, table: object) -> tuple[Profile | None, list[str]]:
    if not isinstance(table, dict):
        return None, [f"profiles.{name}: give a table, [profiles.{name}]"]
    if "name" in table:
        return None, [f"profiles.{name}.name: no such key, the table's own name is the profile's"]
    try:
        return Profile.model_validate({**table, "name": name}), []
    except ValidationError as error:
        return None, [_problem(name, dict(one)) for one in error.errors()]


def _problem(name: str, one: dict[str, Any]) -> str:
    key = str(one["loc"][0])
    place = f"profiles.{name}" if key == "name" else f"profiles.{name}.{key}"
    if one["type"] == "missing":
        return f"{place} is missing: {Profile.model_fields[key].description}"
    if one["type"] == "extra_forbidden":
        return f"{place}: no such key, {parsing.suggestion(key, PROFILE_KEYS)}"
    cause = one.get("ctx", {}).get("error")
    if isinstance(cause, _ShownNotAtAll) or key.endswith("_url"):
        return f"{place} (its value is not shown): {cause}"
    return f"{place} is {quoted(one['input'])}: {cause or one['msg']}"
