"""A wrong price, size or fee on one side turns parity red: by numbers that are worked out apart from both sides."""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backtest import engine
from backtest.check import rehearsal
from backtest.check.deeds import Entry, Exit
from backtest.check.fills import Fills
from backtest.check.parity_run import Parity, backtested, judged
from backtest.check.rehearsal import Replayed, Span
from backtest.check.sides import BACKTEST, Records, side
from backtest.dataset import Dataset
from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.tape import rescaled
from bot.adapters.storage import FileStorage
from bot.domain.bars import Granularity, Scale
from bot.domain.money import Percent
from bot.domain.order import Liquidity
from bot.domain.product import Side as OrderSide
from bot.domain.snapshot import Environment, Mode
from bot.domain.value import Value, replace
from bot.settings.config import Config
from bot.venue.orders import VenueFill
from tests.backtest import runs
from tests.backtest.check.deeds import (
    BTC,
    MAKER,
    OPENING,
    POLICY,
    TAKER,
    answer,
    bought,
    entry,
    flat_market,
    minute,
    part,
    quoted,
    resting,
    row,
    run,
    sent,
    settings,
    sold,
)  # fmt: skip
from tests.backtest.markets import write_markets

DUE = "is due"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return flat_market(tmp_path_factory.mktemp("bars"))


# ------------------------------------------------------------------------------------------------- planted in real runs


class Traded(Value):
    """Half an hour that the daemon traded over the wire: a purchase and a sale."""

    config: Config
    data: Dataset
    live: Records
    folder: Path

    def against(self, offline: Records) -> Parity:
        return judged(self.live, offline, Replayed(1, ()), self.data, self.config)

    def planted(self, **changes: Any) -> Parity:
        """Judged against a backtest under other settings. changes: of sections of the policy."""
        policy = self.config.policy
        update = {
            name: getattr(policy, name).model_copy(update=change) if isinstance(change, dict) else change
            for name, change in changes.items()
        }
        return self.against(backtested(Config(policy.model_copy(update=update), self.config.universe), self.data))


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Traded:
    folder = tmp_path_factory.mktemp("traded")
    config = rehearsal.rehearsed(runs.settings(POLICY, runs.UNIVERSE))
    write_markets(folder / "candles", {"BTC-USD": 31}, 2 * 1440)
    since = datetime(2024, 1, 2, 5, tzinfo=UTC)
    span = Span(since, since + timedelta(minutes=26))
    data = engine.read(engine.wish(config, folder / "candles", since=span.since, until=span.until))
    records, _ = rehearsal.live(config, data.paths, span, folder / "data", io.StringIO())
    return Traded(config, data, records, folder / "data")


def test_the_same_settings_on_both_sides_leave_nothing_unexplained(traded):
    found = traded.planted()
    assert found.passed, list(found.text())
    assert len(found.comparison.shared) == 2
    assert "both accounts began with the same" in list(found.text())


def test_cycles_whose_bars_are_kept_in_coarser_lots_since_are_counted_and_the_rest_is_decided_again(traded, tmp_path):
    """A busy hour of real candles ended the whole check."""
    shutil.copytree(traded.folder, tmp_path / "data")
    storage = FileStorage(tmp_path / "data", Environment.STAGING, Mode.LIVE, production=False)
    every = rehearsal.replayed(storage)
    assert (every.different, every.rescaled) == ((), 0)
    store = BarStore(storage.folder / "bars")
    tape = store.load(BTC, Granularity.ONE_MINUTE)
    assert tape is not None
    store.put(rescaled(tape, Scale(tape.scale.tick, tape.scale.lot * 10)), tape.start)
    assert rehearsal.replayed(storage) == rehearsal.Replayed(0, (), every.count)
    told = Parity(traded.planted().comparison, rehearsal.Replayed(0, (), every.count), traded.data)
    assert told.problems == ("no cycle was kept to be decided again",)
    assert f"0 otherwise; {every.count} not, whose bars" in list(told.text())[-2]


def test_a_backtest_that_pays_a_hundredth_of_a_percent_is_red(traded):
    cheap = Percent(Decimal("0.01"))
    found = traded.planted(backtest={"fees": "fixed", "maker_pct": cheap, "taker_pct": cheap})
    assert len(found.problems) == 2, list(found.text())
    assert all("backtest: a fee of" in problem and DUE in problem for problem in found.problems)


