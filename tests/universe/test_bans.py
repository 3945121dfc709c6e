"""Red flags ban for a week, once, and end by themselves."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.event import BanBegan
from bot.domain.state import Ban
from bot.settings.universe import Exclusions, Flagged
from bot.universe import bans
from tests.builders import NOW, pid

RULES = Exclusions()
WEEK = timedelta(hours=168)
SECOND = timedelta(seconds=1)


def banned(name: str = "ABC-USD", **changes: object) -> Ban:
    made = bans.ban(pid(name), "team_rug", "watch file", NOW, RULES)
    assert made is not None
    return made


def flag(name: str, kind: str = "team_rug", note: str = "") -> Flagged:
    return Flagged(product=pid(name), kind=kind, note=note)


def test_a_red_flag_bans_for_the_configured_hours() -> None:
    assert banned() == Ban(pid("ABC-USD"), "team_rug", "watch file", NOW, NOW + WEEK)
    short = Exclusions.model_validate({"temporary_ban_hours": "0.5"})
    made = bans.ban(pid("ABC-USD"), "recent_exploit", "x", NOW, short)
    assert made is not None
    assert made.until == NOW + timedelta(minutes=30)


def test_only_the_listed_kinds_ban() -> None:
    assert bans.ban(pid("ABC-USD"), "looks_odd", "x", NOW, RULES) is None


def test_a_ban_holds_until_its_last_second_and_not_at_its_end() -> None:
    known = {pid("ABC-USD"): banned()}
    for at, active in ((NOW, True), (NOW + WEEK - SECOND, True), (NOW + WEEK, False)):
        assert ("ABC" in bans.active(known, at)) is active


def test_a_ban_on_one_quote_currency_is_a_ban_on_the_coin_and_the_longest_counts() -> None:
    later = Ban(pid("ABC-USDC"), "team_rug", "operator", NOW, NOW + 2 * WEEK)
    for known in ({later.product: later, pid("ABC-USD"): banned()}, {pid("ABC-USD"): banned(), later.product: later}):
        assert bans.active(known, NOW) == {"ABC": later}
    assert bans.active({pid("ABC-USD"): banned(), later.product: later}, NOW + WEEK) == {"ABC": later}


def test_a_flag_in_the_file_begins_a_ban_with_its_source() -> None:
    (event,) = bans.begun({}, [flag("ABC-USD", note="news"), flag("XYZ-USD", "odd")], bans.CONFIG, NOW, RULES)
    assert event == BanBegan(Ban(pid("ABC-USD"), "team_rug", "universe.yaml: news", NOW, NOW + WEEK))


def test_a_product_flagged_twice_is_banned_once() -> None:
    events = bans.begun({}, [flag("ABC-USD"), flag("ABC-USD", "recent_exploit")], bans.CONFIG, NOW, RULES)
    assert [event.ban.kind for event in events] == ["team_rug"]


def test_a_flag_that_stays_in_the_file_does_not_ban_again_when_its_ban_is_over() -> None:
    """Otherwise no ban from a file would ever expire."""
    known = {pid("ABC-USD"): banned()}
    for at in (NOW, NOW + WEEK - SECOND, NOW + WEEK, NOW + 5 * WEEK):
        assert bans.begun(known, [flag("ABC-USD")], bans.CONFIG, at, RULES) == ()
        assert bans.ended(known, [pid("ABC-USD")], at) == ()
    assert bans.active(known, NOW + WEEK) == {}


def test_a_ban_is_forgotten_when_it_is_over_and_no_flag_stands() -> None:
    known = {pid("XYZ-USD"): banned("XYZ-USD"), pid("ABC-USD"): banned()}
    assert bans.ended(known, [], NOW + WEEK - SECOND) == ()
    over = bans.ended(known, [], NOW + WEEK)
    assert [event.product for event in over] == ["ABC-USD", "XYZ-USD"]
    assert over[0].why == "expired at 2026-11-25 12:00:00 UTC"


def test_a_flag_set_anew_after_the_ban_was_forgotten_bans_anew() -> None:
    (event,) = bans.begun({}, [flag("ABC-USD")], bans.CONFIG, NOW + 5 * WEEK, RULES)
    assert event.ban.until == NOW + 6 * WEEK
