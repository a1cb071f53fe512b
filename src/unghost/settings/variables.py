"""The settings that come from environment variables, each with its name, default and meaning.

The first seven are the checklist's. An absent variable means its default; one that is set but
cannot be used stops the run, and all wrong ones are named at once.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from unghost.errors import ConfigurationError, quoted
from unghost.model import BLOCKER_STATUSES, FILLED_STATUSES, AttributionPolicy, Mode
from unghost.settings import parsing

LARGEST_DUST_FRACTION: Final = Decimal("0.05")
LARGEST_DUST_QTY: Final = Decimal(1)
OUR_PREFIXES: Final = (
    "ENABLE_RECON_",
    "EXCHANGE_STATE_MISMATCH_",
    "RECON_EXIT_BACKFILL_",
    "UNGHOST_",
)
SLIPS: Final = ("ENABLE_RECON", "EXCHANGE_STATE", "RECON", "UNGHOST")
"""How a misspelt name of ours may begin, in whatever case. The bot may have such names of its
own, so one counts only where a setting is near: a ceiling with a slip in its name would be none."""

NOT_SETTINGS: Final = frozenset(
    {
        "UNGHOST_CI",
        "UNGHOST_CRASH_POINTS",
        "UNGHOST_EXAMPLES",
        "UNGHOST_PROOF",
        "UNGHOST_SOAK_SECONDS",
        "UNGHOST_SOAK_SEED",
        "UNGHOST_SOAK_SHRINK",
        "UNGHOST_SOAK_WAY",
        "UNGHOST_TEST_COLD",
        "UNGHOST_TEST_HOME",
        "UNGHOST_TEST_POSTGRES",
        "UNGHOST_WORLDS",
        "UNGHOST_WORLDS_FROM",
    }
)
"""Ours, but read by the build and the tests, and not by the program."""

DEFAULT_CONFIG: Final = Path("unghost.toml")
LONGEST_ACTOR: Final = 200
LONGEST_REASON: Final = 500
LONGEST_PATH: Final = 1000


class LogFormat(StrEnum):
    """How log lines look; `auto` is console on a terminal and JSON elsewhere."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class LoopMode(StrEnum):
    """What the loop's cycles may do."""

    FLAGS = "flags"
    DRY_RUN = "dry_run"
    OFF = "off"


class LogLevel(StrEnum):
    """From which level on log lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def default_home() -> Path:
    """The platform's user data folder; a system folder for root, never root's home.

    The embedded server runs as another user when root starts it, and needs the folders above its
    data to be open to that user.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/unghost")
    return user_data_path("unghost", appauthor=False)


def default_actor() -> str:
    """Who runs this, as the operating system knows it: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a container's user may have no name
    return f"{user}@{socket.gethostname()}"


def _database_url(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value).strip()
    is_url = text.startswith(("postgresql://", "postgres://"))
    is_conninfo = "://" not in text and "=" in text
    if not (is_url or is_conninfo):
        raise ValueError(
            "give postgresql://user:password@host:port/name, or unset it for the embedded server"
        )
    return SecretStr(text)


def _secret(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if not text.strip():
        raise ValueError("give it, or unset it")
    return SecretStr(text.strip())


def _path(value: object) -> Path:
    text = str(value).strip()
    if not 0 < len(text) <= LONGEST_PATH or "\0" in text or not _is_unicode(text):
        raise ValueError("give the path of a file or folder")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("give a path that begins with a home folder that there is") from None


def _is_unicode(text: str) -> bool:
    """Whether the environment held text in it, and no loose bytes: it is written down."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _actor(value: object) -> str:
    text = str(value).strip()
    if not text or len(text) > LONGEST_ACTOR or not text.isprintable():
        raise ValueError(f"give a name of 1 to {LONGEST_ACTOR} printable characters")
    return text


def _ceiling(value: object) -> Decimal | None:
    if value is None or str(value).strip().lower() == "none":
        return None
    try:
        return parsing.amount(value)
    except ValueError as wrong:
        raise ValueError(f"{wrong}, or none") from wrong