def test_a_backtest_that_begins_with_twice_the_cash_is_red(traded):
    found = traded.planted(paper={"starting_cash": {"USD": Decimal(20_000)}})
    assert found.problems == ("the accounts began with 10000 USD live and 20000 USD in the backtest",)


def test_a_backtest_that_believes_it_has_twice_its_equity_is_red(traded):
    """The account is right, what is made of it is not."""
    offline = backtested(traded.config, traded.data)
    cycles = [
        replace(
            item,
            bases={
                key: replace(basis, equity=basis.equity * 2)
                for key, basis in item.bases.items()
                if basis.equity is not None
            },
        )
        for item in offline.cycles
    ]
    (problem,) = traded.against(replace(offline, cycles=cycles)).problems
    assert "sized from an equity of 20000" in problem
    assert "its opening account and its fills come to 10000 to 10000" in problem


def test_a_backtest_whose_prices_are_a_percent_off_is_red(traded):
    found = traded.planted(backtest={"slippage_bps": Decimal(100)})
    assert "backtest: TAKER at 384.53, opening and stop of its bar make 383.70" in " ".join(found.problems)


def test_a_backtest_that_buys_a_percent_more_is_red(traded):
    rules = tuple(
        rule.model_copy(update={"size": rule.size.model_copy(update={"pct_of_nlv": Percent(Decimal("2.02"))})})
        for rule in traded.config.policy.rules
    )
    found = traded.planted(rules=rules)
    assert any("size 0.5201 for 0.5253" in problem for problem in found.problems)


# --------------------------------------------------------------------------------------------------------------- prices


def test_a_taker_pays_what_the_opening_of_the_bar_makes_and_live_what_the_minute_traded(data):
    found = row(entry(price="100.26"), entry(), data)
    assert found.unexplained == ""
    told = "TAKER in a minute of 99.80 to 100.20 for TAKER from an opening at 100.00, 2 bps of half spread"
    assert found.why == (f"price +20.0 bps: {told} and 3 of slippage",)


@pytest.mark.parametrize(
    ("live", "backtest", "fault"),
    [
        ("100.06", "101.06", "backtest: 101.06 is beyond the limit 100.27"),
        ("100.06", "100.00", "backtest: TAKER at 100.00, opening and stop of its bar make 100.06"),
        ("100.06", "100.10", "backtest: TAKER at 100.10, opening and stop of its bar make 100.06"),
        ("101.06", "100.06", "live: TAKER at 101.06 in a minute of 99.80 to 100.20"),
        ("99.06", "100.06", "live: TAKER at 99.06 in a minute of 99.80 to 100.20"),
    ],
)
def test_a_price_that_no_bar_allowed_is_red(data, live, backtest, fault):
    assert fault in row(entry(price=live), entry(price=backtest), data).unexplained


def test_a_fill_in_time_that_nobody_recorded_is_red(data):
    late = bought(sent(part("100.06", at=900), at=899))
    assert "in a minute that nobody recorded" in row(late, entry(), data).unexplained


def test_a_maker_trades_at_its_limit_and_limits_lie_where_the_quotes_do(data):
    moved = quoted(limit="100.01", bid=Decimal("100.01"))
    found = row(moved, quoted(), data)
    assert found.unexplained == ""
    assert found.why[0] == "price +3.0 bps: MAKER at its limit 100.01 for MAKER at its limit 99.98"


@pytest.mark.parametrize(
    ("live", "backtest", "fault"),
    [
        (quoted(price="99.97"), quoted(), "live: MAKER at 99.97, its limit is 99.98"),
        (quoted(), quoted(price="99.97"), "backtest: MAKER at 99.97, its limit is 99.98"),
        (quoted(limit="99.78"), quoted(), "live: limit 99.78, 10 bps and more off the touch of 99.98"),
        (quoted(), quoted(limit="100.98"), "backtest: limit 100.98, 10 bps and more off the touch of 99.98"),
        (quoted(limit="100.98", bid=Decimal("100.98")), quoted(), "live: quoted 100.98 to 100.02 in a market of 99.80"),
        (quoted(), quoted(limit="99.90", bid=Decimal("99.90")), "backtest: quoted 99.90 to 100.02, its bar closed"),
        (quoted(), quoted(limit="99.80", bid=Decimal("99.80")), "backtest: MAKER at 99.80 in a bar of 99.80 to 100.20"),
    ],
)  # fmt: skip
def test_a_quote_off_the_market_is_red(data, live, backtest, fault):
    assert fault in row(live, backtest, data).unexplained


