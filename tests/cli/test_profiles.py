"""The profiles' file: every key, every mistake, and never a secret in a message."""

import pytest

from unghost.errors import ConfigurationError
from unghost.model import ProfileRef
from unghost.settings import MarketKind, Profiles, QuantityUnit, Settings, load_profiles
from unghost.settings.profiles import EXAMPLE, looks_like_a_secret

FULL = """
[profiles.main]
exchange = "binanceusdm"
market = "swap"
api_key_env = "MAIN_API_KEY"
secret_env = "MAIN_SECRET"
password_env = "MAIN_PASSWORD"
base_url = "http://127.0.0.1:9001/"
status_url = "http://127.0.0.1:3000/internal/trading/status"
account = "desk-1"
quantity_unit = "contracts"
rate_limit_ms = 200
"""
SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


def load(tmp_path, text: str) -> Profiles:
    path = tmp_path / "unghost.toml"
    path.write_text(text, encoding="utf-8")
    return load_profiles(Settings.model_construct(config=path))


def refused(tmp_path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    return str(caught.value)


def with_line(line: str) -> str:
    return f"{EXAMPLE}{line}\n"


def test_every_key_is_read(tmp_path):
    profile = load(tmp_path, FULL).by_name["main"]
    assert profile.exchange == "binanceusdm"
    assert profile.market is MarketKind.SWAP
    assert profile.secret_variables() == ("MAIN_API_KEY", "MAIN_SECRET", "MAIN_PASSWORD")
    assert profile.base_url == "http://127.0.0.1:9001"
    assert profile.status_url == "http://127.0.0.1:3000/internal/trading/status"
    assert profile.account == "desk-1"
    assert profile.quantity_unit is QuantityUnit.CONTRACTS
    assert profile.rate_limit_ms == 200


def test_the_account_defaults_to_exchange_and_key(tmp_path):
    profile = load(tmp_path, EXAMPLE).by_name["main"]
    assert profile.account == "binanceusdm:MAIN_API_KEY"
    assert profile.quantity_unit is QuantityUnit.BASE


def test_profiles_of_one_account_are_found(tmp_path):
    second = EXAMPLE.replace("profiles.main", "profiles.beta")
    third = EXAMPLE.replace("profiles.main", "profiles.solo").replace("MAIN_API", "SOLO_API")
    profiles = load(tmp_path, EXAMPLE + second + third)
    assert profiles.reference("main") == ProfileRef(
        profile_id="main",
        account="binanceusdm:MAIN_API_KEY",
        account_profiles=("beta", "main"),
        neighbours=("solo",),
    )
    assert profiles.reference("solo").account_profiles == ("solo",)
    assert profiles.reference("solo").neighbours == ("beta", "main")


@pytest.mark.parametrize("line", ('exchange = "bybit"', 'market = "margin"'))
def test_profiles_of_another_exchange_or_sort_of_market_are_elsewhere(tmp_path, line):
    other = EXAMPLE.replace("profiles.main", "profiles.beta").replace("MAIN_", "BETA_")
    lines = [each for each in other.splitlines() if each.split()[0] != line.split()[0]]
    profiles = load(tmp_path, EXAMPLE + "\n".join([*lines, line]))
    assert profiles.reference("main").elsewhere == ("beta",)
    assert profiles.reference("main").neighbours == ()
    assert profiles.reference("main").no_strangers == ("main", "beta")


@pytest.mark.parametrize("account", ("", 'account = "desk"\n'))
def test_one_account_that_trades_two_sorts_of_market_is_two_to_each_of_them(tmp_path, account):
    """BTCUSDT is the name of a swap and of a spot market: rows of one are none of the other's."""
    swap = f"{EXAMPLE}{account}"
    spot = swap.replace("profiles.main", "profiles.beta").replace('"swap"', '"spot"')
    profiles = load(tmp_path, swap + spot)
    for name, other in (("main", "beta"), ("beta", "main")):
        found = profiles.reference(name)
        assert (found.account_profiles, found.neighbours) == ((name,), ())
        assert found.elsewhere == (other,)


def test_one_key_is_one_account(tmp_path, monkeypatch):
    """Two names of one key would let both profiles use the same fills."""
    monkeypatch.setenv("MAIN_API_KEY", "one-and-the-same")
    monkeypatch.setenv("BETA_API_KEY", "one-and-the-same")
    second = EXAMPLE.replace("profiles.main", "profiles.beta").replace("MAIN_", "BETA_")
    words = refused(tmp_path, EXAMPLE + second)
    assert "profiles main and beta have the same API key of binanceusdm" in words
    assert "one-and-the-same" not in words
    load(tmp_path, EXAMPLE + 'account = "desk"\n' + second + 'account = "desk"\n')


@pytest.mark.parametrize(("key", "other"), (("exchange", "bybit"), ("quantity_unit", "contracts")))
def test_profiles_of_one_account_must_agree(tmp_path, key, other):
    base = EXAMPLE + 'quantity_unit = "base"\naccount = "desk"\n'
    lines = [line for line in base.splitlines() if not line.startswith(key)]
    second = "\n".join([*lines, f'{key} = "{other}"']).replace("profiles.main", "profiles.beta")
    words = refused(tmp_path, f"{base}\n{second}\n")
    assert f"profiles main and beta share the account 'desk' but differ in {key}" in words


@pytest.mark.parametrize(
    ("line", "words"),
    (
        ('exchnage = "x"', "profiles.main.exchnage: no such key, did you mean exchange?"),
        ('zzz = "x"', "profiles.main.zzz: no such key, known are exchange, market"),
        ('base_url = "ftp://x"', "profiles.main.base_url (its value is not shown): give an addr"),
        ('base_url = "https://x/api"', "scheme, host and port only"),
        ('status_url = "127.0.0.1:3000"', "starts with http:// or https://"),
        ('status_url = "https://u:pw@x/s"', "without a user name and password"),
        ('base_url = "http://x:port"', "give an address"),
        ('quantity_unit = "lots"', "profiles.main.quantity_unit is 'lots': give one of base"),
        ("rate_limit_ms = 0", "give a whole number of milliseconds from 1 to 60000"),
        ('account = ""', "profiles.main.account is ''"),
        ("password_env = 5", "name of an environment variable"),
    ),
)
def test_a_wrong_key_or_value_is_named(tmp_path, line, words):
    told = refused(tmp_path, with_line(line))
    assert words in told
    assert "unghost.toml" in told


@pytest.mark.parametrize(
    ("old", "new", "words"),
    (
        ('"swap"', '"future"', "profiles.main.market is 'future': give one of swap, spot, margin"),
        ('market = "swap"\n', "", "profiles.main.market is missing"),
        ('"binanceusdm"', '"Binance USD-M"', "CCXT exchange id"),
        ("[profiles.main]", "[profile.main]", "profile: no such key, did you mean profiles?"),
        ("[profiles.main]", "[[profiles]]", "[profiles.NAME]"),
        ("[profiles.main]", "[profiles", "is not valid TOML"),
        ("[profiles.main]", '[profiles." "]', "1 to 100 printable characters"),
    ),
)
def test_a_wrong_file_is_told_in_words(tmp_path, old, new, words):
    assert words in refused(tmp_path, EXAMPLE.replace(old, new))


@pytest.mark.parametrize("key", ("api_key_env", "secret_env", "password_env"))
@pytest.mark.parametrize("secret", (SECRET, SECRET.lower()[:32], "a1b2-c3d4-e5f6", f"{SECRET}=="))
def test_a_secret_in_the_file_is_refused_and_not_printed(tmp_path, key, secret):
    lines = [line for line in EXAMPLE.splitlines() if not line.startswith(key)]
    told = refused(tmp_path, "\n".join([*lines, f'{key} = "{secret}"']))
    assert f"profiles.main.{key} (its value is not shown)" in told
    assert secret not in told


@pytest.mark.parametrize(
    "name", ("MAIN_API_KEY", "K", "binance_key", "BINANCE_SUBACCOUNT_2_API_KEY", "mainKey")
)
def test_a_name_is_not_taken_for_a_secret(name):
    assert not looks_like_a_secret(name)


def test_a_secret_that_is_not_set_is_named_when_it_is_used(tmp_path, monkeypatch):
    profile = load(tmp_path, EXAMPLE).by_name["main"]
    monkeypatch.delenv("MAIN_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="MAIN_API_KEY"):
        profile.secret(profile.api_key_env)
    monkeypatch.setenv("MAIN_API_KEY", " k \n")
    assert profile.secret(profile.api_key_env).get_secret_value() == "k"


def test_no_file_means_no_profiles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    profiles = load_profiles(Settings())
    assert (profiles.exists, profiles.names()) == (False, ())
    assert profiles.reference("main").account_profiles == ("main",)


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match="UNGHOST_CONFIG"):
        load_profiles(Settings.model_construct(config=tmp_path / "absent.toml"))


def test_a_folder_in_its_place_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_profiles(Settings.model_construct(config=tmp_path))
