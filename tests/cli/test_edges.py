"""What every command does where something is missing or wrong: the exit code, and one sentence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from tests.cli.conftest import API_KEY, API_SECRET, profile_text

from unghost.cli.commands import COMMANDS

NAMES = [name for name, _, _ in COMMANDS]
WITH_ARGUMENTS = {
    "evidence": ["BTCUSDT"],
    "go-no-go": ["no-such-batch"],
    "rollback": ["no-such-batch", "--yes"],
    "reinstate": ["no-such-batch", "--yes"],
    "explain": ["t-1"],
    "sql": ["detect"],
    "token": ["vera"],
}
NEEDS_EXCHANGE = {"evidence", "cycle", "go-no-go", "reinstate"}
NEEDS_DATABASE = [name for name in NAMES if name not in {"demo", "import-fills", "token"}]
"""The demo brings its own, and an import reads its file before anything else."""
FOR_ALL = {"init", "sql", "doctor", "grants", "serve", "worker"}
STAY = {"serve", "worker"}
"""They do not end on their own."""
NEEDS_PROFILE = [name for name in NEEDS_DATABASE if name not in FOR_ALL]


def spelled(name: str) -> list[str]:
    return [name, *WITH_ARGUMENTS.get(name, [])]


def assert_told(ran, code: int) -> None:
    """The words are on stderr, and with --json in the document too."""
    assert ran.code == code, ran.err
    assert ran.err.startswith("unghost: ")
    error = ran.data["error"]
    assert error["exit_code"] == code
    assert error["message"] in ran.err


def test_the_commands_of_the_design_are_there():
    design = {
        *("demo", "init", "doctor", "detect", "evidence", "cycle", "go-no-go", "validate"),
        *("rollback", "reinstate", "audit", "explain", "sql", "pause", "resume", "status"),
        "import-fills",
    }
    assert design - set(NAMES) == set()


# --- help and version ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_the_shared_options(place, name):
    ran = place.run(name, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "--profile" in ran.out
    assert "--json" in ran.out


def test_the_help_lists_every_command(place):
    ran = place.run("--help")
    assert ran.code == 0
    for name in NAMES:
        assert re.search(rf"^  {name} +\S", ran.out, re.MULTILINE), name
    assert "completion" in ran.out


def test_the_version_is_printed(place):
    ran = place.run("--version")
    assert (ran.code, ran.out) == (0, "unghost 0.1.0\n")


@pytest.mark.parametrize("arguments", (["--help"], ["--version"], ["cycle", "--help"]))
def test_help_and_version_start_at_once(place, arguments):
    """Neither loads the database driver, the exchange client, nor the settings."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "unghost", *arguments],
        env=os.environ | place.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in ran.stderr.splitlines()}
    assert "typer" in loaded
    heavy = {"psycopg", "ccxt", "aiohttp", "fastapi", "structlog", "rich", "unghost.settings"}
    assert loaded & heavy == set()


def test_completion_is_offered(place):
    ran = place.run(_UNGHOST_COMPLETE="complete_bash", COMP_WORDS="unghost cy", COMP_CWORD="1")
    assert "cycle" in ran.out


# --- usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (["cylce"], "cycle"),
        (["detect", "--nope"], "--nope"),
        (["rollback"], "BATCH"),
        (["audit", "--decision", "MAYBE"], "MAYBE"),
        (["audit", "--limit", "0"], "--limit"),
        (["explain"], "TRADE_ID"),
        (["token", "anna", "--role", "boss"], "'--role': 'boss' is not one of"),
    ),
)
def test_a_wrong_call_is_told_in_one_sentence(place, arguments, words):
    ran = place.run(*arguments, "--json")
    assert_told(ran, 2)
    assert words in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_no_command_prints_the_help(place):
    ran = place.run()
    assert ran.code == 2
    assert "Usage: unghost" in ran.out + ran.err


# --- profiles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", (*NEEDS_DATABASE, "sql without a name"))
def test_a_wrong_profile_is_answered_with_the_known_ones(place, name):
    """Also by commands that are for all profiles: who names one means one."""
    place.configure(profile_text("http://127.0.0.1:1"))
    words = ["sql"] if " " in name else spelled(name)
    ran = place.run(*words, "--profile", "mian", "--json")
    assert_told(ran, 2)
    assert "'mian'" in ran.err
    assert "main" in ran.err