def test_a_second_quote_must_lie_in_the_market_of_its_own_time(data):
    def again(limit: str):
        first, second = resting(at=51, limit="99.79"), resting(part(limit, at=54, rate=MAKER), at=53, limit=limit)
        return bought(first, second, bid=Decimal("99.79"))

    assert "limit 99.00 in a market of 99.80 to 100.20" in row(again("99.00"), quoted(), data).unexplained
    assert row(again("99.98"), quoted(), data).unexplained == ""


# ------------------------------------------------------------------------------------------------------ number of fills


def in_parts(*fills: tuple[str, str, float], rate: Decimal = TAKER):
    """Bought by one order in fills of (price, size, at)."""
    parts = [part(price, size, at=at, rate=rate) for price, size, at in fills]
    return bought(resting(*parts, at=51, ended=minute(54)) if rate == MAKER else sent(*parts, at=51))


HALVES = (("99.98", "0.5"), ("99.98", "0.5"))


@pytest.mark.parametrize(
    ("live", "backtest"),
    [
        (in_parts(("100.04", "0.5", 52), ("100.06", "0.5", 52)), entry()),
        (in_parts(("100.06", "0.5", 52), ("100.06", "0.5", 52.1)), entry()),
        (in_parts(*((*half, 52) for half in HALVES), rate=MAKER), quoted()),
        (quoted(), in_parts(*((*half, at) for half, at in zip(HALVES, (52, 53), strict=True)), rate=MAKER)),
    ],
    ids=["two levels", "two moments", "trades and a book", "two bars"],
)
def test_an_order_may_fill_in_parts_that_each_have_a_cause(data, live, backtest):
    found = row(live, backtest, data)
    assert found.unexplained == ""
    assert any("fills for" in text for text in found.why)


@pytest.mark.parametrize(
    ("live", "backtest", "fault"),
    [
        (in_parts(("100.06", "0.5", 52), ("100.06", "0.5", 52)), entry(),
         "live: 2 TAKER fills at 100.06 at 00:51:30, 1 at most at once"),
        (in_parts(*(("99.98", size, 52) for size in ("0.5", "0.3", "0.2")), rate=MAKER), quoted(),
         "live: 3 MAKER fills at 99.98 at 00:51:30, 2 at most at once"),
        (entry(), in_parts(("100.06", "0.5", 52), ("100.06", "0.5", 52)), "backtest: 2 fills in one bar"),
        (quoted(), in_parts(*((*half, 52) for half in HALVES), rate=MAKER), "backtest: 2 fills in one bar"),
    ],
)  # fmt: skip
def test_an_order_torn_into_fills_without_a_cause_is_red(data, live, backtest, fault):
    """Any number of fills of one order passed, as long as their sums did."""
    assert fault in row(live, backtest, data).unexplained


# ----------------------------------------------------------------------------------------------------------------- fees


def paying(rate: str, volume: int):
    return bought(sent(part("100.06", at=52, rate=Decimal(rate)), at=51, volume=Decimal(volume)))


def test_the_same_wrong_fee_on_both_sides_is_red(data):
    assert row(paying("0.0015", 0), paying("0.0015", 0), data).unexplained.count(DUE) == 2


def test_a_lower_tier_is_explained_by_what_each_side_had_traded(data):
    found = row(paying("0.0018", 1_000_000), paying("0.002", 0), data)
    assert found.unexplained == ""
    (told,) = found.why
    assert told.startswith("fee 0.180 % for 0.200 %: TAKER in Tier 1M after 1000000.00 in 30 days for TAKER in Intro")


def test_a_lower_tier_that_was_not_traded_for_is_red(data):
    assert "live: a fee of 0.18010" in row(paying("0.0018", 999_999), paying("0.002", 0), data).unexplained


def test_a_tier_that_was_reached_and_not_given_is_red(data):
    assert "backtest: a fee of" in row(paying("0.0018", 1_000_000), paying("0.002", 1_000_000), data).unexplained


