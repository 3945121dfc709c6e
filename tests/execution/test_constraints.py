"""Numbers made legal cost no more, and sell no more, than was approved; what cannot be made legal is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.decision import Reason, Reject
from bot.domain.order import OrderType
from bot.domain.product import Side, TradingMode
from bot.domain.value import replace
from bot.execution.constraints import ALLOWED_TYPES, Legal, Metadata, enforce_product_constraints
from tests.builders import NOW, d, price, product, size

FRESH = Metadata(NOW, timedelta(minutes=15))
POST, IOC = OrderType.LIMIT_POST_ONLY, OrderType.LIMIT_IOC


def legal(listing=None, side=Side.BUY, kind=POST, at="100", amount="1", rate="0.006", metadata=FRESH):
    return enforce_product_constraints(listing or product(), side, kind, price(at), size(amount), d(rate), metadata)


@given(
    st.decimals("0.01", "100000", places=6),
    st.decimals("0", "1000", places=10),
    st.sampled_from(["0.01", "0.25", "5", "0.0003"]),
    st.sampled_from(["0.00000001", "0.1", "3"]),
    st.sampled_from(list(Side)),
)
def test_what_is_let_through_is_legal_and_never_more_than_asked(at, amount, tick, step, side):
    listing = product(price_step=d(tick), size_step=d(step))
    answer = enforce_product_constraints(listing, side, POST, price(at), size(amount), d("0.006"), FRESH)
    if isinstance(answer, Legal):
        assert listing.illegal(answer.price, answer.size) is None
        assert answer.size.value <= amount
        assert answer.price.value <= at if side is Side.BUY else answer.price.value >= at


def test_prices_round_to_the_passive_side_and_sizes_down():
    listing = product(price_step=d("0.25"), size_step=d("0.1"))
    assert legal(listing, Side.BUY, at="100.20", amount="1.19") == Legal(price("100"), size("1.1"))
    assert legal(listing, Side.SELL, at="100.20", amount="1.19") == Legal(price("100.25"), size("1.1"))


def test_a_buy_must_meet_the_minimum_after_its_fee_and_a_sale_before_it():
    listing = product(quote_min=d(10))
    just = legal(listing, at="10", amount="1.003")
    assert isinstance(just, Reject)
    assert just.reason is Reason.MIN_NOTIONAL
    assert isinstance(legal(listing, at="10", amount="1.007"), Legal)
    assert isinstance(legal(listing, Side.SELL, at="10", amount="1"), Legal)


def test_a_size_below_the_minimum_is_refused_and_never_raised():
    answer = legal(product(base_min=d("0.5")), amount="0.49999999")
    assert isinstance(answer, Reject)
    assert answer.reason is Reason.MIN_NOTIONAL


def test_a_buy_below_one_tick_is_refused():
    answer = legal(product(price_step=d(5)), at="4.99")
    assert isinstance(answer, Reject)
    assert answer.reason is Reason.ILLEGAL_ORDER


def test_old_metadata_is_refused_unless_it_is_the_last_way_out():
    old = Metadata(NOW + timedelta(minutes=16), timedelta(minutes=15))
    answer = legal(metadata=old)
    assert isinstance(answer, Reject)
    assert answer.reason is Reason.METADATA_STALE
    assert isinstance(legal(metadata=replace(old, max_age=None)), Legal)


@pytest.mark.parametrize("mode", list(TradingMode))
@pytest.mark.parametrize("kind", [POST, IOC, OrderType.MARKET, OrderType.BRACKET])
def test_only_the_types_a_mode_takes_are_let_through(mode, kind):
    answer = legal(product(mode=mode), kind=kind)
    assert isinstance(answer, Legal) is (kind in ALLOWED_TYPES[mode])


def test_every_mode_has_a_row_and_nothing_crosses_where_nothing_matches():
    assert set(ALLOWED_TYPES) == set(TradingMode)
    for mode in (TradingMode.AUCTION, TradingMode.POST_ONLY):
        assert not {IOC, OrderType.LIMIT_FOK, OrderType.MARKET} & ALLOWED_TYPES[mode]


def test_a_size_above_the_maximum_is_cut_to_it():
    assert legal(product(base_max=Decimal(2)), amount="3") == Legal(price(100), size(2))