@pytest.mark.parametrize("name", NEEDS_PROFILE)
def test_of_several_profiles_one_must_be_chosen(place, name):
    text = profile_text("http://127.0.0.1:1")
    place.configure(text + text.replace("profiles.main", "profiles.beta"))
    ran = place.run(*spelled(name), "--json")
    assert_told(ran, 2)
    assert "main, beta" in ran.err


@pytest.mark.parametrize("name", NEEDS_PROFILE)
def test_without_a_file_and_a_name_it_says_what_to_write(place, name):
    ran = place.run(*spelled(name), "--json")
    assert_told(ran, 2)
    assert "--profile" in ran.err
    assert "[profiles.main]" in ran.err


@pytest.mark.parametrize("name", sorted(NEEDS_EXCHANGE))
def test_without_a_file_no_exchange_can_be_read(place, name):
    ran = place.run(*spelled(name), "--profile", "main", "--json")
    assert_told(ran, 3)
    assert "exchange" in ran.err


@pytest.mark.parametrize("name", sorted(set(NEEDS_PROFILE) - NEEDS_EXCHANGE))
def test_without_a_file_the_database_is_enough_for_the_others(books, name):
    ran = books.run(*spelled(name), "--profile", "main", "--json")
    assert ran.code in {0, 2}, ran.err
    assert "toml" not in ran.err


def test_a_file_without_profiles_is_told(place):
    place.configure("# nothing yet\n")
    ran = place.run("detect", "--json")
    assert_told(ran, 2)
    assert "holds no profile" in ran.err


# --- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    (
        ["go-no-go", "no-such-batch"],
        ["rollback", "no-such-batch", "--yes"],
        ["reinstate", "no-such-batch", "--yes"],
        ["cycle", "--plan", "no-such-batch"],
        ["audit", "--batch", "no-such-batch"],
    ),
    ids=" ".join,
)
def test_a_wrong_batch_is_a_usage_error(shop, arguments):
    ran = shop.run(*arguments, "--json", RECON_EXIT_BACKFILL_DRY_RUN="false")
    assert_told(ran, 2)
    assert "no-such-batch" in ran.err


# --- surroundings --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NEEDS_DATABASE if name != "doctor"])
def test_no_database_is_told_and_ends_with_3(shop, name):
    url = "postgresql://bot:planted-password-1@127.0.0.1:1/none"
    ran = shop.run(*spelled(name), "--json", DATABASE_URL=url)
    assert_told(ran, 3)
    assert "127.0.0.1" in ran.err
    assert "planted-password-1" not in ran.out + ran.err


@pytest.mark.parametrize("name", ("init", "doctor", "cycle", "sql"))
def test_a_wrong_setting_stops_every_command(place, name):
    ran = place.run(*spelled(name), "--json", RECON_EXIT_BACKFILL_DUST_REL_PCT="0.2")
    assert_told(ran, 3)
    assert "RECON_EXIT_BACKFILL_DUST_REL_PCT is '0.2'" in ran.err


@pytest.mark.parametrize("name", ("init", "doctor", "cycle", "sql"))
def test_a_wrong_profiles_file_stops_every_command(place, name):
    place.configure(profile_text("http://127.0.0.1:1", more='exchnage = "x"\n'))
    ran = place.run(*spelled(name), "--json")
    assert_told(ran, 3)
    assert "did you mean exchange" in ran.err


@pytest.mark.parametrize("name", sorted(NEEDS_EXCHANGE))
def test_a_secret_that_is_not_set_is_named(place, name):
    place.configure(profile_text("http://127.0.0.1:1"))
    ran = place.run(*spelled(name), "--json")
    assert_told(ran, 3)
    assert "MAIN_API_KEY" in ran.err


def test_a_variable_that_nobody_reads_is_warned_of(books):
    ran = books.run("detect", "-p", "main", RECON_EXIT_BACKFILL_DRYRUN="false")
    assert ran.code == 0
    assert "warning: RECON_EXIT_BACKFILL_DRYRUN" in ran.err
    assert "did you mean RECON_EXIT_BACKFILL_DRY_RUN?" in ran.err


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NEEDS_DATABASE if name not in STAY])
@pytest.mark.parametrize("form", (["--json"], []), ids=["json", "words"])
def test_no_command_shows_a_secret(shop, name, form):
    planted = {
        "DATABASE_URL": f"{shop.database_url} password=planted-password-1",
        "UNGHOST_LOG_LEVEL": "debug",
    }
    shop.run("pause", **planted)
    ran = shop.run("--debug", *spelled(name), *form, **planted)
    assert ran.code in {0, 1, 2}, ran.err
    for secret in (API_KEY, API_SECRET, "planted-password-1"):
        assert secret not in ran.out + ran.err


