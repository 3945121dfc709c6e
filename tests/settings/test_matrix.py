"""What may run where, cell by cell."""

from __future__ import annotations

from itertools import product

import pytest

from bot.domain.snapshot import Environment, Mode
from bot.settings.environment import Settings, Venue
from bot.settings.matrix import MATRIX, Cell, Permission, check_start, needs_certificate
from bot.settings.secrets import Secrets

KEYS = Secrets("organizations/x/apiKeys/y", "key", ("https://hooks.example.com/x",))
ALERTS = Secrets(webhooks=("https://hooks.example.com/x",))

# ENV, mode, venue, with a key: may it start? "c": only with a certificate.
EXPECTED = """
staging dry_run coinbase  no=yes key=yes
staging dry_run test      no=yes key=yes
staging dry_run other     no=yes key=yes
staging paper coinbase    no=yes key=yes
staging paper test        no=yes key=yes
staging paper other       no=yes key=yes
staging live coinbase     no=never key=never
staging live test         no=never key=yes
staging live other        no=never key=never
production dry_run coinbase  no=never key=yes
production dry_run test      no=never key=yes
production dry_run other     no=never key=yes
production paper coinbase    no=never key=never
production paper test        no=never key=never
production paper other       no=never key=never
production live coinbase     no=never key=certified
production live test         no=never key=certified
production live other        no=never key=never
"""
ROWS = [line.split() for line in EXPECTED.strip().splitlines()]


def settings(env: str, mode: str, venue: str) -> Settings:
    return Settings(Environment(env), Mode(mode), venue=Venue(venue))


def test_no_cell_of_the_table_is_empty() -> None:
    assert set(MATRIX) == set(product(Environment, Mode))
    assert all(set(row) == set(Venue) for row in MATRIX.values())
    cells = [cell for row in MATRIX.values() for pair in row.values() for cell in pair]
    assert len(cells) == 36
    assert all(isinstance(cell, Cell) for cell in cells)
    assert all(bool(cell.why) == (cell.permission is Permission.NEVER) for cell in cells)


def test_the_expectations_cover_the_table() -> None:
    named = {(Environment(env), Mode(mode), Venue(venue)) for env, mode, venue, *_ in ROWS}
    assert named == set(product(Environment, Mode, Venue))


@pytest.mark.parametrize(("env", "mode", "venue", "without", "with_key"), ROWS)
def test_what_may_start(env: str, mode: str, venue: str, without: str, with_key: str) -> None:
    place = settings(env, mode, venue)
    assert bool(check_start(place, ALERTS)) == (without == "no=never")
    assert bool(check_start(place, KEYS)) == (with_key == "key=never")
    assert needs_certificate(place) == (with_key == "key=certified")


def test_production_needs_alerting_in_every_mode() -> None:
    quiet = Secrets("organizations/x/apiKeys/y", "key")
    for mode in Mode:
        assert any(
            "production needs alerting" in why
            for why in check_start(settings("production", mode.value, "coinbase"), quiet)
        )
    assert check_start(settings("staging", "paper", "coinbase"), Secrets()) == []


def test_every_reason_is_listed() -> None:
    reasons = check_start(settings("production", "live", "other"), Secrets(private_key="key"))
    assert [reason.split(":")[0] for reason in reasons] == [
        "live trades on Coinbase or on a test venue on this machine only",
        "half an API key",
        "production needs alerting",
    ]


@pytest.mark.parametrize("half", [Secrets(key_name="name"), Secrets(private_key="key")])
def test_half_a_key_is_a_mistake_everywhere(half: Secrets) -> None:
    """It would silently run without the account it was meant to see."""
    (reason,) = check_start(settings("staging", "paper", "coinbase"), half)
    assert reason.startswith(f"half an API key: COINBASE_API_{'SECRET' if half.key_name else 'KEY'} ")


def test_alerts_go_only_to_hosts_the_policy_names() -> None:
    place = settings("staging", "paper", "coinbase")
    assert check_start(place, KEYS, ["hooks.example.com"]) == []
    assert check_start(place, KEYS, ["other.example.com"]) == [
        "alerts.allowed_hosts does not name hooks.example.com, where alerts would go"
    ]
