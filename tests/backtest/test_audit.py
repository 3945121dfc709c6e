"""The second opinion of a run finds what was tampered with, and nothing in an honest one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from backtest import engine
from backtest.audit import figures as figure_checks
from backtest.audit import fills as fill_checks
from backtest.audit.books import Account, Books, Fill, Order, read
from backtest.audit.report import BOT, VENUE, account_of, audit, tape_of
from backtest.audit.tape import Bar, Listing, Tape
from backtest.drive import Drive
from backtest.gate import scenarios
from backtest.summary import Run
from bot.domain.value import Value, replace
from bot.settings.load import load_config
from bot.settings.policy import FillModelPolicy
from tests.configs import SHIPPED

Rows = list[dict[str, Any]]


class Honest(Value, dict=True):
    run: Run
    account: Account
    contents: dict[str, bytes]
    tape: Tape

    def findings(self, **changed: bytes) -> set[str]:
        """Names of the checks that object when some artifacts are replaced; `orders` stands for orders.json."""
        endings = {"decisions": "decisions.jsonl", "equity": "equity.csv", "exposure": "exposure.csv"}
        contents = self.contents | {endings.get(name, f"{name}.json"): content for name, content in changed.items()}
        return self.judged(contents, self.account)

    @cached_property
    def books(self) -> Books:
        return read(self.contents, self.tape, self.account)

    def judged(self, contents: dict[str, bytes], account: Account) -> set[str]:
        found = audit(self.run.ledger.config, account, contents, self.tape)
        return {line.partition(":")[0] for line in found}

    def rows(self, name: str) -> Rows:
        content: Rows = json.loads(self.contents[name])
        return content

    def wishes(self) -> Rows:
        return [json.loads(line) for line in self.contents["decisions.jsonl"].splitlines()]


def made(folder: Path, name: str) -> Honest:
    """A run of the gate's own, as it came out."""
    scenario = next(one for one in scenarios(load_config(SHIPPED)) if one.name == name)
    config = engine.adapted(scenario.config, None)
    candles = scenario.write(folder / "candles", config.universe)
    data = engine.read(engine.wish(config, candles, since=scenario.since, until=scenario.until))
    drive = Drive(config, data, "code")
    drive.run(lambda _: None)
    run = engine.finish(drive, "config", "code", "backtest run")
    engine.write(run, candles, folder / "out")
    contents = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    return Honest(run, account_of(run, drive.stage.loop.store.state), contents, tape_of(run, candles))


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Honest:
    return made(tmp_path_factory.mktemp("drill"), "drill")


@pytest.fixture(scope="module")
def stormy(tmp_path_factory) -> Honest:
    return made(tmp_path_factory.mktemp("storm"), "storm")


def packed(rows: Rows) -> bytes:
    return json.dumps(rows).encode()


def lines(rows: Rows) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def first(rows: Rows, **wanted: Any) -> dict[str, Any]:
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


def times(value: str, factor: str) -> str:
    return str(Decimal(value) * Decimal(factor))


def approved(rows: Rows, side: str = "BUY") -> Iterator[dict[str, Any]]:
    return (
        want for row in rows for want in row.get("proposals", ()) if want["approved"] == "yes" and want["side"] == side
    )


# Each tampers with the artifacts of an honest run and names the check that has to object.


def cheaper_entry(run: Honest) -> dict[str, bytes]:
    fills = run.rows("fills.json")
    fill = first(fills, side="BUY", liquidity="MAKER")
    fill["price"] = times(fill["price"], "0.95")
    return {"fills": packed(fills)}


def dearer_sale(run: Honest) -> dict[str, bytes]:
    fills = run.rows("fills.json")
    fill = first(fills, side="SELL", liquidity="TAKER")
    fill["price"] = times(fill["price"], "1.002")
    return {"fills": packed(fills)}


def filled_at_once(run: Honest) -> dict[str, bytes]:
    fills, orders = run.rows("fills.json"), run.rows("orders.json")
    fill = first(fills, side="BUY")
    first(orders, order_id=fill["order_id"])["created_at"] = fill["booked_at"]
    return {"orders": packed(orders)}


