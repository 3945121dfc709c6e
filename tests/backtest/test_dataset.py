"""Exact integers out of recorded numbers, quiet minutes, gaps, longer bars, and quotes around a close."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.dataset import Quoting, Wish, load
from bot.domain.bars import Granularity
from bot.domain.product import ProductId
from bot.errors import CandlesCorrupt, ConfigError
from bot.venue.market import touch_around
from bot.venue.rules import FillRules
from tests.backtest.markets import START, rows, write_csv

BTC = ProductId("BTC-USD")


def wish(folder, **changes):
    return Wish(folder, Granularity.ONE_MINUTE, **({"history": 30} | changes))


def listing(**changes):
    """BTC-USD as the venue describes it."""
    flags = dict.fromkeys(
        ("is_disabled", "trading_disabled", "view_only", "cancel_only", "post_only", "auction_mode", "limit_only"),
        False,
    )
    return {
        "product_id": "BTC-USD", "status": "online", "base_increment": "0.001", "quote_increment": "0.01",
        "base_min_size": "0.001", "base_max_size": "100", "quote_min_size": "1", "quote_max_size": "1000000", **flags,
        **changes,
    }  # fmt: skip


def test_every_recorded_number_comes_back_exactly(tmp_path):
    candles = rows(5, 2000, quiet=0)
    write_csv(tmp_path, BTC, candles)
    track = load(wish(tmp_path)).tracks[BTC]
    series = track.segments[0].columns.series
    for index, (_, opened, high, low, close, volume) in enumerate(candles):
        bar = series.bar(index)
        assert (bar.open.value, bar.high.value) == (Decimal(opened), Decimal(high))
        assert (bar.low.value, bar.close.value) == (Decimal(low), Decimal(close))
        assert bar.volume == Decimal(volume)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("length", [Granularity.ONE_MINUTE, Granularity.FIVE_MINUTE])
def test_a_price_with_the_noise_of_a_float_is_named_with_its_row(tmp_path, listed, length):
    """Ten times 37735.03 is 377350.30000000005 for a machine; no venue has increments of a hundred-billionth."""
    candles = rows(5, 300, price=37_000.0, quiet=0)
    noisy = (candles[150][0], "377350.3", "377350.30000000005", "377350.2", "377350.3", "1")
    write_csv(tmp_path, BTC, [*candles[:150], noisy, *candles[151:]])
    if listed:
        (tmp_path / "products.json").write_text(json.dumps({"products": [listing(price_increment="0.01")]}))
    wanted = Wish(tmp_path, length, since=datetime.fromtimestamp(START + 6000, UTC), history=3)
    with pytest.raises(CandlesCorrupt, match=r"row 152: high 377350.30000000005 is no multiple of .* round it"):
        load(wanted)


def test_prices_that_leave_no_room_for_their_increment_are_refused_with_the_highest(tmp_path):
    """A price may be a whole number and still have too many digits behind its point for exact quotes."""
    (tmp_path / "products.json").write_text(json.dumps({"products": [listing(price_increment="0.000000001")]}))
    candles = [(START + 60 * i, "5", str(10 ** (i + 1)), "5", "5", "1") for i in range(9)]
    write_csv(tmp_path, BTC, candles)
    with pytest.raises(CandlesCorrupt, match=r"row 10: high 1000000000 .*"):
        load(wish(tmp_path, half_spread_bps=Decimal(1)))
    write_csv(tmp_path, BTC, candles[:4])
    assert load(wish(tmp_path, half_spread_bps=Decimal(1))).tracks[BTC].scale.tick == Decimal("0.000000001")


def test_a_listing_that_cannot_be_read_is_told_without_an_error_number(tmp_path):
    write_csv(tmp_path, BTC, rows(5, 30))
    path = tmp_path / "products.json"
    for text, told in (
        ("{", "is no JSON"),
        ('[{"from": "soon", "products": []}]', "`from` must be a day such as 2024-01-01, was 'soon'"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=told):
            load(wish(tmp_path))
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=r"products\.json: cannot be read: Is a directory"):
        load(wish(tmp_path))


def test_an_absent_minute_is_quiet_and_an_absent_hour_is_a_gap(tmp_path):
    kept = [row for i, row in enumerate(rows(7, 400, quiet=0)) if i not in (10, 11) and not 200 <= i < 290]
    write_csv(tmp_path, BTC, kept)
    data = load(wish(tmp_path))
    first, second = data.tracks[BTC].segments
    assert (first.first, first.stop, second.first, second.stop) == (0, 200, 290, 400)
    series = first.columns.series
    assert series.quiet.nonzero()[0].tolist() == [10, 11]
    assert series.close[10] == series.close[9] == series.open[11]
    assert series.volume[10] == 0
    assert data.integrity.gaps == ((BTC, START + 200 * 60, START + 290 * 60),)
    assert data.tracks[BTC].at(250) is None


def test_longer_bars_are_made_of_shorter_ones(tmp_path):
    candles = rows(9, 60, quiet=0)
    write_csv(tmp_path, BTC, candles)
    data = load(Wish(tmp_path, Granularity.FIVE_MINUTE, history=3))
    series = data.tracks[BTC].segments[0].columns.series
    assert len(series) == 12
    for index in range(12):
        part, bar = candles[index * 5 : index * 5 + 5], series.bar(index)
        assert bar.open.value == Decimal(part[0][1])
        assert bar.high.value == max(Decimal(row[2]) for row in part)
        assert bar.low.value == min(Decimal(row[3]) for row in part)
        assert bar.close.value == Decimal(part[-1][4])
        assert bar.volume == sum(Decimal(row[5]) for row in part)


def test_the_run_begins_at_from_with_the_history_before_it(tmp_path):
    write_csv(tmp_path, BTC, rows(11, 300, quiet=0))
    since = datetime.fromtimestamp(START + 100 * 60, UTC)
    data = load(wish(tmp_path, since=since, until=datetime.fromtimestamp(START + 200 * 60, UTC)))
    assert (data.start, data.count) == (START + 100 * 60, 100)
    assert data.tracks[BTC].segments[0].first == -30
    assert data.closed(0) == datetime.fromtimestamp(START + 101 * 60, UTC)
    assert data.newest(data.closed(0)) == 0


def test_a_period_without_candles_is_refused_with_what_there_is(tmp_path):
    write_csv(tmp_path, BTC, rows(11, 300, quiet=0))
    reach = r"no candle between .*: the first is that of 2024-01-01 00:00, the last that of 2024-01-01 \d\d:\d\d UTC"
    with pytest.raises(ConfigError, match=reach):
        load(wish(tmp_path, since=datetime(2030, 1, 1, tzinfo=UTC)))
    with pytest.raises(ConfigError, match="ETH-USD"):
        load(wish(tmp_path, products=(ProductId("ETH-USD"),)))


def test_a_period_that_ends_before_it_begins_is_told_as_such(tmp_path):
    write_csv(tmp_path, BTC, rows(11, 300, quiet=0))
    at = datetime(2024, 1, 1, 2, tzinfo=UTC)
    for until in (at, at - timedelta(hours=1)):
        told = f"--to {until:%Y-%m-%d %H:%M} must be later than --from 2024-01-01 02:00"
        with pytest.raises(ConfigError, match=told):
            load(wish(tmp_path, since=at, until=until))


def test_dated_listings_give_the_increments_of_their_time(tmp_path):
    row = listing()
    answers = [
        {"from": "2023-12-01", "products": [row | {"price_increment": "0.05"}]},
        {"from": "2024-01-01T02:00:00", "products": [row | {"price_increment": "0.01"}]},
    ]
    (tmp_path / "products.json").write_text(json.dumps(answers))
    write_csv(tmp_path, BTC, rows(13, 300, quiet=0))
    data = load(wish(tmp_path))
    assert data.listings.at(data.opened(0))[BTC].price_step == Decimal("0.05")
    assert data.listings.at(data.opened(120))[BTC].price_step == Decimal("0.01")
    assert data.tracks[BTC].scale.tick == Decimal("0.01")


@given(
    st.integers(1, 10**9), st.sampled_from([1, 2, 5, 10]), st.sampled_from(["0", "0.5", "1", "2", "7.5", "25"])
)  # fmt: skip
def test_quotes_are_those_the_venue_makes_around_a_price(close, step, half_spread_bps):
    half = Decimal(half_spread_bps)
    quoting = Quoting(step, *(half / 10_000).as_integer_ratio())
    on_step = close * step
    venue = touch_around(Decimal(on_step), FillRules(half_spread_bps=half).spread, Decimal(step))
    assert quoting.bid(on_step) == venue.bid
    assert quoting.ask(on_step) == max(venue.ask, venue.bid + step)
    assert quoting.bids(np.array([on_step])).tolist() == [quoting.bid(on_step)]
    assert quoting.asks(np.array([on_step])).tolist() == [quoting.ask(on_step)]