def _statuses(value: object) -> frozenset[str]:
    words = value if isinstance(value, frozenset) else str(value).split(",")
    statuses = frozenset(word.strip().lower() for word in words)
    if "" in statuses or not all(word.isprintable() for word in statuses):
        raise ValueError("give statuses parted by commas, as in new,open,working")
    if statuses & set(FILLED_STATUSES):
        raise ValueError("leave out the filled statuses: a filled row blocks nothing")
    return statuses


_Switch = Annotated[bool, BeforeValidator(parsing.switch)]
_Amount = Annotated[Decimal, BeforeValidator(parsing.amount)]
_DustQty = Annotated[
    Decimal, BeforeValidator(partial(parsing.base_units, at_most=LARGEST_DUST_QTY))
]
_DustFraction = Annotated[
    Decimal, BeforeValidator(partial(parsing.fraction, at_most=LARGEST_DUST_FRACTION))
]
_Share = Annotated[Decimal, BeforeValidator(partial(parsing.fraction, at_most=Decimal(1)))]


def _setting(
    name: str,
    description: str,
    **default: Any,  # noqa: ANN401 - as Field's own
) -> Any:  # noqa: ANN401 - as Field's own: the annotation beside it is the type
    """Declare one variable. Its meaning is one line, for the docs and for `unghost doctor`."""
    return Field(validation_alias=name, description=description, **default)


