"""The book is looked at before an order leaves."""

from __future__ import annotations

from bot.domain.decision import Reason
from bot.domain.order import OrderKind, OrderType, PlannedOrder
from bot.domain.product import Side
from bot.domain.value import replace
from bot.execution.pretrade import check_entry, check_exit, check_preview
from bot.ports import Preview
from bot.settings.policy import ExecutionPolicy
from tests.builders import book, d, market, pid, price, size

POLICY = ExecutionPolicy()
TIER_SPREAD = d(30)
VIEW = market(bid="100", ask="100.02")
BUY = PlannedOrder(
    "new", pid("BTC-USD"), Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_IOC, size(10), price("100.20")
)  # fmt: skip
SELL = replace(BUY, side=Side.SELL, kind=OrderKind.EXIT, limit_price=price("99.5"))


def reason(refusal):
    return None if refusal is None else refusal.reason


def entry(order=BUY, view=VIEW, spread=TIER_SPREAD, **changes):
    return reason(check_entry(order, view, spread, POLICY.model_copy(update=changes)))


def test_a_deep_and_narrow_book_is_entered():
    assert entry() is None


def test_a_market_wider_than_its_tier_allows_is_refused():
    assert entry(spread=d("1.9")) is Reason.SPREAD_WIDE
    assert entry(spread=None) is None


def test_a_market_without_quote_or_book_is_refused():
    assert entry(view=replace(VIEW, quote=None)) is Reason.QUOTE_MISSING
    assert entry(view=replace(VIEW, book=None)) is Reason.DEPTH_THIN


def test_an_order_must_be_a_small_part_of_both_sides():
    """The side it takes from is deep; the one it would leave by is not."""
    thin = book(depth=20)
    lopsided = replace(VIEW, book=replace(book(depth=1000), bids=thin.bids))
    assert entry(replace(BUY, size=size(49)), lopsided) is None
    assert entry(replace(BUY, size=size(51)), lopsided) is Reason.DEPTH_THIN


def test_a_crossing_entry_pays_no_more_than_the_slippage_allowed():
    assert entry(replace(BUY, size=size(2000)), max_slippage_bps=d("1.2")) is Reason.SLIPPAGE
    resting = replace(BUY, size=size(2000), type=OrderType.LIMIT_POST_ONLY)
    assert entry(resting, max_slippage_bps=d("1.2")) is None


def test_a_sale_is_held_back_only_when_nobody_bids_its_limit():
    assert check_exit(SELL, VIEW, POLICY, d(150)) is None
    assert check_exit(SELL, replace(VIEW, book=book(depth=0)), POLICY, d(150)) is not None
    assert reason(check_exit(SELL, replace(VIEW, quote=None), POLICY, d(150))) is Reason.QUOTE_MISSING
    high = replace(SELL, limit_price=price("100.5"))
    assert reason(check_exit(high, VIEW, POLICY, d(150))) is Reason.DEPTH_THIN


def test_a_market_sale_needs_the_policys_word_and_a_book_that_bears_it():
    naked = replace(SELL, type=OrderType.MARKET, limit_price=None, size=size(9000))
    allowed = POLICY.model_copy(update={"allow_market_orders": True})
    assert reason(check_exit(naked, VIEW, POLICY, d(150))) is Reason.ILLEGAL_ORDER
    assert check_exit(naked, VIEW, allowed, d(150)) is None
    assert reason(check_exit(naked, VIEW, allowed, d(1))) is Reason.SLIPPAGE
    assert reason(check_exit(replace(naked, size=size(20_000)), VIEW, allowed, d(150))) is Reason.DEPTH_THIN


def test_what_the_venue_would_refuse_is_refused_here():
    assert reason(check_preview(BUY, Preview(("PREVIEW_INSUFFICIENT_FUND",), (), None, None))) is Reason.PREVIEW_REFUSED
    assert check_preview(BUY, Preview((), ("BIG_ORDER",), None, None)) is None
