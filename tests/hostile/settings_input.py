"""Environment variables and profiles' files as people, scripts and editors leave them.

Each variable has a value of its own kind, read here a second time and more simply, or it is refused
by its name. A secret is never quoted, whatever else is said of it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import SecretStr
from tests.hostile.harness import Check, Harness, assert_for_people
from tests.hostile.rooms import environment, folder

from unghost.errors import ConfigurationError
from unghost.redaction import Redactor
from unghost.settings import Profiles, Settings, load_profiles, load_settings
from unghost.settings.profiles import PROFILE_KEYS
from unghost.settings.variables import known_variables, shown_value, variable_name

VARIABLES: Final = tuple(info.name for info in known_variables())
SECRETS: Final = ("DATABASE_URL", "UNGHOST_TOKENS", "UNGHOST_NOTIFY")
PLANTED: Final = "plantedpass"
LIKE_A_KEY: Final = "aB3dE5gH7jK9mN1pQ3rS5tU7"
YES, NO = {"true", "1", "yes"}, {"false", "0", "no"}
NOTHING: Final = dict.fromkeys(VARIABLES)

VALUES: Final = st.one_of(
    st.sampled_from(
        (
            *(
                "true",
                "FALSE",
                "yes",
                "on",
                "0",
                "1",
                "2",
                "-1",
                "+5",
                "60",
                "0.5",
                ".5",
                "5.",
                "1e3",
            ),
            *(
                "1e-8",
                "1e400",
                "1e999",
                "-0",
                "-0.0",
                "NaN",
                "inf",
                "none",
                "None",
                "٣",
                "\uff11",
                "0x1",
            ),
            *("1_000", "1,000", "9" * 400, "0." + "0" * 400 + "1", "", " ", "\n", "\t60\n", "60 "),
            *("new,open", ",", "filled", "strict", "STRICT", "fifo", "json", "debug", "dry_run"),
            *(
                "127.0.0.1:8787",
                "[::1]:80",
                ":80",
                "[",
                "host:99999",
                "a:b",
                "http://x",
                "~nobody/x",
            ),
            *(
                "~",
                "/dev/null/x",
                "x" * 5000,
                "postgresql://u:plantedpass1@h/d",
                "host=x password=",
            ),
            *(
                "postgres://[",
                "postgresql://u:plantedpass2@[::1/d",
                "\u202e\u200b",
                "\udcff",
                "a,\udcff",
                "http://\u202e",
                "h\udcff:80",
            ),
        )
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=16),
    st.decimals().map(str),
    st.integers().map(str),
)
VARIABLES_GIVEN: Final = st.dictionaries(st.sampled_from(VARIABLES), VALUES, min_size=1, max_size=3)


# --- variables ---------------------------------------------------------------------------------


def try_variables(given: dict[str, str]) -> None:
    """Read them as every command does."""
    with environment(NOTHING | given):
        try:
            settings = load_settings()
            load_profiles(settings)
        except ConfigurationError as error:
            check_refusal(str(error), given)
        else:
            check_values(settings, given)


def check_refusal(words: str, given: dict[str, str]) -> None:
    assert_for_people(words, longest=2000)
    others = [text for name, text in given.items() if name not in SECRETS]
    quoted = [given[name] for name in SECRETS if PLANTED in given.get(name, "")]
    assert not any(secret in words for secret in quoted if secret not in others), words


def check_values(settings: Settings, given: dict[str, str]) -> None:
    fields = {variable_name(field): name for name, field in Settings.model_fields.items()}
    for variable, text in given.items():
        value = getattr(settings, fields[variable])
        assert is_right(value, text.strip()), (variable, text, value)
        if not isinstance(value, SecretStr):
            assert shown_value(value).encode("utf-8")


def is_right(value: Any, text: str) -> bool:
    """Whether the text says that value, by the simplest reading of its kind."""
    match value:
        case bool():
            return text.lower() in (YES if value else NO)
        case SecretStr():
            said: object = SecretStr(text)
        case Decimal() if value.is_finite() and value >= 0:
            said = Decimal(text)
        case int():
            said = int(text)
        case frozenset():
            said = frozenset(word.strip().lower() for word in text.split(","))
        case Enum():
            said = type(value)(text.lower())
        case Path():
            said = Path(text).expanduser()
        case None:
            said = None if text.lower() == "none" else text
        case _:
            said = text
    return bool(value == said)


# --- the profiles' file ------------------------------------------------------------------------

LITERALS: Final = st.one_of(
    st.sampled_from(
        (
            *(
                '"binanceusdm"',
                '"bybit"',
                '"swap"',
                '"spot"',
                '"base"',
                '"MAIN_API_KEY"',
                "50",
                "true",
            ),
            *(
                "1.5",
                "nan",
                "inf",
                "-1",
                "1979-05-27",
                "1979-05-27T07:32:00Z",
                "07:32:00",
                "[]",
                "{}",
            ),
            *(
                '["swap"]',
                "{ a = 1 }",
                '""',
                '" "',
                '"\\u0000"',
                '"\\u202e"',
                "'''x\ny'''",
                "9" * 5000,
            ),
            *(
                '"http://127.0.0.1:9"',
                '"http://u:plantedpass3@h"',
                '"http://["',
                '"ftp://x"',
                "0x10",
            ),
            *(f'"{LIKE_A_KEY}"', '"../x"', f'"{"x" * 3000}"', "[" * 3000 + "]" * 3000),
            *(
                "{a=" * 2000 + "1" + "}" * 2000,
                '"\\ud800"',
                "0000-01-01",
                "9999-12-31T23:59:59-23:59",
            ),
        )
    ),
    st.text(max_size=8).map(json.dumps),
    st.integers().map(str),
)
TABLE_NAMES: Final = st.one_of(
    st.sampled_from(("main", "other", '""', '"a b"', '"\\u0000"', "a.b", f'"{"n" * 200}"', "1")),
    st.text(max_size=6).map(json.dumps),
)
KEYS: Final = st.one_of(
    st.sampled_from(PROFILE_KEYS), st.sampled_from(("name", "api_key", "x", '""'))
)
USUAL: Final = {
    "exchange": '"binanceusdm"',
    "market": '"swap"',
    "api_key_env": '"MAIN_API_KEY"',
    "secret_env": '"MAIN_SECRET"',
}


@dataclass(frozen=True, kw_only=True)
class TomlFile:
    """Tables with their members as they are written, and bytes somewhere in between."""

    tables: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    place: int
    inserted: bytes

    def content(self) -> bytes:
        """The bytes of the file."""
        lines = []
        for name, members in self.tables:
            lines.append(f"[profiles.{name}]")
            lines += [f"{key} = {value}" for key, value in (USUAL | dict(members)).items()]
        whole = "\n".join(lines).encode("utf-8", "surrogatepass")
        place = self.place % (len(whole) + 1)
        return whole[:place] + self.inserted + whole[place:]


TOML_FILES: Final = st.builds(
    TomlFile,
    tables=st.lists(
        st.tuples(TABLE_NAMES, st.lists(st.tuples(KEYS, LITERALS), max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    place=st.integers(0, 500),
    inserted=st.one_of(
        st.just(b""),
        st.just(b""),
        st.sampled_from(
            (b"\x00", b"\xff", b"[profiles]\n", b"profiles = 1\n", b"[[profiles]]\n", b"\r")
        ),
        st.binary(max_size=6),
    ),
)


def try_file(place: Path, file: TomlFile) -> None:
    """Read it as every command does."""
    content = file.content()
    path = place / "unghost.toml"
    path.write_bytes(content)
    with environment(NOTHING | {"UNGHOST_CONFIG": str(path)}):
        try:
            found = load_profiles(load_settings())
        except ConfigurationError as error:
            words = Redactor().clean(str(error))  # as the edge does with whatever it tells
            assert_for_people(words, longest=8000)
            assert PLANTED not in words
            assert LIKE_A_KEY not in of_variables(words), words
        else:
            check_profiles(found, content)


def of_variables(words: str) -> str:
    """What is said of the members in which somebody may have put a key itself."""
    return "\n".join(line for line in words.splitlines() if "_env" in line)


def check_profiles(found: Profiles, content: bytes) -> None:
    text = content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    told = tomllib.loads(text).get("profiles", {})
    assert set(found.by_name) == set(told)
    for name, profile in found.by_name.items():
        for key, value in told[name].items():
            held = profile.account_name if key == "account" else getattr(profile, key)
            assert str(held).rstrip("/") == str(value).strip().rstrip("/"), (name, key)
            assert not isinstance(value, float | bool | list | dict), (name, key, value)


@contextmanager
def opened_variables() -> Iterator[Check]:
    yield try_variables


@contextmanager
def opened_files() -> Iterator[Check]:
    with folder() as place:
        yield lambda file: try_file(place, file)


VARIABLES_HARNESS: Final = Harness(
    name="environment", samples=VARIABLES_GIVEN, opened=opened_variables
)
FILES_HARNESS: Final = Harness(name="profiles file", samples=TOML_FILES, opened=opened_files)
