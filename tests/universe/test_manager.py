"""Eligibility: every condition at its limit, with its reason, in a fixed order, remembered across cycles."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.decision import HysteresisCount, Reason
from bot.domain.market import Book, Level
from bot.domain.product import Side, TradingMode
from bot.domain.snapshot import MarketView, Problem, Snapshot
from bot.domain.state import Ban
from bot.domain.value import replace
from bot.settings.universe import Universe
from bot.universe.manager import Selection, UniverseManager
from tests.builders import NOW, book, d, market, pid, policy, price, quote, size, snapshot, state, windows

BARS = windows([100, 101])
BTC, ETH = pid("BTC-USD"), pid("ETH-USD")
EXECUTION = {"depth_within_bps": 20}


def rules(products: tuple[str, ...] = ("BTC-USD",), tier: dict[str, Any] | None = None, **changes: Any) -> Universe:
    demands = {"min_volume_24h": 1000, "max_spread_bps": 30, "min_depth": 0, "min_listed_days": 0, **(tier or {})}
    given = {
        "tiers": {1: {"products": list(products), **demands}},
        "hysteresis": {"enter_after": 1, "leave_after": 1},
        **changes,
    }
    return Universe.model_validate(given)


def good(name: str = "BTC-USD", **changes: Any) -> MarketView:
    return market(name, windows=BARS, **changes)


def selected(views: list[MarketView] | MarketView, universe: Universe | None = None, **changes: Any) -> Selection:
    listed = views if isinstance(views, list) else [views]
    seen = snapshot(listed, **changes)
    return UniverseManager().select(seen, universe or rules(), policy(execution=EXECUTION))


def reason(view: MarketView, universe: Universe | None = None, **changes: Any) -> Reason | None:
    excluded = selected(view, universe, **changes).excluded
    return excluded[0].reason if excluded else None


def test_a_market_that_meets_everything_is_eligible_in_its_tier() -> None:
    found = selected([good()])
    assert (found.eligible, found.excluded, found.tiers, found.problem) == ((BTC,), (), {BTC: 1}, None)


@pytest.mark.parametrize(("volume", "expected"), [(999, Reason.VOLUME_LOW), (1000, None), (1001, None)])
def test_volume_of_exactly_the_minimum_is_enough(volume: int, expected: Reason | None) -> None:
    assert reason(good(quote_volume_24h=d(volume))) is expected


def test_unknown_volume_is_refused_even_when_none_is_asked_for() -> None:
    assert reason(good(quote_volume_24h=None), rules(tier={"min_volume_24h": 0})) is Reason.VOLUME_UNKNOWN


@pytest.mark.parametrize(("ask", "expected"), [("10015", None), ("10015.01", Reason.SPREAD_WIDE), ("10014.99", None)])
def test_a_spread_of_exactly_the_limit_is_narrow_enough(ask: str, expected: Reason | None) -> None:
    """9985 to 10015: 30 on a mid of 10000 is 30 basis points."""
    assert reason(good(bid="9985", ask=ask)) is expected


@given(st.integers(1, 10**6), st.integers(1, 10**4), st.integers(1, 500))
def test_the_spread_test_agrees_with_the_spread_of_the_quote(bid: int, gap: int, limit: int) -> None:
    view = good(bid=Decimal(bid), ask=Decimal(bid + gap))
    assert view.quote is not None
    wide = reason(view, rules(tier={"max_spread_bps": limit})) is Reason.SPREAD_WIDE
    assert wide is (Decimal(gap) * 20_000 / (2 * bid + gap) > limit)


def depth_of(bid_sizes: list[int], ask_sizes: list[int]) -> Book:
    """Levels a cent apart around 100.01."""
    bids = tuple(Level(price(d("100") - d("0.01") * k), size(amount)) for k, amount in enumerate(bid_sizes))
    asks = tuple(Level(price(d("100.02") + d("0.01") * k), size(amount)) for k, amount in enumerate(ask_sizes))
    return Book(BTC, bids, asks, NOW)


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ([10], [10], None),
        ([9], [10], Reason.DEPTH_THIN),
        ([10], [9], Reason.DEPTH_THIN),
        ([9, 2], [5, 5], None),
        ([9] + [0] * 18 + [2], [10], None),  # 99.81 lies within 20 bps of 100.01 (99.80998)
        ([9] + [0] * 19 + [2], [10], Reason.DEPTH_THIN),  # 99.80 does not
        ([10], [9] + [0] * 18 + [2], None),  # 100.21 <= 100.21002
        ([10], [9] + [0] * 19 + [2], Reason.DEPTH_THIN),
    ],
)
def test_depth_counts_both_sides_within_the_band(bids: list[int], asks: list[int], expected: Reason | None) -> None:
    """1000 wanted on each side; 10 at 100.00 is exactly that."""
    view = replace(good(), book=depth_of(bids, asks))
    assert reason(view, rules(tier={"min_depth": 1000})) is expected


@pytest.mark.parametrize(("offset", "expected"), [("0.20", None), ("0.21", Reason.DEPTH_THIN)])
@pytest.mark.parametrize("side", ["bids", "asks"])
def test_a_level_exactly_at_the_edge_of_the_band_counts(side: str, offset: str, expected: Reason | None) -> None:
    """Mid 100, so 20 bps are 0.20 on each side; 10.1 at the edge make at least 1000."""
    deep, edge = size("10.1"), d(offset)
    bids = (Level(price("99.99"), size(0 if side == "bids" else "10.1")), Level(price(100 - edge), deep))
    asks = (Level(price("100.01"), size(0 if side == "asks" else "10.1")), Level(price(100 + edge), deep))
    view = replace(good(bid="99.99", ask="100.01"), book=Book(BTC, bids, asks, NOW))
    assert reason(view, rules(tier={"min_depth": 1000})) is expected


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=30),
    st.lists(st.integers(0, 12), min_size=1, max_size=30),
    st.integers(1, 4000),
)
def test_the_depth_test_agrees_with_the_depth_of_the_book(bids: list[int], asks: list[int], needed: int) -> None:
    held = depth_of(bids, asks)
    sides = (held.depth(side, Decimal(20), "USD").amount for side in Side)
    thin = reason(replace(good(), book=held), rules(tier={"min_depth": needed})) is Reason.DEPTH_THIN
    assert thin is (min(sides) < needed)


def test_without_a_book_there_is_no_depth_unless_none_is_asked_for() -> None:
    bare = replace(good(), book=None)
    one_sided = replace(good(), book=replace(book(), asks=()))
    assert reason(bare) is None
    assert reason(bare, rules(tier={"min_depth": 1})) is Reason.DEPTH_THIN
    assert reason(one_sided, rules(tier={"min_depth": 1})) is Reason.DEPTH_THIN


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(days=30), None),
        (timedelta(days=30, seconds=1), None),
        (timedelta(days=30) - timedelta(seconds=1), Reason.TOO_NEW),
        (timedelta(days=-1), Reason.TOO_NEW),
        (None, Reason.TOO_NEW),
    ],
)
def test_listed_for_exactly_the_days_is_long_enough(age: timedelta | None, expected: Reason | None) -> None:
    listed = None if age is None else NOW - age
    assert reason(good(listed_at=listed), rules(tier={"min_listed_days": 30})) is expected


def test_an_unknown_listing_date_is_fine_where_no_age_is_asked_for() -> None:
    assert reason(good(listed_at=None)) is None


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (TradingMode.NORMAL, None),
        (TradingMode.LIMIT_ONLY, Reason.PRODUCT_MODE),
        (TradingMode.POST_ONLY, Reason.PRODUCT_MODE),
        (TradingMode.AUCTION, Reason.PRODUCT_MODE),
        (TradingMode.CANCEL_ONLY, Reason.PRODUCT_MODE),
        (TradingMode.CLOSED, Reason.NOT_ONLINE),
    ],
)
def test_every_flag_of_the_venue_refuses_entries(mode: TradingMode, expected: Reason | None) -> None:
    assert reason(good(mode=mode, mode_reason="flag")) is expected


def test_quotes_and_bars_that_may_not_be_used_keep_their_own_reason() -> None:
    stale = replace(good(), quote=None, book=None, quote_problem=Problem(Reason.QUOTE_STALE, "7 s old, limit 5"))
    old = replace(good(), windows=None, bars_problem=Problem(Reason.BARS_STALE, "200 s old, limit 180"))
    assert selected([stale]).excluded[0].detail == "7 s old, limit 5"
    assert reason(stale) is Reason.QUOTE_STALE
    assert reason(old) is Reason.BARS_STALE
    assert reason(market(bid=None, windows=BARS)) is Reason.QUOTE_MISSING
    assert reason(market(windows=None)) is Reason.BARS_MISSING


def test_never_trade_means_the_coin_in_any_currency() -> None:
    never = rules(exclusions={"never_trade": ["BTC-USDC"]})
    assert reason(good(), never) is Reason.NEVER_TRADE


def ban(name: str, until: timedelta) -> Ban:
    return Ban(pid(name), "team_rug", "operator", NOW - timedelta(hours=1), NOW + until)


@pytest.mark.parametrize("name", ["BTC-USD", "BTC-USDC"])
@pytest.mark.parametrize(("seconds", "expected"), [(1, Reason.BANNED), (0, None), (-1, None)])
def test_a_ban_refuses_until_it_is_over(name: str, seconds: int, expected: Reason | None) -> None:
    held = ban(name, timedelta(seconds=seconds))
    assert reason(good(), account=state(bans={held.product: held})) is expected


def test_a_flag_in_the_file_bans_from_the_first_cycle_that_reads_it() -> None:
    flagged = rules(exclusions={"flagged": [{"product": "BTC-USD", "kind": "team_rug"}]})
    served = ban("BTC-USD", timedelta(seconds=-1))
    assert reason(good(), flagged) is Reason.BANNED
    assert reason(good(), flagged, account=state(bans={BTC: served})) is None


def test_a_currency_that_is_not_traded_is_refused() -> None:
    universe = rules(("BTC-EUR",))
    assert reason(good("BTC-EUR"), universe) is Reason.WRONG_QUOTE_CURRENCY


def test_a_market_of_no_tier_is_watched_but_not_entered() -> None:
    found = selected([good(), good("DOGE-USD")])
    assert [(item.product, item.reason) for item in found.excluded] == [("DOGE-USD", Reason.NOT_IN_TIER)]
    assert found.tiers == {BTC: 1}


def test_the_first_reason_in_the_fixed_order_is_given() -> None:
    """One market with everything wrong, mended one thing at a time."""
    never = rules(("BTC-EUR",), {"min_listed_days": 9, "min_depth": 10**9}, exclusions={"never_trade": ["BTC-USD"]})
    allowed = never.model_copy(update={"exclusions": rules().exclusions})
    listed = rules(("BTC-EUR",), {"min_listed_days": 9, "min_depth": 10**9}, quote_currencies=["EUR"])
    account = state(bans={BTC: ban("BTC-USD", timedelta(hours=1))})
    bad = replace(
        good("BTC-EUR", bid=90, ask=100, mode=TradingMode.CLOSED, quote_volume_24h=d(1)),
        quote_problem=Problem(Reason.QUOTE_HELD_BACK, ""),
        bars_problem=Problem(Reason.BARS_STALE, ""),
    )
    steps: list[tuple[MarketView, Universe, Any]] = [(bad, never, account), (bad, allowed, account)]
    steps += [(bad, rules(()), state()), (bad, allowed, state()), (bad, listed, state())]
    for change in ({"mode": TradingMode.NORMAL}, {"listed_at": NOW - timedelta(days=9)}, {"quote_volume_24h": d(9999)}):
        bad = replace(bad, product=replace(bad.product, **change))
        steps.append((bad, listed, state()))
    for view in (
        bad := replace(bad, quote_problem=None),
        bad := replace(bad, bars_problem=None),
        bad := replace(bad, quote=quote("BTC-EUR")),
        replace(bad, book=book("BTC-EUR", depth=10**9)),
    ):
        steps.append((view, listed, state()))
    found = [reason(view, universe, account=books) for view, universe, books in steps]
    assert found == [
        Reason.NEVER_TRADE,
        Reason.BANNED,
        Reason.NOT_IN_TIER,
        Reason.WRONG_QUOTE_CURRENCY,
        Reason.NOT_ONLINE,
        Reason.TOO_NEW,
        Reason.VOLUME_LOW,
        Reason.QUOTE_HELD_BACK,
        Reason.BARS_STALE,
        Reason.SPREAD_WIDE,
        Reason.DEPTH_THIN,
        None,
    ]


@pytest.mark.parametrize(
    ("view", "universe", "detail"),
    [
        (
            good(quote_volume_24h=d("999.6")),
            rules(tier={"min_volume_24h": 2500}),
            "24 h volume 1000, at least 2500 is needed",
        ),
        (good(bid="9985", ask="10025"), None, "spread 39.98 bps, at most 30"),
        (
            good(listed_at=NOW - timedelta(hours=36)),
            rules(tier={"min_listed_days": 30}),
            "listed 1.5 days ago, 30 are needed",
        ),
        (
            replace(good(), book=depth_of([9], [10])),
            rules(tier={"min_depth": 1000}),
            "bids within 20 bps hold 900, at least 1000 is needed",
        ),
        (
            good(mode=TradingMode.AUCTION, mode_reason="auction_mode is set"),
            None,
            "mode auction_mode: auction_mode is set",
        ),
    ],
)
def test_a_refusal_says_the_number_and_the_limit(view: MarketView, universe: Universe | None, detail: str) -> None:
    assert selected(view, universe).excluded[0].detail == detail


def test_order_is_tier_then_file_then_discovered_by_volume() -> None:
    universe = rules(
        ("ETH-USD", "BTC-USD"),
        discovery={"enabled": True, "tier": 1, "max_products": 2, "min_volume_24h": 2000},
    )
    views = [
        good("AAA-USD", quote_volume_24h=d(2500)),
        good("ZZZ-USD", quote_volume_24h=d(9000)),
        good("BBB-USD", quote_volume_24h=d(2400)),
        good("BTC-USD"),
        good("ETH-USD"),
    ]
    found = selected(views, universe)
    assert found.eligible == ("ETH-USD", "BTC-USD", "ZZZ-USD", "AAA-USD")
    assert found.tiers[pid("ZZZ-USD")] == 1
    assert [(item.product, item.reason) for item in found.excluded] == [("BBB-USD", Reason.NOT_IN_TIER)]
    assert selected(views[::-1], universe) == found


def test_a_pair_of_names_is_one_market_and_the_other_name_is_a_duplicate() -> None:
    for listed, duplicate in ((("BTC-USD", "BTC-USDC"), "BTC-USDC"), (("BTC-USDC",), "BTC-USDC")):
        found = selected(good(), rules(listed))
        assert found.eligible == (BTC,)
        assert [(item.product, item.reason) for item in found.excluded] == [(duplicate, Reason.ALIAS_DUPLICATE)]


def test_a_book_traded_through_its_usdc_listing_is_keyed_by_its_one_market() -> None:
    view = good("BTC-USD", listing="BTC-USDC")
    found = selected(view, rules(("BTC-USDC",), quote_currencies=["USDC"]))
    assert (found.eligible, found.excluded, found.tiers) == ((BTC,), (), {BTC: 1})


def test_two_separate_books_do_not_share_a_tier() -> None:
    """An own BTC-USDC book beside BTC-USD: the file lists one of them only."""
    found = selected([good("BTC-USD"), good("BTC-USDC")], rules(("BTC-USDC",), quote_currencies=["USD", "USDC"]))
    assert found.eligible == ("BTC-USDC",)
    assert [item.reason for item in found.excluded] == [Reason.NOT_IN_TIER]


def test_what_the_venue_does_not_list_is_said() -> None:
    found = selected(good(), rules(("BTC-USD", "MATIC-USD")))
    assert [(item.product, item.reason) for item in found.excluded] == [("MATIC-USD", Reason.NOT_ONLINE)]


def test_a_look_at_some_markets_says_nothing_of_the_others() -> None:
    universe = rules(("BTC-USD", "ETH-USD", "SOL-USD"))
    found = selected([good(), good("ETH-USD", quote_volume_24h=d(1))], universe, asked=frozenset({BTC}))
    assert (found.eligible, found.excluded, found.tiers) == ((BTC,), (), {BTC: 1})


@pytest.mark.parametrize(("needed", "short"), [(1, False), (2, False), (3, True)])
def test_too_few_eligible_markets_are_a_reason_not_to_trade(needed: int, short: bool) -> None:
    universe = rules(("BTC-USD", "ETH-USD", "SOL-USD"), min_eligible_assets=needed)
    found = selected([good(), good("ETH-USD"), market("SOL-USD", windows=None)], universe)
    assert (found.problem is not None) is short
    if found.problem is not None:
        assert found.problem.reason is Reason.TOO_FEW_ELIGIBLE
        assert found.problem.detail == "2 eligible, at least 3 are needed: 1 bars_missing"


def settled(cycles: str, **changes: Any) -> list[tuple[bool, Reason | None, HysteresisCount | None]]:
    """Run cycles (`+` fine, `-` too wide) through enter 2, leave 3, feeding the memory back as events would."""
    universe = rules(hysteresis={"enter_after": 2, "leave_after": 3})
    memory: dict[Any, HysteresisCount] = {}
    seen = []
    for cycle in cycles:
        view = good() if cycle == "+" else good(bid="90", ask="100")
        found = selected(view, universe, account=state(hysteresis=dict(memory)), **changes)
        memory |= found.hysteresis
        excluded = found.excluded[0].reason if found.excluded else None
        seen.append((found.eligible == (BTC,), excluded, found.hysteresis.get(BTC)))
    return seen


def test_a_market_enters_after_two_good_cycles_and_a_bad_moment_costs_only_that_moment() -> None:
    count = HysteresisCount
    assert settled("++-+") == [
        (False, Reason.HYSTERESIS, count(False, 1)),
        (True, None, count(True, 0)),
        (False, Reason.SPREAD_WIDE, count(True, 1)),
        (True, None, count(True, 0)),
    ]


def test_after_three_bad_cycles_it_must_qualify_again() -> None:
    assert [item[:2] for item in settled("++---++")][-2:] == [(False, Reason.HYSTERESIS), (True, None)]


def test_a_memory_that_did_not_change_is_not_given() -> None:
    assert [item[2] for item in settled("++++")][2:] == [None, None]
    assert [item[2] for item in settled("--")] == [None, None]


def test_extra_cycles_leave_the_memory_alone() -> None:
    assert settled("++++", service=True) == [(False, Reason.HYSTERESIS, None)] * 4


def test_selecting_changes_nothing_it_was_given() -> None:
    seen: Snapshot = snapshot([good(), market("ETH-USD", windows=None)])
    twice = [UniverseManager().select(seen, rules(), policy()) for _ in range(2)]
    assert twice[0] == twice[1]
    assert seen == snapshot([good(), market("ETH-USD", windows=None)])
