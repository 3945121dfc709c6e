"""A launch certificate is good for one configuration or a tighter one, one code, one portfolio, and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.value import replace
from bot.settings.certificate import Item, certificate_reasons, certified, dump, load
from bot.settings.config import Config
from bot.settings.load import load_config
from bot.settings.policy import Policy
from tests.configs import SHIPPED

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PORTFOLIO = "9ae6e6fb-02ab-5dab-83a4-4b93c63c09a0"
VENUE = "https://api.coinbase.com"
CONFIG = load_config(Path(SHIPPED))
GOOD = certified(
    CONFIG, code_version="1.2.3", portfolio=PORTFOLIO, venue=VENUE, issued_at=NOW,
    expires_at=NOW + timedelta(days=30), items=(Item("clock", "+3 ms", NOW),),
)  # fmt: skip


def changed(**risk: object) -> Config:
    document = CONFIG.policy.model_dump(mode="json")
    document["risk"] |= risk
    return Config(Policy.model_validate(document), CONFIG.universe)


def reasons(
    content: bytes | None = None, config: Config = CONFIG, *,
    code_version: str = "1.2.3", now: datetime = NOW + timedelta(days=1), venue: str = VENUE,
    portfolio: str = PORTFOLIO,
) -> list[str]:  # fmt: skip
    written = dump(GOOD) if content is None else content
    return certificate_reasons(written, config, code_version, now, venue, portfolio)


def test_what_was_certified_may_start():
    assert reasons() == []
    assert load(dump(GOOD)) == GOOD


def test_without_a_certificate_nothing_goes_live():
    assert certificate_reasons(None, CONFIG, "1.2.3", NOW, VENUE) == [
        "there is no launch certificate (launch.json): run `bot certify`"
    ]


def test_a_tighter_configuration_stays_certified_and_a_looser_one_does_not():
    assert reasons(config=changed(max_total_pct="20")) == []
    found = reasons(config=changed(max_total_pct="30", daily_stop_pct="5"))
    assert len(found) == 2
    assert "looser than what was certified: policy.yaml: risk.daily_stop_pct: 3 -> 5" in found[0]
    assert "risk.max_total_pct: 25 -> 30" in found[1]


def test_a_certificate_is_good_for_the_table_of_controls_it_was_issued_under():
    other = dump(replace(GOOD, controls="0" * 64))
    assert reasons(other) == [
        "the launch certificate is for another table of controls (000000000000): run `bot certify`"
    ]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"now": NOW + timedelta(days=30)}, "expired at 2026-12-21 12:00 UTC"),
        ({"now": NOW - timedelta(seconds=1)}, "is from the future"),
        ({"code_version": "1.2.4"}, "is for code 1.2.3, this is 1.2.4"),
        ({"venue": "https://127.0.0.1:1"}, "is for https://api.coinbase.com, this is https://127.0.0.1:1"),
        ({"portfolio": "another"}, f"is for portfolio {PORTFOLIO}, the key sees another"),
    ],
)
def test_time_code_and_portfolio_bind_it(other, words):
    (found,) = reasons(**other)
    assert words in found


@pytest.mark.parametrize(
    "content",
    [
        dump(GOOD).replace(b'"max_total_pct":"25"', b'"max_total_pct":"90"'),
        dump(GOOD).replace(b"2026-12-21", b"2036-12-21"),
        dump(GOOD)[:-20],
        b"[]",
        b"null",
        b"",
        b'{"checksum": 1}',
    ],
)
def test_a_changed_or_torn_certificate_is_none(content):
    (found,) = reasons(content)
    assert "cannot be used" in found


def test_a_certificate_of_a_later_kind_is_not_guessed_at():
    (found,) = reasons(dump(replace(GOOD, version=3)))
    assert "has version 3, this code reads 2" in found
