"""A real fall is confirmed and acted on; a slipped decimal point never is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.value import replace
from bot.observe.ticks import (
    Accept,
    BarTick,
    Fault,
    HoldBack,
    QuoteTick,
    Reject,
    TickState,
    Verdict,
    bar_tick,
    judge,
    quote_tick,
    volume_ratio,
)
from bot.settings.policy import DataPolicy
from tests.builders import NOW, d, policy, quote, windows

RULES = policy().data  # 10 %, 3 updates over 300 ms, 2 bars, twice the volume
LATER = NOW + timedelta(days=1)


def q(mid: str | int, ms: int = 0, ratio: str | None = None) -> QuoteTick:
    """A quote around `mid`, two millionths wide, `ms` after noon."""
    half = d(mid) / 1_000_000
    volume = None if ratio is None else d(ratio)
    return QuoteTick(d(mid) - half, d(mid) + half, NOW + timedelta(milliseconds=ms), volume)


def b(minute: int, close: str | int, low: Any = None, high: Any = None, ratio: str | None = None) -> BarTick:
    """The bar that closes `minute` minutes after noon."""
    top, bottom = d(close if high is None else high), d(close if low is None else low)
    return BarTick(top, bottom, d(close), NOW + timedelta(minutes=minute), None if ratio is None else d(ratio))


def run(ticks: Sequence[QuoteTick | BarTick], rules: DataPolicy = RULES) -> tuple[TickState, list[Verdict]]:
    state, verdicts = TickState(), []
    for tick in ticks:
        state, verdict = judge(state, tick, LATER, rules)
        verdicts.append(verdict)
    return state, verdicts


def said(ticks: Sequence[QuoteTick | BarTick], rules: DataPolicy = RULES) -> str:
    """One letter a verdict: a accepted, c confirmed, h held back, r rejected."""
    letters = {Accept(): "a", Accept(confirmed=True): "c"}
    return "".join(
        letters[verdict] if isinstance(verdict, Accept) else "h" if isinstance(verdict, HoldBack) else "r"
        for verdict in run(ticks, rules)[1]
    )


def test_the_first_price_of_all_is_accepted() -> None:
    assert said([q(100)]) == "a"
    assert said([b(0, 100, low=50)]) == "a"


@pytest.mark.parametrize(
    ("to", "verdict"), [("110", "a"), ("110.01", "h"), ("90", "a"), ("89.99", "h"), ("1000", "h"), ("10", "h")]
)
def test_a_quote_beyond_the_limit_is_held_back_and_at_the_limit_is_not(to: str, verdict: str) -> None:
    assert said([q(100), q(to, 1)]) == "a" + verdict
    assert said([b(0, 100), q(to, 1)]) == "a" + verdict


@pytest.mark.parametrize(("spread", "letters"), [(299, "ahhh"), (300, "ahhc"), (301, "ahhc")])
def test_quotes_confirm_after_three_updates_over_300_ms_on_twice_the_volume(spread: int, letters: str) -> None:
    assert said([q(100), q(80, 1000, "2"), q(80, 1100, "2"), q(80, 1000 + spread, "2")]) == letters


def test_two_updates_are_not_three_however_long_they_take() -> None:
    assert said([q(100), q(80, 1000, "2"), q(80, 90_000, "2")]) == "ahh"


@pytest.mark.parametrize(("ratio", "letters"), [("1.999", "ahhh"), ("2", "ahhc"), ("5", "ahhc"), (None, "ahhh")])
def test_quotes_without_the_volume_confirm_nothing(ratio: str | None, letters: str) -> None:
    assert said([q(100), q(80, 1000, ratio), q(80, 1200, ratio), q(80, 1400, ratio)]) == letters


def test_quotes_that_disagree_with_each_other_start_again() -> None:
    """80, then 60 (a new level), and three at 60 confirm."""
    ticks = [q(100), q(80, 1000, "3"), q(80, 1200, "3"), q(60, 1400, "3"), q(60, 1600, "3"), q(60, 1800, "3")]
    assert said(ticks) == "ahhhhc"


def test_one_update_seen_many_times_is_one_update() -> None:
    state, verdicts = run([q(100), *[q(80, 1000, "9")] * 20])
    assert all(isinstance(verdict, HoldBack) for verdict in verdicts[1:])
    assert state.counts == {Fault.DEVIATION: 1}


def test_a_single_bad_print_changes_nothing() -> None:
    """F073: one snapshot at ten times and one at a tenth, then the market as before."""
    for wrong in ("1000", "10"):
        state, _ = run([q(100), q(wrong, 1000, "50"), q("100.5", 2000, "50")])
        assert said([q(100), q(wrong, 1000, "50"), q("100.5", 2000, "50")]) == "aha"
        assert (state.quote_doubt, state.newest and state.newest.price) == (None, d("100.5"))


@given(st.integers(1, 500), st.sampled_from(["401", "1000", "24.99", "10"]))
def test_a_tenfold_quote_is_never_confirmed_by_quotes_however_often_it_comes(times: int, wrong: str) -> None:
    """In a minute of fifty times the usual volume, ten times a second."""
    state, verdicts = run([q(100), *[q(wrong, 100 * k, "50") for k in range(1, times + 1)]])
    assert not any(isinstance(verdict, Accept) for verdict in verdicts[1:])
    assert state.newest is not None
    assert abs(state.newest.price - 100) < 1


def test_four_times_is_the_last_that_quotes_may_confirm() -> None:
    for level, letters in (("400", "ahhc"), ("400.1", "ahhh"), ("25", "ahhc"), ("24.99", "ahhh")):
        assert said([q(100), *[q(level, 200 * k, "3") for k in (1, 2, 3)]]) == letters


def test_bars_confirm_by_closing_there_twice() -> None:
    assert said([b(0, 100), b(1, 70), b(2, 72)]) == "ahc"
    assert said([b(0, 100), b(1, 1000), b(2, 1000)]) == "ahc"
    assert said([b(0, 100), b(1, 70), b(2, 50), b(3, 52)]) == "ahhc"


def test_the_wanted_number_of_bars_is_the_policys() -> None:
    three = policy(data={"confirm_bars": 3}).data
    assert said([b(0, 100), b(1, 70), b(2, 72), b(3, 71)], three) == "ahhc"
    assert said([b(0, 100), b(1, 70)], policy(data={"confirm_bars": 1}).data) == "ac"


def test_one_bar_is_enough_on_volume_when_the_quotes_agree() -> None:
    falling = [q(80, 30_000), q(80, 30_200), q(80, 30_400)]
    assert said([b(0, 100), *falling, b(1, 81, high=100, ratio="2")]) == "ahhhc"
    assert said([b(0, 100), *falling, b(1, 81, high=100, ratio="1.99")]) == "ahhhh"
    assert said([b(0, 100), *falling[:2], b(1, 81, high=100, ratio="2")]) == "ahhh"
    assert said([b(0, 100), *falling, b(1, 60, high=100, ratio="2")]) == "ahhhh"


def test_a_wick_beyond_the_limit_is_held_back_although_the_close_is_not() -> None:
    state, verdicts = run([b(0, 100), b(1, 99, low=50)])
    assert isinstance(verdicts[-1], HoldBack)
    assert verdicts[-1].detail == "50 is -50.00 % from 100, limit 10 %"
    assert state.bar is not None
    assert state.bar.price == 100


def test_a_wick_is_confirmed_by_volume_and_a_quote_where_it_closed() -> None:
    assert said([b(0, 100), q(99, 50_000), b(1, 99, low=50, ratio="2")]) == "aac"
    assert said([b(0, 100), q(99, 50_000), b(1, 99, low=50, ratio="1.9")]) == "aah"
    assert said([b(0, 100), b(1, 99, low=50, ratio="2")]) == "ah"


def test_wicks_alone_never_add_up_to_closes() -> None:
    assert said([b(0, 100), *[b(k, 95, low=50) for k in range(1, 9)]]) == "a" + "h" * 8
    assert said([b(0, 100), b(1, 99, low=60), b(2, 60)]) == "ahh"


def test_a_tenfold_wick_in_a_minute_of_real_volume_is_not_believed_and_is_named_afterwards() -> None:
    """The close is fine, the volume enormous, the quotes agree with the close: the high is still nonsense."""
    ticks: list[QuoteTick | BarTick] = [b(0, 100), q(97, 50_000), b(1, 97, high=1000, ratio="20"), b(2, 98)]
    state, _ = run(ticks)
    assert said(ticks) == "aaha"
    assert state.suspects == (NOW + timedelta(minutes=1),)


def test_a_bar_that_was_confirmed_is_no_suspect() -> None:
    state, _ = run([b(0, 100), b(1, 70), b(2, 72), b(3, 73)])
    assert (state.suspects, state.bar_doubt) == ((), None)


def test_a_corrected_bar_is_no_suspect_either() -> None:
    state, _ = run([b(0, 100), b(1, 99, high=1000), b(1, 99)])
    assert (state.suspects, state.bar_doubt) == ((), None)


def test_only_the_newest_suspects_are_kept() -> None:
    ticks: list[QuoteTick | BarTick] = [b(0, 100)]
    for minute in range(1, 41, 2):
        ticks += [b(minute, 100, low=1), b(minute + 1, 100)]
    state, _ = run(ticks)
    assert [int((at - NOW).total_seconds()) // 60 for at in state.suspects] == list(range(25, 41, 2))


def test_the_bar_of_a_fall_that_quotes_confirmed_is_ordinary() -> None:
    """100 to 70 within the minute: the bar spans both levels, and judging it again changes nothing."""
    fall = [q(100, 1000), *[q(70, 30_000 + 200 * k, "4") for k in range(3)]]
    spanning = b(1, 71, low=66, high=101, ratio="4")
    assert said([b(0, 100), *fall, spanning, spanning, q(71, 61_000)]) == "aahhcaaa"


def test_a_quote_older_than_the_last_bar_makes_no_room_for_the_next() -> None:
    """The market sank from 100 to 85 in bars; a bar at 108 is near the old quote only."""
    _, verdicts = run([q(100), b(1, 92), b(2, 85), b(3, 108)])
    assert said([q(100), b(1, 92), b(2, 85), b(3, 108)]) == "aaah"
    assert isinstance(verdicts[-1], HoldBack)
    assert verdicts[-1].detail == "108 is +27.06 % from 85, limit 10 %"
    assert said([q(100), b(1, 92), q(100, 100_000), b(2, 85), b(3, 108)]) == "aaaah"


def test_a_tick_judged_again_changes_nothing() -> None:
    for ticks in ([q(100)], [b(0, 100)], [b(0, 100), b(1, 60, high=100)], [b(0, 100), b(1, 70), b(2, 70, high=100)]):
        once, first = run(ticks)
        again, second = judge(once, ticks[-1], LATER, RULES)
        assert again == once
        assert isinstance(second, type(first[-1]))


@pytest.mark.parametrize(
    ("tick", "fault"),
    [
        (QuoteTick(d(101), d(100), NOW), Fault.CROSSED),
        (QuoteTick(d(100), d(100), NOW), Fault.CROSSED),
        (QuoteTick(d(0), d(100), NOW), Fault.NOT_POSITIVE),
        (QuoteTick(d(-1), d(100), NOW), Fault.NOT_POSITIVE),
        (QuoteTick(d("NaN"), d(100), NOW), Fault.NOT_FINITE),
        (QuoteTick(d("sNaN"), d(100), NOW), Fault.NOT_FINITE),
        (QuoteTick(d(100), d("Infinity"), NOW), Fault.NOT_FINITE),
        (BarTick(d(99), d(101), d(100), NOW), Fault.HIGH_BELOW_LOW),
        (BarTick(d(101), d(99), d(102), NOW), Fault.HIGH_BELOW_LOW),
        (BarTick(d(101), d(99), d(98), NOW), Fault.HIGH_BELOW_LOW),
        (BarTick(d(101), d(0), d(98), NOW), Fault.NOT_POSITIVE),
        (BarTick(d("Infinity"), d(99), d(100), NOW), Fault.NOT_FINITE),
        (BarTick(d(101), d(99), d(100), NOW + timedelta(seconds=1)), Fault.FROM_FUTURE),
    ],
)
def test_nonsense_is_rejected_outright_and_counted(tick: QuoteTick | BarTick, fault: Fault) -> None:
    before, _ = run([b(-2, 100), q(100, -1)])
    once, verdict = judge(before, tick, NOW, RULES)
    twice, _ = judge(once, tick, NOW, RULES)
    assert isinstance(verdict, Reject)
    assert verdict.fault is fault
    assert twice.counts == {fault: 2}
    assert replace(twice, counts={}) == replace(before, counts={})


def test_a_bar_that_closes_right_now_is_not_from_the_future() -> None:
    _, verdict = judge(TickState(), b(0, 100), NOW, RULES)
    assert verdict == Accept()


@pytest.mark.parametrize(
    "ticks",
    [
        [q(100, 1000), q(100, 999)],
        [b(1, 100), b(0, 100)],
        [q(100), q(80, 1000), q(100, 999)],
        [b(0, 100), b(2, 80), b(1, 100)],
    ],
)
def test_what_comes_late_is_rejected(ticks: list[QuoteTick | BarTick]) -> None:
    _, verdicts = run(ticks)
    assert isinstance(verdicts[-1], Reject)
    assert verdicts[-1].fault is Fault.OUT_OF_ORDER


# Bitcoin-like closes, lows and volumes of a sudden fall: 0.1 % a minute, then -9 % in one minute on eight times the
# volume, -4 % more at the worst, and half of it back.
FALL = [
    (50_000, 49_950, 40), (49_960, 49_900, 55), (49_990, 49_930, 45), (49_930, 49_900, 50), (49_880, 49_820, 60),
    (45_390, 45_300, 420), (45_800, 43_600, 470), (47_100, 45_700, 130), (47_600, 47_000, 160), (47_500, 47_100, 115),
]  # fmt: skip
STRICT = policy(data={"max_price_deviation_pct": 5}).data


def fall(minutes: int) -> list[BarTick]:
    """The first bars of the fall, volumes against the average of the calm ones."""
    opens = [FALL[0][0], *[close for close, _, _ in FALL]]
    return [
        b(k, close, low=low, high=max(close, opens[k]), ratio=str(d(volume) / 50))
        for k, (close, low, volume) in enumerate(FALL[:minutes])
    ]


def test_a_real_fall_is_acted_on_within_its_own_minute() -> None:
    """Quotes confirm it on the volume of the minute; its bar is then ordinary, and so is all that follows."""
    quotes = [q(45_600 - k, 4 * 60_000 + 30_000 + 150 * k, "8.4") for k in range(4)]
    calm, wild = fall(5), fall(10)[5:]
    assert said([*calm, *quotes], STRICT) == "aaaaahhca"
    state, verdicts = run([*calm, *quotes, *wild], STRICT)
    assert all(isinstance(verdict, Accept) for verdict in verdicts[7:])
    assert state.suspects == ()


def test_without_quotes_the_second_bar_of_a_real_fall_is_acted_on() -> None:
    assert said(fall(8), STRICT) == "aaaaahca"


@given(st.integers(0, 5), st.sampled_from([10, Decimal("0.1")]))
def test_a_tenfold_tick_inside_the_minute_of_the_fall_is_not(place: int, factor: Decimal) -> None:
    quotes = [q(45_600 - k, 4 * 60_000 + 30_000 + 150 * k, "8.4") for k in range(6)]
    wrong = replace(quotes[place], bid=quotes[place].bid * factor, ask=quotes[place].ask * factor)
    with_error = [*quotes[:place], wrong, *quotes[place + 1 :]]
    state, verdicts = run([*fall(5), *with_error], STRICT)
    assert isinstance(verdicts[5 + place], HoldBack)
    assert state.newest is not None
    assert d(45_000) < state.newest.price < d(50_000)


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 9, 10, 11, 12, 30, 100, 1000]), st.sampled_from([None, "1", "3"]), st.booleans()),
        max_size=25,
    )
)
def test_nothing_beyond_the_limit_is_accepted_without_confirmation(events: list[Any]) -> None:
    """Whatever comes: what is accepted as ordinary lies within 10 % of what the last quote and the last bar span."""
    state = TickState()
    last: dict[bool, Decimal] = {}
    for k, (level, ratio, is_bar) in enumerate(events, start=1):
        tick = b(k, level, ratio=ratio) if is_bar else q(level, 60_000 * k, ratio)
        state, verdict = judge(state, tick, LATER, RULES)
        if isinstance(verdict, Accept):
            known = last.values() or [Decimal(level)]
            assert verdict.confirmed or min(known) * 90 <= level * 100 <= max(known) * 110
            last[is_bar] = Decimal(level)


def test_ticks_are_made_of_what_the_snapshot_has() -> None:
    seen = quote(bid="100", ask="100.02")
    assert quote_tick(seen, d(3)) == QuoteTick(d(100), d("100.02"), NOW, d(3))
    bars = windows(
        [10_000, 10_010, 10_020], highs=[10_000, 10_010, 10_050], lows=[10_000, 10_010, 9_990], volumes=[10, 30, 50]
    )
    assert bar_tick(bars) == BarTick(d("100.5"), d("99.9"), d("100.2"), NOW)
    assert volume_ratio(bars, 2) == d("2.5")
    assert volume_ratio(bars, 3) is None
    assert bar_tick(windows([])) is None
    assert volume_ratio(windows([]), 2) is None
    assert volume_ratio(windows([1, 1, 1], volumes=[0, 0, 50]), 2) is None