def whole_volume(run: Honest) -> dict[str, bytes]:
    fills = run.rows("fills.json")
    for key in ("size", "value", "fee"):
        fills[0][key] = times(fills[0][key], "100000")
    return {"fills": packed(fills)}


def half_a_fee(run: Honest) -> dict[str, bytes]:
    fills = run.rows("fills.json")
    fills[0]["fee"] = times(fills[0]["fee"], "0.5")
    return {"fills": packed(fills)}


def odd_size(run: Honest) -> dict[str, bytes]:
    orders = run.rows("orders.json")
    orders[0]["size"] = str(Decimal(orders[0]["size"]) + Decimal("0.00003"))
    return {"orders": packed(orders)}


def never_approved(run: Honest) -> dict[str, bytes]:
    return {"decisions": lines([row for row in run.wishes() if row.get("outcome") != "TRADED"])}


def larger_than_approved(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    want = next(approved(rows))
    want["size"] = times(want["size"], "0.9")
    return {"decisions": lines(rows)}


def more_than_wanted(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    want = next(approved(rows))
    want["size_quote"] = times(want["size_quote"], "0.9")
    return {"decisions": lines(rows)}


def over_the_cap(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    want = next(approved(rows))
    want["worst_quote"] = "700"
    return {"decisions": lines(rows)}


def too_many_places(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    row = next(
        row for row in rows if any(w["approved"] == "yes" and w["side"] == "BUY" for w in row.get("proposals", ()))
    )
    want = next(approved([row]))
    for name in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT"):
        row["proposals"].append(want | {"product": f"{name}-USD", "worst_quote": "1"})
    return {"decisions": lines(rows)}


def during_a_cooldown(run: Honest) -> dict[str, bytes]:
    fills, rows = run.rows("fills.json"), run.wishes()
    sale = first(fills, side="SELL")
    twin = next(
        row for row in rows if any(w["approved"] == "yes" and w["side"] == "BUY" for w in row.get("proposals", ()))
    )
    want = next(approved([twin])) | {"product": sale["product"]}
    soon = datetime.fromisoformat(sale["booked_at"]) + timedelta(minutes=5)
    rows.append(twin | {"at": soon.isoformat(), "proposals": [want]})
    return {"decisions": lines(rows)}


def too_many_entries(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    row = next(
        row for row in rows if any(w["approved"] == "yes" and w["side"] == "BUY" for w in row.get("proposals", ()))
    )
    return {"decisions": lines([*rows[: rows.index(row)], *[row] * 5, *rows[rows.index(row) :]])}


def after_a_loss(run: Honest) -> dict[str, bytes]:
    fills, rows = run.rows("fills.json"), run.wishes()
    fills[0]["fee"] = "30"
    return {"fills": packed(fills), "decisions": lines(rows)}


def from_tomorrow(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    want = next(approved(rows))
    want["reference"] = times(want["reference"], "1.0001")
    return {"decisions": lines(rows)}


def sold_twice(run: Honest) -> dict[str, bytes]:
    fills = run.rows("fills.json")
    sale = first(fills, side="SELL")
    return {"fills": packed([*fills, sale | {"entry_id": "again", "booked_at": fills[-1]["booked_at"]}])}


def without_money(run: Honest) -> dict[str, bytes]:
    fills = run.rows("fills.json")
    fills[0]["fee"] = "20000"
    return {"fills": packed(fills)}


def held_too_long(run: Honest) -> dict[str, bytes]:
    trades = run.rows("trades.json")
    first(trades, exit_reason="max_hold")["opened_at"] = run.run.data.opened(0).isoformat()
    return {"trades": packed(trades)}


def profit_at_a_loss(run: Honest) -> dict[str, bytes]:
    trades = run.rows("trades.json")
    trade = first(trades, exit_reason="take_profit")
    trade["exit"] = trade["entry"]
    return {"trades": packed(trades)}


def stop_not_kept(run: Honest) -> dict[str, bytes]:
    trades = run.rows("trades.json")
    trade = first(trades, exit_reason="stop_loss")
    trade["closed_at"] = run.run.data.closed(run.run.data.count - 1).isoformat()
    return {"trades": packed(trades)}


def stop_above(run: Honest) -> dict[str, bytes]:
    orders = run.rows("orders.json")
    order = first(orders, kind="protective", rule="low")
    order["stop_price"] = order["limit_price"]
    return {"orders": packed(orders)}


def target_below(run: Honest) -> dict[str, bytes]:
    orders = run.rows("orders.json")
    order = first(orders, kind="protective", rule="low")
    order["limit_price"] = order["stop_price"]
    return {"orders": packed(orders)}


def prettier_curve(run: Honest) -> dict[str, bytes]:
    rows = run.contents["equity.csv"].decode().splitlines()
    time, equity, *rest = rows[-1].split(",")
    rows[-1] = ",".join([time, str(Decimal(equity) + 1), *rest])
    return {"equity": "\n".join(rows).encode()}


def unexplained_profit(run: Honest) -> dict[str, bytes]:
    trades = run.rows("trades.json")
    trades[0]["proceeds"] = times(trades[0]["proceeds"], "1.01")
    return {"trades": packed(trades)}


def better_figures(run: Honest) -> dict[str, bytes]:
    told = json.loads(run.contents["summary.json"])
    told["trades"]["hit_rate_pct"] = 55.0
    return {"summary": packed(told)}


def not_a_number(run: Honest) -> dict[str, bytes]:
    told = json.loads(run.contents["summary.json"])
    told["ratios"]["omega"]["value"] = float("nan")
    return {"summary": packed(told)}


def a_free_day(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    [*_, row] = [row for row in rows if "idle" in row and row.get("reason") == "daily_stop"]
    row["outcome"] = "NO_TRADE"
    return {"decisions": lines(rows)}


def a_longer_halt(run: Honest) -> dict[str, bytes]:
    rows = run.wishes()
    row = first(rows, outcome="NO_TRADE")
    row["outcome"], row["reason"] = "EXIT_ONLY", "weekly_stop"
    return {"decisions": lines(rows)}


def hardly_traded(run: Honest) -> dict[str, bytes]:
    """As if the first entry had been one in the product that sleeps at that time."""
    rows = run.wishes()
    next(approved(rows))["product"] = "SOL-USD"
    return {"decisions": lines(rows)}


def a_shallower_dip(run: Honest) -> dict[str, bytes]:
    trades = run.rows("trades.json")
    trades[0]["adverse_excursion_pct"] = "0"
    return {"trades": packed(trades)}


def cheap_to_take(run: Honest) -> dict[str, bytes]:
    fills = run.rows("fills.json")
    first(fills, side="SELL", liquidity="TAKER")["slippage"] = "0"
    return {"fills": packed(fills)}


def smaller_at_noon(run: Honest) -> dict[str, bytes]:
    rows = run.contents["exposure.csv"].decode().splitlines()
    time, cash, *rest = rows[12].split(",")
    rows[12] = ",".join([time, cash, *(str(Decimal(value) / 2) for value in rest)])
    return {"exposure": "\n".join(rows).encode()}


def another_rate(run: Honest) -> dict[str, bytes]:
    """The last fills pay what the first ones paid, as if nothing had been traded in between."""
    fills = run.rows("fills.json")
    fills[-2]["fee"] = str(Decimal(fills[-2]["value"]) * Decimal("0.005"))
    return {"fills": packed(fills)}


def filled_at_the_stop(run: Honest) -> dict[str, bytes]:
    """The bar opens far below a stop, and it is filled at its level."""
    fills, orders = run.rows("fills.json"), {row["order_id"]: row for row in run.rows("orders.json")}
    sale = next(f for f in fills if f["side"] == "SELL" and f["liquidity"] == "TAKER" and _gapped(f, orders))
    sale["price"] = times(orders[sale["order_id"]]["stop_price"], "0.9997")
    return {"fills": packed(fills)}


def _gapped(sale: dict[str, Any], orders: dict[str, dict[str, Any]]) -> bool:
    return Decimal(sale["price"]) < Decimal(orders[sale["order_id"]]["stop_price"]) * Decimal("0.99")


def born_at_once(run: Honest) -> dict[str, bytes]:
    """A bracket is said to have been born when its entry filled nothing."""
    orders = run.rows("orders.json")
    child = next(row for row in orders if row["parent_id"])
    child["created_at"] = first(orders, order_id=child["parent_id"])["created_at"]
    return {"orders": packed(orders)}


STORMY: tuple[tuple[Callable[[Honest], dict[str, bytes]], str], ...] = (
    (hardly_traded, "liquidity"), (another_rate, "fees"), (filled_at_the_stop, "fill prices"),
    (born_at_once, "latency"), (a_free_day, "halts"),
)  # fmt: skip


TAMPERED: tuple[tuple[Callable[[Honest], dict[str, bytes]], str], ...] = (
    (cheaper_entry, "fill prices"), (dearer_sale, "fill prices"), (filled_at_once, "latency"), (whole_volume, "volume"),
    (half_a_fee, "fees"), (odd_size, "steps"), (never_approved, "approvals"), (larger_than_approved, "approvals"),
    (more_than_wanted, "approvals"), (over_the_cap, "caps"), (too_many_places, "places"), (during_a_cooldown, "pauses"),
    (too_many_entries, "pacing"), (after_a_loss, "loss stops"), (from_tomorrow, "knowledge"), (sold_twice, "ownership"),
    (without_money, "ownership"), (held_too_long, "exits"), (profit_at_a_loss, "exits"), (stop_not_kept, "exits"),
    (stop_above, "brackets"), (target_below, "brackets"), (prettier_curve, "money"), (unexplained_profit, "money"),
    (better_figures, "figures"), (not_a_number, "figures"), (a_free_day, "halts"), (a_longer_halt, "halts"),
    (a_shallower_dip, "trades"), (cheap_to_take, "taking"), (smaller_at_noon, "curves"), (prettier_curve, "curves"),
)  # fmt: skip


def test_an_honest_run_is_beyond_reproach(honest, stormy):
    assert honest.findings() == set()
    assert stormy.findings() == set()


@pytest.mark.parametrize(("tamper", "check"), TAMPERED, ids=[tamper.__name__ for tamper, _ in TAMPERED])
def test_what_was_tampered_with_is_found(honest, tamper, check):
    assert check in honest.findings(**tamper(honest))


@pytest.mark.parametrize(("tamper", "check"), STORMY, ids=[tamper.__name__ for tamper, _ in STORMY])
def test_what_only_a_storm_brings_up_is_found(stormy, tamper, check):
    assert check in stormy.findings(**tamper(stormy))


def test_a_height_that_the_bot_forgot_is_found(stormy):
    assert stormy.account.peak is not None
    forgotten = replace(stormy.account, peak=stormy.account.peak - 1)
    assert stormy.judged(stormy.contents, forgotten) == {"peak"}


def test_no_check_goes_without_something_it_objects_to():
    assert {check for _, check in (*TAMPERED, *STORMY)} | {"peak"} == VENUE.keys() | BOT.keys()


OTHERWISE = {
    "equity": ("lowest", "highest", "opening", "final"),
    "returns": ("total_pct", "days"),
    "drawdowns": ("max_pct", "underwater_pct_of_time", "longest_days"),
    "trades": (
        "closed", "open", "hit_rate_pct", "average_win", "average_loss", "payoff", "profit_factor", "expectancy",
        "expectancy_bps", "expectancy_r", "won", "lost", "net", "best", "worst", "longest_losing_streak",
    ),
    "costs": ("fees", "spread", "slippage", "total", "traded", "total_bps_of_traded"),
    "execution": ("orders", "fills", "partial", "expired", "rejected", "requotes", "fill_ratio_pct"),
    "exposure": ("time_in_market_pct", "mean_pct", "max_pct", "max_asset_pct", "max_positions"),
}  # fmt: skip
INNER = (
    ("trades", "holding_minutes", "mean"), ("trades", "adverse_excursion_pct", "worst"),
    ("trades", "favourable_excursion_pct", "mean"), ("costs", "closed", "gross"), ("costs", "closed", "net"),
    ("benchmark", "btc", "return_pct"), ("benchmark", "equal_weight", "max_drawdown_pct"),
    ("benchmark", "btc", "excess_pct"), ("coverage", "cycles", "NO_TRADE"), ("coverage", "rules", "high"),
    ("exposure", "max_theme_pct", "slow"), ("execution", "minutes_to_fill", "mean"),
)  # fmt: skip


@pytest.mark.parametrize("path", [*((part, name) for part, names in OTHERWISE.items() for name in names), *INNER],
                         ids=".".join)  # fmt: skip
def test_no_figure_of_the_summary_is_taken_on_trust(honest, path):
    told = json.loads(honest.contents["summary.json"])
    *where, name = path
    part = told
    for key in where:
        part = part[key]
    part[name] = float(part[name]) * 1.01 + 0.01
    books = copy.copy(honest.books)  # with what it has worked out already
    books.summary = told
    found = list(figure_checks.figures(books, honest.run.ledger.config))
    assert {line.partition(" ")[0] for line in found} == {".".join(path)}


def test_the_deepest_falls_are_told_deepest_first(stormy):
    told = json.loads(stormy.contents["summary.json"])
    told["drawdowns"]["worst"].reverse()
    assert "figures" in stormy.findings(summary=packed(told))


def stopped(*prices: str) -> Books:
    """A bracket whose stop at 100 is filled in as many bars as there are prices; only the first bar falls to it."""
    bars = {
        0: bar("101", "101", "99", "99.5"),
        60: bar("103", "104", "102", "103"),
        120: bar("103", "104", "102", "103"),
    }
    listing = Listing(0, Decimal("0.01"), Decimal("0.1"), Decimal(1), shut=False)
    order = Order(
        "o", "BTC-USD", "SELL", "protective", "low", "c", 1, 1, "trigger_bracket_gtc", "FILLED", Decimal(3),
        Decimal("110"), Decimal("100"), 0, 180, Decimal(3),
    )  # fmt: skip
    sales = [
        Fill("o", "BTC-USD", "SELL", "stop_loss", Decimal(price), Decimal(1), Decimal(price), Decimal(0), False, 60 * i)
        for i, price in enumerate(prices, start=1)
    ]
    tape = Tape(60, Decimal(2), {"BTC-USD": bars}, {"BTC-USD": [listing]})
    return Books(tape, {"o": order}, sales, [], [], {}, [], [], {}, Decimal(0), None, 0, 180)


def born(price: str, close: str) -> Books:
    """A bracket with its target at 103 that is sold at `price` in the very bar in which its entry filled at 100."""
    bars = {0: bar("100.1", "104", "99", close)}
    listing = Listing(0, Decimal("0.01"), Decimal("0.1"), Decimal(1), shut=False)
    one, nothing = Decimal(1), Decimal(0)
    entry = Order(
        "e", "BTC-USD", "BUY", "entry", "low", "c", 1, 1, "limit_limit_gtd", "FILLED", one, Decimal(100),
        None, 0, 60, one,
    )  # fmt: skip
    child = Order(
        "o", "BTC-USD", "SELL", "protective", "", "", None, None, "trigger_bracket_gtc", "FILLED", one, Decimal(103),
        Decimal(97), 60, 60, one, parent="e",
    )  # fmt: skip
    at, limit = Decimal(100), Decimal(price)
    fills = [
        Fill("e", "BTC-USD", "BUY", "low", at, one, at, nothing, True, 60),
        Fill("o", "BTC-USD", "SELL", "take_profit", limit, one, limit, nothing, True, 60),
    ]
    tape = Tape(60, Decimal(2), {"BTC-USD": bars}, {"BTC-USD": [listing]})
    return Books(tape, {"e": entry, "o": child}, fills, [], [], {}, [], [], {}, Decimal(0), None, 0, 60)


@pytest.mark.parametrize(("close", "found"), [("103.01", 0), ("103", 1), ("101", 1)])
def test_a_bracket_takes_its_target_in_the_bar_of_its_birth_only_if_the_close_proves_it(close, found):
    assert len(list(fill_checks.prices(born("103", close), FillModelPolicy()))) == found


def bar(*prices: str) -> Bar:
    return Bar._make([*(Decimal(price) for price in prices), Decimal(1000)])


@pytest.mark.parametrize(
    ("prices", "found"),
    [
        (("99.97", "102.93"), 0),  # the rest is sold at the touch of the bar after, wherever the price went
        (("100.01",), 1),  # no better than the stop, less slippage
        (("99.97", "103.00"), 1),  # no better than the touch, less slippage
    ],
)
def test_what_a_triggered_stop_has_left_is_sold_at_the_next_touch(prices, found):
    assert len(list(fill_checks.prices(stopped(*prices), FillModelPolicy()))) == found
