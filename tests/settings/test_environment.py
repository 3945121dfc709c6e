"""Environment variables: parsed once, wrong ones named together, and no test venue by accident."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.domain.snapshot import Environment, Mode
from bot.errors import ConfigError
from bot.settings.addresses import HTTP, Address, parse_address
from bot.settings.environment import Settings, Venue, read_settings

TEST = {
    "BOT_ALLOW_TEST_VENUE": "1",
    "COINBASE_REST_URL": "https://127.0.0.1:8443",
    "COINBASE_WS_URL": "wss://127.0.0.1:8444",
    "COINBASE_WS_USER_URL": "wss://127.0.0.1:8445",
    "COINBASE_STATUS_URL": "https://127.0.0.1:8443/api/v2/summary.json",
}


def problems(variables: Mapping[str, str], mode: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read_settings(variables, mode=mode)
    return "\n".join(caught.value.problems)


def test_with_no_variables_at_all_it_is_paper_on_coinbase_in_staging() -> None:
    assert read_settings({}) == Settings(Environment.STAGING, Mode.PAPER, Path("config"), Path("data"), Venue.COINBASE)


def test_the_flags_win_over_their_variables() -> None:
    variables = {"BOT_MODE": "live", "BOT_CONFIG_DIR": "/etc/a", "BOT_DATA_DIR": "/var/a"}
    settings = read_settings(variables, mode="dry_run", config_dir=Path("b"), data_dir=Path("c"))
    assert (settings.mode, settings.config_dir, settings.data_dir) == (Mode.DRY_RUN, Path("b"), Path("c"))
    assert read_settings(variables).config_dir == Path("/etc/a")


def test_each_env_and_mode_has_its_own_folder_and_all_share_one_kill_switch() -> None:
    live = read_settings({"ENV": "production", "BOT_MODE": "live", "BOT_DATA_DIR": "/var/bot"})
    paper = read_settings({"BOT_DATA_DIR": "/var/bot"})
    assert (live.state_dir, paper.state_dir) == (Path("/var/bot/production-live"), Path("/var/bot/staging-paper"))
    assert live.kill_file == paper.kill_file == Path("/var/bot/KILL_SWITCH")


@pytest.mark.parametrize("value", ["prod", "Production", "", " production", "live"])
def test_a_wrong_env_is_refused_rather_than_guessed(value: str) -> None:
    assert "ENV: must be one of staging, production" in problems({"ENV": value})


@pytest.mark.parametrize("value", ["dry-run", "LIVE", "", "real"])
def test_a_wrong_mode_is_refused_rather_than_guessed(value: str) -> None:
    assert "BOT_MODE: must be one of dry_run, paper, live" in problems({"BOT_MODE": value})
    assert "--mode: must be one of dry_run, paper, live" in problems({"BOT_MODE": "paper"}, mode=value)


@pytest.mark.parametrize(
    ("name", "near"), [("BOT_MDOE", "BOT_MODE"), ("BOT_DATADIR", "BOT_DATA_DIR"), ("BOT_PORT", "BOT_HTTP_PORT")]
)
def test_a_misspelt_variable_is_refused_with_the_nearest_right_name(name: str, near: str) -> None:
    """It would be ignored: BOT_MDOE=live runs on paper, and nobody knows."""
    assert problems({name: "live"}) == f"{name}: is no variable of this bot; did you mean {near}?"


def test_a_strange_variable_is_refused_with_all_there_are_and_never_with_its_value() -> None:
    said = problems({"BOT_ZZZ": "hunter2"})
    assert "BOT_MODE, BOT_CONFIG_DIR" in said
    assert "hunter2" not in said
    assert read_settings({"BOT_ZZZ": " ", "OTHER_BOT_X": "1", "ROBOT_X": "1"}) == Settings()


def test_a_near_miss_is_recognised() -> None:
    assert "did you mean `dry_run`?" in problems({"BOT_MODE": "dry-run"})


def test_everything_wrong_is_said_at_once() -> None:
    said = problems({"ENV": "x", "BOT_MODE": "y", "BOT_HTTP_PORT": "z", "COINBASE_REST_URL": "ftp://a.com"})
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "COINBASE_REST_URL",
        "ENV",
        "BOT_MODE",
        "BOT_HTTP_PORT",
    ]


@pytest.mark.parametrize(("port", "read"), [("0", 0), ("65535", 65535), ("", 9109)])
def test_the_port_of_the_status_page(port: str, read: int) -> None:
    assert read_settings({"BOT_HTTP_PORT": port}).http_port == read


@pytest.mark.parametrize("port", ["65536", "-1", "http", "9109.0", "٩"])
def test_a_port_that_is_none(port: str) -> None:
    assert "BOT_HTTP_PORT: must be a port from 0 (off) to 65535" in problems({"BOT_HTTP_PORT": port})


@pytest.mark.parametrize("value", ["yes", "true", "2", "01"])
def test_the_permission_for_a_test_venue_is_given_in_one_way(value: str) -> None:
    assert "BOT_ALLOW_TEST_VENUE: must be 1 or unset" in problems({"BOT_ALLOW_TEST_VENUE": value})


def test_a_test_venue_on_this_machine_with_permission() -> None:
    extra = {"COINBASE_CA_FILE": "/etc/ca.pem", "BOT_TEST_CLOCK_URL": "http://localhost:8443/clock"}
    settings = read_settings(TEST | extra)
    assert (settings.venue, settings.rest_url) == (Venue.TEST, "https://127.0.0.1:8443")
    assert (settings.ca_file, settings.test_clock_url) == (Path("/etc/ca.pem"), "http://localhost:8443/clock")


@pytest.mark.parametrize("permission", [{}, {"BOT_ALLOW_TEST_VENUE": ""}, {"BOT_ALLOW_TEST_VENUE": "0"}])
def test_a_test_venue_without_permission_is_refused(permission: dict[str, str]) -> None:
    variables = {name: value for name, value in TEST.items() if name != "BOT_ALLOW_TEST_VENUE"} | permission
    assert problems(variables).count("is on this machine, which only BOT_ALLOW_TEST_VENUE=1 permits") == 4


def test_beside_a_test_venue_nothing_falls_back_to_the_real_one() -> None:
    settings = read_settings({"BOT_ALLOW_TEST_VENUE": "1", "COINBASE_REST_URL": "https://localhost:8443"})
    assert (settings.ws_url, settings.ws_user_url) == ("wss://localhost:8443", "wss://localhost:8443")
    assert settings.status_url == "https://localhost:8443/api/v2/summary.json"
    one_feed = read_settings({**TEST, "COINBASE_WS_USER_URL": ""})
    assert one_feed.ws_user_url == one_feed.ws_url == "wss://127.0.0.1:8444"


@pytest.mark.parametrize(
    "name", ["COINBASE_REST_URL", "COINBASE_WS_URL", "COINBASE_WS_USER_URL", "COINBASE_STATUS_URL"]
)
def test_a_test_venue_is_never_mixed_with_a_real_one(name: str) -> None:
    """Prices of the real market with fills of a toy one would look like profit."""
    scheme = "wss" if "WS" in name else "https"
    said = problems(TEST | {name: f"{scheme}://api.coinbase.com"})
    assert said.startswith(f"{name}: must be on this machine like the other addresses")
    assert "mixed" in problems({"BOT_ALLOW_TEST_VENUE": "1", "COINBASE_WS_URL": "ws://127.0.0.1:1"})


@pytest.mark.parametrize("name", ["COINBASE_CA_FILE", "BOT_TEST_CLOCK_URL"])
def test_what_is_for_tests_is_refused_beside_the_real_venue(name: str) -> None:
    """An extra authority could listen in; a foreign clock could hold every stop back."""
    said = problems({name: "http://127.0.0.1:1/x", "BOT_ALLOW_TEST_VENUE": "1"})
    assert said == f"{name}: is only for a test venue on this machine; remove it"


def test_the_test_clock_is_on_this_machine() -> None:
    assert "BOT_TEST_CLOCK_URL: must be on this machine" in problems(
        TEST | {"BOT_TEST_CLOCK_URL": "https://time.example.com"}
    )


def test_another_public_host_is_known_to_be_a_stranger() -> None:
    assert read_settings({"COINBASE_REST_URL": "https://api.notcoinbase.com"}).venue is Venue.OTHER
    assert read_settings({"COINBASE_REST_URL": "https://api-sandbox.coinbase.com/"}).venue is Venue.COINBASE


@pytest.mark.parametrize(
    "url", ["https://api.coinbase.com/api/v3", "https://api.coinbase.com?x=1", "http://api.coinbase.com"]
)
def test_the_rest_address_is_scheme_host_and_port(url: str) -> None:
    assert problems({"COINBASE_REST_URL": url}).startswith("COINBASE_REST_URL: must")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://hooks.example.com/x",
        "http://hooks.example.com/x",
        "//hooks.example.com/x",
        "hooks.example.com/x",
        "https:///x",
        "https://",
        "https://user@hooks.example.com/x",
        "https://:pass@hooks.example.com/x",
        "https://user:pass@hooks.example.com/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://192.168.1.10/x",
        "https://0.0.0.0/x",
        "https://[fe80::1]/x",
        "https://[fd00::1]/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://127.1/x",
        "https://example.com.127/x",
        "https://metadata.google.internal/x",
        "https://printer.local/x",
        "https://intranet/x",
        "https://hooks.example.com/x#part",
        "https://hooks.example.com:99999/x",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\\@127.0.0.1/x",
        "https://hooks.exämple.com/x",
        "https://-bad-.example.com/x",
        "https://[::1/x",
    ],
)
@pytest.mark.parametrize("allow_loopback", [False, True])
def test_an_address_that_is_not_public_and_encrypted_is_refused(url: str, allow_loopback: bool) -> None:
    refused = parse_address(url, HTTP, allow_loopback=allow_loopback)
    assert isinstance(refused, str)
    assert "example" not in refused
    assert "169.254" not in refused


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost", "LOCALHOST", "localhost."])
def test_this_machine_needs_permission(host: str) -> None:
    url = f"http://{host}:8080/x"
    assert isinstance(parse_address(url, HTTP, allow_loopback=False), str)
    allowed = parse_address(url, HTTP, allow_loopback=True)
    assert isinstance(allowed, Address)
    assert allowed.loopback


@pytest.mark.parametrize("url", ["https://hooks.example.com/x?y=1", "https://8.8.8.8/x", "https://a.b.co:8443/x"])
def test_a_public_encrypted_address_is_taken(url: str) -> None:
    taken = parse_address(url, HTTP, allow_loopback=False)
    assert isinstance(taken, Address)
    assert not taken.loopback