class Settings(BaseSettings):
    """All settings. Quantities in base units; every duration names its unit."""

    model_config = SettingsConfigDict(
        case_sensitive=True, extra="ignore", frozen=True, validate_default=False
    )

    enabled: _Switch = _setting(
        "ENABLE_RECON_EXIT_BACKFILL",
        "whether a cycle may plan and write backfill rows; if not, it only detects",
        default=False,
    )
    dry_run: _Switch = _setting(
        "RECON_EXIT_BACKFILL_DRY_RUN",
        "whether a cycle only writes down what it would do, leaving orders untouched",
        default=True,
    )
    require_pause: _Switch = _setting(
        "RECON_EXIT_BACKFILL_REQUIRE_PAUSE",
        "whether the profile must be paused for a backfill",
        default=True,
    )
    dust_abs_qty: _DustQty = _setting(
        "RECON_EXIT_BACKFILL_DUST_ABS_QTY",
        "up to how many base units a remainder without evidence counts as dust",
        default=Decimal("0.001"),
    )
    dust_rel_pct: _DustFraction = _setting(
        "RECON_EXIT_BACKFILL_DUST_REL_PCT",
        "up to which fraction of the open quantity a remainder counts as dust (0.002 is 0.2 %)",
        default=Decimal("0.002"),
    )
    lookback_hours: Annotated[int, BeforeValidator(parsing.whole(1, 17_520, "hours"))] = _setting(
        "RECON_EXIT_BACKFILL_LOOKBACK_HOURS",
        "how far back fills are read, in hours",
        default=72,
    )
    throttle_ms: Annotated[
        int, BeforeValidator(parsing.whole(0, 2_592_000_000, "milliseconds"))
    ] = _setting(
        "EXCHANGE_STATE_MISMATCH_THROTTLE_MS",
        "in which span there is at most one mismatch event per profile and symbol, in milliseconds",
        default=300_000,
    )
    quiet_seconds: Annotated[int, BeforeValidator(parsing.whole(0, 86_400, "seconds"))] = _setting(
        "RECON_EXIT_BACKFILL_QUIET_SECONDS",
        "how long a lifecycle must have been left alone by the bot, in seconds",
        default=60,
    )
    max_rows: Annotated[int, BeforeValidator(parsing.whole(1, 1_000_000, "rows"))] = _setting(
        "RECON_EXIT_BACKFILL_MAX_ROWS",
        "how many rows one batch may write; a larger one is refused whole",
        default=10_000,
    )
    max_notional: Annotated[Decimal | None, BeforeValidator(_ceiling)] = _setting(
        "RECON_EXIT_BACKFILL_MAX_NOTIONAL",
        "how much one batch may close of each quote currency (base units times price), or none",
        default=Decimal(1_000_000),
    )
    max_share: _Share = _setting(
        "RECON_EXIT_BACKFILL_MAX_SHARE",
        "which fraction of a profile's open lifecycles an apply may close without being allowed to",
        default=Decimal("0.5"),
    )
    attribution: Annotated[
        AttributionPolicy, BeforeValidator(parsing.one_of(AttributionPolicy))
    ] = _setting(
        "UNGHOST_ATTRIBUTION",
        "fifo, or strict: never first in, first out among several lifecycles",
        default=AttributionPolicy.FIFO,
    )
    blocker_statuses: Annotated[frozenset[str], NoDecode, BeforeValidator(_statuses)] = _setting(
        "UNGHOST_BLOCKER_STATUSES",
        "statuses of a pending row that block its lifecycle, parted by commas",
        default=BLOCKER_STATUSES,
    )
    plan_ttl_minutes: Annotated[int, BeforeValidator(parsing.whole(1, 10_080, "minutes"))] = (
        _setting(
            "UNGHOST_PLAN_TTL_MINUTES",
            "how old a dry-run batch may be to be applied as a plan, in minutes",
            default=60,
        )
    )
    http_timeout_seconds: Annotated[int, BeforeValidator(parsing.whole(1, 300, "seconds"))] = (
        _setting(
            "UNGHOST_HTTP_TIMEOUT_SECONDS",
            "how long one answer of the exchange or of a status_url may take, in seconds",
            default=10,
        )
    )
    database_url: Annotated[SecretStr | None, BeforeValidator(_database_url)] = _setting(
        "DATABASE_URL",
        "the PostgreSQL with the orders table; unset: an embedded server under UNGHOST_HOME",
        default=None,
    )
    home: Annotated[Path, BeforeValidator(_path)] = _setting(
        "UNGHOST_HOME",
        "folder of the embedded server and of lists of markets, kept for an hour; default: the user"
        " data folder, for root /var/lib/unghost",
        default_factory=default_home,
    )
    config: Annotated[Path, BeforeValidator(_path)] = _setting(
        "UNGHOST_CONFIG",
        "file with the profiles",
        default=DEFAULT_CONFIG,
    )
    actor: Annotated[str, BeforeValidator(_actor)] = _setting(
        "UNGHOST_ACTOR",
        "who is written down as the one who acted; default: user@host of the operating system",
        default_factory=default_actor,
    )
    log_format: Annotated[LogFormat, BeforeValidator(parsing.one_of(LogFormat))] = _setting(
        "UNGHOST_LOG_FORMAT",
        "console, json, or auto: console on a terminal and JSON elsewhere",
        default=LogFormat.AUTO,
    )
    log_level: Annotated[LogLevel, BeforeValidator(parsing.one_of(LogLevel))] = _setting(
        "UNGHOST_LOG_LEVEL",
        "from which level on log lines are written: debug, info, warning, error",
        default=LogLevel.WARNING,
    )

    bind: Annotated[str, BeforeValidator(parsing.address)] = _setting(
        "UNGHOST_BIND",
        "where `unghost serve` listens; without tokens only on loopback",
        default="127.0.0.1:8787",
    )
    tokens: Annotated[SecretStr | None, BeforeValidator(_secret)] = _setting(
        "UNGHOST_TOKENS",
        "who may use the service, as `unghost token` prints it: NAME:ROLE:sha256:HASH, parted by"
        " spaces or commas",
        default=None,
    )
    tokens_file: Annotated[Path | None, BeforeValidator(_path)] = _setting(
        "UNGHOST_TOKENS_FILE",
        "a file with more of them, one a line",
        default=None,
    )
    four_eyes: _Switch = _setting(
        "UNGHOST_FOUR_EYES",
        "whether who made a plan may not apply it through the service",
        default=False,
    )
    loop: Annotated[LoopMode, BeforeValidator(parsing.one_of(LoopMode))] = _setting(
        "UNGHOST_LOOP",
        "what the loop of serve and worker does: flags (as `unghost cycle` would), dry_run (never"
        " writes to orders, whatever the flags say), or off",
        default=LoopMode.FLAGS,
    )
    loop_seconds: Annotated[int, BeforeValidator(parsing.beat)] = _setting(
        "UNGHOST_LOOP_SECONDS",
        "how far apart the loop's cycles of a profile are, in seconds",
        default=60,
    )
    full_scan_minutes: Annotated[int, BeforeValidator(parsing.whole(0, 1440, "minutes"))] = (
        _setting(
            "UNGHOST_FULL_SCAN_MINUTES",
            "how often the loop looks at all of orders, not only at what was touched; 0: always",
            default=60,
        )
    )
    loop_concurrency: Annotated[int, BeforeValidator(parsing.whole(1, 8, "cycles"))] = _setting(
        "UNGHOST_LOOP_CONCURRENCY",
        "how many profiles one process of the loop works on at a time",
        default=1,
    )
    pace_divided_by: Annotated[int, BeforeValidator(parsing.whole(1, 1000, "processes"))] = (
        _setting(
            "UNGHOST_PACE_DIVIDED_BY",
            "how many processes of serve and worker ask exchanges from one address: each keeps to"
            " its part of the pace",
            default=1,
        )
    )
    notify: Annotated[SecretStr | None, BeforeValidator(_secret)] = _setting(
        "UNGHOST_NOTIFY",
        "where notifications go: addresses of apprise, parted by spaces",
        default=None,
    )
    notify_seconds: Annotated[int, BeforeValidator(parsing.whole(0, 86_400, "seconds"))] = _setting(
        "UNGHOST_NOTIFY_SECONDS",
        "in which span there is at most one notification of a kind per profile, in seconds",
        default=900,
    )

    @property
    def mode(self) -> Mode:
        """What a batch may do."""
        return Mode.DRY_RUN if self.dry_run else Mode.APPLY

    def shown(self) -> dict[str, str]:
        """Every setting as text by its variable's name, secrets masked."""
        return {
            variable_name(field): shown_value(getattr(self, name))
            for name, field in type(self).model_fields.items()
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class VariableInfo:
    """What is said about one variable: for the docs, and for people who ask."""

    name: str
    default: str
    description: str


def variable_name(field: FieldInfo) -> str:
    """The environment variable of a field."""
    return str(field.validation_alias)


def shown_value(value: object) -> str:
    """A setting's value as it would be written in the environment; a secret only as set or not."""
    if value is None:
        return "unset"
    if isinstance(value, SecretStr):
        return "set (secret)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def known_variables() -> tuple[VariableInfo, ...]:
    """Every variable with its default and meaning, in the order of declaration."""
    return tuple(
        VariableInfo(
            name=variable_name(field),
            default="" if field.default_factory else shown_value(field.default),
            description=field.description or "",
        )
        for field in Settings.model_fields.values()
    )


def load_settings() -> Settings:
    """Read the environment. Raises ConfigurationError that names every variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(_told(error)) from None


def _told(error: ValidationError) -> str:
    problems = [_problem({**one}) for one in error.errors()]
    if len(problems) == 1:
        return f"{problems[0]}."
    return "\n  ".join((f"{len(problems)} settings cannot be used:", *problems))


def _problem(one: dict[str, Any]) -> str:
    name = str(one["loc"][0])
    reason = one.get("ctx", {}).get("error") or one["msg"]
    if name == "DATABASE_URL":
        return f"{name} cannot be used (its value is secret and not shown): {reason}"
    given = "set but empty" if one["input"] == "" else quoted(one["input"])
    if name in {"UNGHOST_TOKENS", "UNGHOST_NOTIFY"} and one["input"] != "":
        given = "secret and not shown"
    return f"{name} is {given}: {reason}"


def unknown_variables(
    environment: Mapping[str, str], *, also_known: Collection[str] = ()
) -> tuple[tuple[str, str | None], ...]:
    """Variables that look like ours but are not: (name, the nearest setting if any is near)."""
    names = tuple(info.name for info in known_variables())
    like_ours = (name for name in sorted(environment) if name.upper().startswith(SLIPS))
    found = (
        (name, parsing.nearest(name, names))
        for name in like_ours
        if name not in {*names, *also_known, *NOT_SETTINGS}
    )
    return tuple(
        (name, near) for name, near in found if near is not None or name.startswith(OUR_PREFIXES)
    )