def test_the_tiers_a_run_climbs_are_those_that_its_volume_has_reached(tmp_path):
    """A day in which fees fall: every one is worked out again from the fills before it."""
    rates = {"maker_pct": 0.3, "taker_pct": 0.5}
    feared = {f"worst_{name}": rate for name, rate in rates.items()}
    rich = {"fees": feared, "backtest": rates, "paper": {"starting_cash": {"USD": 150_000}}}
    config = rehearsal.rehearsed(runs.settings({**POLICY, **rich}, runs.UNIVERSE))
    write_markets(tmp_path, {"BTC-USD": 31, "ETH-USD": 12}, 3 * 1440)
    since = datetime(2024, 1, 2, 5, tzinfo=UTC)
    bars = engine.read(engine.wish(config, tmp_path, since=since, until=since + timedelta(hours=24)))
    backtest = side(BACKTEST, backtested(config, bars), bars, config)
    deeds: tuple[Entry | Exit, ...] = (*backtest.entries, *backtest.exits)
    assert [told for deed in deeds for told in Fills(bars, config).faults(deed, backtest)] == []
    charged = {part.fee / part.value for deed in deeds for part in deed.filled.parts}
    assert max(charged) == Decimal("0.005")
    assert len(charged) >= 3, "as maker and taker, and then less"
    for order in (order for deed in deeds for order in deed.filled.orders):
        hour = order.at.replace(minute=0)
        assert order.volume == sum(fill.value for fill in backtest.fills if fill.booked_at < hour)
    unfair = settings()
    assert any(DUE in told.text for deed in deeds for told in Fills(bars, unfair).faults(deed, backtest))


def test_a_maker_beside_a_taker_explains_the_fee(data):
    found = row(quoted(), entry(), data)
    assert found.unexplained == ""
    assert "fee 0.100 % for 0.200 %: MAKER for TAKER" in found.why


# ---------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("size", ["0.99", "1.01", "2"])
def test_a_size_one_step_beyond_what_equity_and_limit_make_is_red(data, size):
    assert f"size 1 for {size}: 1.0027" in row(entry(), entry(size=size), data).unexplained
    assert f"size {size} for 1" in row(entry(size=size), entry(), data).unexplained


def grown(size: str, equity: str, **changes: Any):
    return entry(size=size, equity=Decimal(equity), **changes)


@pytest.mark.parametrize(("size", "explained"), [("1.08", False), ("1.09", True), ("1.11", True), ("1.12", False)])
def test_a_tenth_more_equity_buys_a_tenth_more_and_no_step_beyond(data, size, explained):
    """10 000 dollars bought 1.00 and would have bought almost 1.01."""
    live, backtest = run("live", entry()), run("backtest", grown(size, "11000"))
    backtest = replace(backtest, opening={"USD": Decimal(11_000)})
    (found,) = answer(live, backtest, data).comparison.rows
    assert ("size" not in found.unexplained) is explained
    assert not answer(live, backtest, data).passed, "yet the accounts began apart"


def test_a_higher_limit_buys_less_as_long_as_the_quote_explains_it(data):
    dearer: dict[str, Any] = {"limit": Decimal("101.27"), "ask": Decimal("101.02"), "bid": Decimal("100.98")}
    wild = entry(85, size="0.99", **dearer)
    found = row(wild, entry(85), data)
    assert found.unexplained == ""
    assert found.why[-1] == "size 0.99 for 1: the same share of 10000.00 at 101.27 and of 10000.00 at 100.27"
    calm = row(entry(size="0.99", **dearer), entry(), data)
    assert "live: quoted 100.98 to 101.02 in a market of 99.80" in calm.unexplained
    cheap = row(entry(size="0.99", limit=Decimal("101.27")), entry(), data)
    assert "live: sized at 101.27, an ask of 100.02 allows 100.27005" in cheap.unexplained


def test_a_fixed_sum_does_not_grow_with_equity(data):
    rule = {
        "name": "dip", "when": {"all": [{"price_move": {"direction": "up"}}]}, "size": {"usd": 101},
        "scale_by_volatility": False, "stop_loss_pct": 2, "max_hold_minutes": 600, "max_new_per_cycle": 2,
    }  # fmt: skip
    config = settings(rules=[rule])
    backtest = replace(run("backtest", grown("1", "11000")), opening={"USD": Decimal(11_000)})
    (found,) = answer(run("live", entry()), backtest, data, config).comparison.rows
    assert found.unexplained == ""
    backtest = replace(backtest, entries=(grown("1.10", "11000"),))
    (found,) = answer(run("live", entry()), backtest, data, config).comparison.rows
    assert "size 1 for 1.10" in found.unexplained