def test_a_refused_key_is_not_shown_either(shop):
    secret = "plantedButWrongSecret00112233445566"
    for command in ("cycle", "doctor"):
        ran = shop.run("--debug", command, MAIN_SECRET=secret, UNGHOST_LOG_LEVEL="debug")
        assert ran.code == 3, ran.err
        assert secret not in ran.out + ran.err
        assert API_KEY not in ran.out + ran.err
        assert not re.search(r"signature=(?!\*|\[hidden)", ran.out + ran.err)


# --- the end -------------------------------------------------------------------------------------


BUG = """
import sys
from unghost import assembly
from unghost.cli.entry import run

def broken(*_, **__):
    raise KeyError("postgresql://bot:planted-password-1@db/x")

assembly.open_desk = broken
sys.exit(run(sys.argv[1:]))
"""


def broken(place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BUG, *arguments],
        cwd=place.folder,
        env=os.environ | place.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_bug_is_one_line_and_ends_with_70(place):
    ran = broken(place, "detect", "--json")
    assert ran.returncode == 70
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "--debug" in ran.stderr
    assert json.loads(ran.stdout)["error"]["kind"] == "KeyError"
    assert "planted-password-1" not in ran.stdout + ran.stderr


def test_a_bug_has_a_traceback_only_with_debug(place):
    ran = broken(place, "--debug", "detect")
    assert ran.returncode == 70
    assert "Traceback" in ran.stderr
    assert "planted-password-1" not in ran.stderr


def test_an_interrupt_ends_with_130(shop):
    """Ctrl-C while the exchange is being asked: it takes the question and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        shop.configure(profile_text(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        process = subprocess.Popen(
            [sys.executable, "-m", "unghost", "cycle"],
            cwd=shop.folder,
            env=os.environ | shop.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        asked, _ = silent.accept()
        with asked:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_closed_pipe_is_quiet(books):
    command = f"{sys.executable} -m unghost sql detect | true"
    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=books.folder,
        env=os.environ | books.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""


def shelled(place, command: str) -> subprocess.CompletedProcess[str]:
    """A command line of the shell, in which `unghost` is this one."""
    return subprocess.run(
        ["/bin/bash", "-c", command.replace("unghost", f"{sys.executable} -m unghost", 1)],
        cwd=place.folder,
        env=os.environ | place.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "command",
    (
        "unghost rollback nothing --yes --json | true",
        "unghost rollback nothing --yes --json 2>&1 | true",
        "unghost --nonsense --json | true",
        "unghost --nonsense 2>&1 >/dev/null | true",
    ),
)
def test_a_closed_pipe_is_quiet_about_a_failure_too(books, command):
    ran = shelled(books, command)
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    (
        ("unghost sql detect >&-", 0),
        ("unghost sql detect 2>&-", 0),
        ("unghost sql detect >&- 2>&- <&-", 0),
        ("unghost sql nothing 2>&-", 2),
        ("unghost sql nothing --json >&-", 2),
    ),
)
def test_a_stream_that_was_closed_before_is_written_nowhere(books, command, code):
    ran = shelled(books, command)
    assert ran.returncode == code, ran.stderr
    assert "bug" not in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    ("sql detect", "sql detect --json", "sql nothing --json", "status -p main", "--help"),
)
def test_a_full_disk_behind_the_output_ends_with_3_and_a_sentence(books, arguments):
    """Whoever reads half a document must not take it for whole."""
    ran = shelled(books, f"unghost {arguments} >/dev/full")
    assert ran.returncode == 3, ran.stderr
    last = ran.stderr.splitlines()[-1]
    assert last == "unghost: Nothing more can be written: No space left on device."


def test_a_full_disk_behind_the_errors_leaves_the_code(books):
    assert shelled(books, "unghost sql nothing 2>/dev/full").returncode in {2, 3}


def test_an_address_that_is_none_is_refused_without_it(place):
    ran = place.run("detect", "-p", "main", DATABASE_URL="postgresql://u:planted-password-1@[::1")
    assert ran.code == 3
    assert "DATABASE_URL cannot be understood" in ran.err
    assert "planted-password-1" not in ran.err


def test_a_file_without_an_end_is_refused(books):
    assert "is larger than" in books.run("import-fills", "/dev/zero").err
    ran = books.run("detect", UNGHOST_CONFIG="/dev/zero")
    assert ran.code == 3
    assert "/dev/zero cannot be read: it is larger than 64 MiB." in ran.err