def holding(size: str, **changes: Any) -> VenueFill:
    """Bought at the market before anything else, in a product of its own fees."""
    value = Decimal(size) * 100
    made = VenueFill(
        1, "e", "t", "o", BTC, OrderSide.BUY, Decimal(100), Decimal(size), value, Decimal(0), Liquidity.TAKER,
        minute(9), minute(10),
    )  # fmt: skip
    return replace(made, **changes)


def test_a_cap_narrows_a_size_by_what_one_side_holds_more_and_no_further(data):
    """One coin held is a hundredth of equity: so much less may be bought, or nothing that a cap did not narrow."""
    narrowed = entry(size="0.50", clamped=("total_cap",))
    backtest = replace(run("backtest", narrowed), fills=(holding("1"),))
    (found,) = answer(run("live", entry()), backtest, data).comparison.rows
    assert found.unexplained == ""
    assert "narrowed by total_cap" in found.why[-1]
    for odd in (replace(backtest, fills=()), replace(backtest, entries=(entry(size="0.50"),))):
        (found,) = answer(run("live", entry()), odd, data).comparison.rows
        assert "size 1 for 0.50" in found.unexplained


def test_equity_is_checked_against_opening_and_fills(data):
    (found,) = answer(run("live", entry(equity=Decimal(9_950))), run("backtest", entry()), data).comparison.rows
    assert "live: sized from an equity of 9950" in found.unexplained
    losing = replace(run("live", entry(equity=Decimal(9_950))), fills=(holding("1", fee=Decimal(50)),))
    (found,) = answer(losing, run("backtest", entry()), data).comparison.rows
    assert "sized from an equity" not in found.unexplained


def test_an_entry_that_no_cycle_approved_is_red(data):
    assert "live: no cycle approved it" in row(replace(entry(), basis=None), entry(), data).unexplained


def test_accounts_that_began_with_other_coins_are_red(data):
    other = replace(run("backtest", entry()), opening={**OPENING, "BTC": Decimal(0), "USDC": Decimal(5)})
    assert (
        "the accounts began with 10000 USD live and 10000 USD, 5 USDC in the backtest"
        in answer(run("live", entry()), other, data).problems
    )


# ----------------------------------------------------------------------------------------------------------- not filled


def unfilled(limit: str, **changes: Any):
    """A quote that rested in the bar after the decision and did not trade, its touch where it is."""
    return bought(resting(at=51, limit=limit, **changes), bid=Decimal(limit))


def test_a_quote_that_no_bar_passed_may_stay_unfilled(data):
    found = row(quoted(), unfilled("99.80"), data)
    assert not found.same
    assert any("backtest filled nothing of 1: at most 10 % of a bar's volume at 99.80" in line for line in found.why)
    assert "filled nothing" not in found.unexplained


def test_a_quote_that_a_bar_passed_with_volume_to_spare_is_red(data):
    found = row(quoted(), unfilled("99.98"), data)
    assert "traded from 99.80 past its limit 99.98, 5 of it were to be had and 0 taken" in found.unexplained


def test_an_immediate_order_within_the_market_that_took_nothing_is_red(data):
    nothing = bought(sent(at=51))
    assert "backtest filled nothing of 1: the bar that closed at 00:52" in row(entry(), nothing, data).unexplained
    far = bought(sent(at=51, limit=Decimal("99.00")))
    assert "filled nothing" not in row(entry(), far, data).unexplained


def test_live_may_miss_a_price_that_was_only_touched(data):
    assert "live filled" not in row(unfilled("99.98"), quoted(), data).unexplained
    far = row(bought(resting(at=86, limit="99.98"), bar=85), quoted(85), data).unexplained
    assert "the minute before 01:27 went down to 99.00, more than 25 bps below its limit 99.98" in far
    brief = bought(resting(at=86, limit="99.98", ended=minute(86.4)), bar=85)
    assert "went down" not in row(brief, quoted(85), data).unexplained


def test_a_part_is_explained_by_the_share_of_the_volume_and_by_nothing_else(data):
    def half(size: str):
        return bought(sent(part("100.06", size, at=52), at=51, size=Decimal(10)), asked="10")

    def backtest(size: str):
        return replace(run("backtest", half(size)), fills=(holding(size, booked_at=minute(52)),))

    live = run("live", entry(size="10"))
    (found,) = answer(live, backtest("5"), data).comparison.rows
    assert found.unexplained == ""
    assert any("backtest filled 5 of 10: at most 10 % of a bar's volume" in line for line in found.why)
    (found,) = answer(live, backtest("4"), data).comparison.rows
    assert "5 of it were to be had and 4 taken" in found.unexplained


def test_an_order_that_filled_more_than_it_asked_is_red(data):
    more = bought(sent(part("100.06", "1.01", at=52), at=51))
    assert "backtest: 1.01 of 1 filled" in row(entry(), more, data).unexplained


def test_a_book_that_was_deep_enough_leaves_no_part_over(data):
    half = sent(part("100.06", "0.5", at=52), at=51, limit=Decimal("101"))
    assert "100 were on offer up to its limit 101" in row(bought(half), entry(), data).unexplained
    assert row(bought(half, depth=Decimal("0.5")), entry(), data).unexplained == ""


# ---------------------------------------------------------------------------------------------------------------- exits


def exits(live, backtest, data):
    """The row of an exit on each side; each bought what it sells."""
    found = answer(run("live", entry(), exits=(live,)), run("backtest", entry(), exits=(backtest,)), data)
    (row,) = (row for row in found.comparison.rows if row.kind == "exit")
    return row


def test_a_stop_fills_at_its_level_or_the_opening_and_follows_the_price_paid(data):
    assert exits(sold(60), sold(60), data).unexplained == ""
    cheaper = exits(sold(60), sold(60, price="99.77", paid="99.96", limit=Decimal(95)), data)
    assert cheaper.unexplained == ""
    assert cheaper.why[1] == "stop 99.90 for 99.80, +0.0 bps apart from the prices paid: within 4.0"
    assert "stop 99.90 for 99.85" in exits(sold(60), sold(60, price="99.82"), data).unexplained
    better = exits(sold(60), sold(60, stop=Decimal("99.80")), data)
    assert "backtest: TAKER at 99.87, opening and stop of its bar make 99.95 or 99.77" in better.unexplained


def test_a_trailing_stop_may_lie_apart_by_the_step_it_moves_in(data):
    def trailing(price: str):
        return replace(sold(60, "trailing_stop", price), rule="high")

    rule = settings().policy.rule("high")
    assert rule is not None
    assert rule.trailing_stop_pct == Percent(Decimal(2)), "so its step is 50 bps, and 30 for quotes"
    assert "stop" not in exits(trailing("99.87"), trailing("99.82"), data).unexplained
    assert "stop 99.90 for 99.01" in exits(trailing("99.87"), trailing("98.98"), data).unexplained


def test_a_target_follows_the_price_paid(data):
    def target(price: str):
        return sold(60, "take_profit", price)

    assert exits(target("100.15"), target("100.15"), data).unexplained == ""
    assert "target 100.15 for 100.10, +5.0 bps apart" in exits(target("100.15"), target("100.10"), data).unexplained


def test_an_exit_sells_what_entries_bought(data):
    found = answer(run("live", entry(), exits=(sold(60),)), run("backtest", exits=(sold(60),)), data)
    assert any("backtest: sold 1 of 1, entries bought 0" in problem for problem in found.problems)


def test_a_delay_beyond_the_bars_and_the_patience_of_a_wish_is_red(data):
    def late(at: float):
        return bought(resting(at=51, limit="99.98"), resting(part("99.98", at=at, rate=MAKER), at=at - 1))

    fine, far = row(quoted(), late(55), data), row(quoted(), late(60), data)
    assert "after 60 s for 240 s: the backtest sends 1 bar later" in " ".join(fine.why)
    assert "after 60 s for 540 s: 444 s is the longest" in far.unexplained
    slow = replace(
        sold(60, "max_hold", "99.95"), filled=replace(sold(60, "max_hold", "99.95").filled, since=minute(57))
    )
    assert "is the longest" in exits(sold(60, "max_hold", "99.95"), slow, data).unexplained
