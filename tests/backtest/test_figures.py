"""Every figure of a run's summary against one worked out from its orders, fills, decisions and candles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.backtest import runs
from tests.backtest.evidence import Evidence
from tests.backtest.markets import write_markets
from tests.configs import SHIPPED

DAYS, SEEDS = 22, {"BTC-USD": 4, "SOL-USD": 8, "DOGE-USD": 12}
RULES = [
    {**runs.LIVELY["rules"][0], "stop_loss_pct": 1.5, "take_profit_pct": 2.5},
    {**runs.LIVELY["rules"][1], "stop_loss_pct": 2.5, "trailing_stop_pct": 2},
]
POLICY: Mapping[str, Any] = {
    "rules": RULES,
    "execution": {"taker_fallback": True, "maker_max_reprices": 0, "max_slippage_bps": 60},
    "backtest": {"participation_pct": 0.4, "half_spread_bps": 2, "slippage_bps": 3},
    "risk": {"max_open_positions": 3},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Evidence:
    folder = tmp_path_factory.mktemp("figures")
    candles = write_markets(folder / "candles", SEEDS, DAYS * 1440)
    done = runs.backtest(candles, runs.settings(POLICY), folder / "out", every=False)
    rules = {rule["name"]: rule for rule in RULES}
    return Evidence(done.files, candles, 5, Decimal(2), rules, 10_000.0)


@pytest.fixture(scope="module")
def told(run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.files["summary.json"])
    return found


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-6, abs=2e-6)


def test_the_run_has_something_of_everything(run, told):
    assert told["trades"]["closed"] >= 40
    assert set(run.trips["reason"]) >= {"take_profit", "stop_loss", "trailing_stop", "max_hold"}
    assert set(run.trips["rule"]) == {"fast_rise", "high"}
    assert len(set(run.trips["product"])) == 3
    taken = run.fills[run.fills["liquidity"] == "TAKER"]
    assert set(taken["side"]) == {"BUY", "SELL"}
    assert (taken["trade_time"] == taken["booked_at"]).any(), "a stop inside a bar"
    assert (run.fills.groupby("order_id").size() > 1).any(), "an order filled in parts"
    assert told["trades"]["open"] >= 1 or told["execution"]["requotes"] > 0


def test_every_trade_is_what_its_fills_say(run):
    trades = pd.DataFrame(json.loads(run.files["trades.json"]))
    closed = trades[trades["closed_at"].notna()].reset_index(drop=True)
    assert len(closed) == len(run.trips)
    for name, mine in (
        ("pnl", "pnl"), ("pnl_bps", "bps"), ("pnl_r", "r"), ("fees", "fees"), ("adverse_excursion_pct", "worst"),
        ("favourable_excursion_pct", "best"),
    ):  # fmt: skip
        assert closed[name].astype(float).tolist() == near(run.trips[mine].tolist()), name
    assert (closed["bars"] * 5).tolist() == run.trips["minutes"].tolist()
    assert closed["exit_reason"].tolist() == run.trips["reason"].tolist()
    crossing = closed["spread"].astype(float) + closed["slippage"].astype(float)
    assert crossing.tolist() == near(run.trips["crossing"].tolist())


def test_profits_of_the_closed_trades(run, told):
    trades, pnl = told["trades"], run.trips["pnl"]
    won, lost = pnl[pnl > 0], pnl[pnl <= 0]
    assert trades["closed"] == len(pnl)
    assert trades["hit_rate_pct"] == near(len(won) / len(pnl) * 100)
    assert (trades["won"], trades["lost"], trades["net"]) == near((won.sum(), -lost.sum(), pnl.sum()))
    assert (trades["average_win"], trades["average_loss"]) == near((won.mean(), lost.mean()))
    assert trades["payoff"] == near(won.mean() / -lost.mean())
    assert trades["profit_factor"] == near(won.sum() / -lost.sum())
    assert trades["expectancy"] == near(pnl.sum() / len(pnl))
    assert trades["expectancy_bps"] == near(run.trips["bps"].mean())
    assert trades["expectancy_r"] == near(run.trips["r"].mean())
    assert (trades["best"], trades["worst"]) == near((pnl.max(), pnl.min()))
    bad = (pnl <= 0).astype(int)
    assert trades["longest_losing_streak"] == bad.groupby((bad == 0).cumsum()).sum().max()


def test_paths_of_the_closed_trades(run, told):
    trades, trips = told["trades"], run.trips
    minutes = trips["minutes"]
    assert trades["holding_minutes"] == {
        "mean": near(minutes.mean()), "median": near(minutes.median()), "max": minutes.max(),
    }  # fmt: skip
    assert trades["adverse_excursion_pct"] == {"mean": near(trips["worst"].mean()), "worst": near(trips["worst"].min())}
    assert trades["favourable_excursion_pct"] == {"mean": near(trips["best"].mean()), "best": near(trips["best"].max())}


def test_every_group_holds_its_own_trades(run, told):
    document = yaml.safe_load((SHIPPED / "universe.yaml").read_text())
    tiers = {product: str(tier) for tier, row in document["tiers"].items() for product in row["products"]}
    themes = {product: name for name, members in document["themes"].items() for product in members}
    trips = run.trips.assign(
        tier=run.trips["product"].map(tiers), theme=run.trips["product"].map(themes),
        hour=run.trips["opened"].dt.strftime("%H"), weekday=run.trips["opened"].dt.strftime("%a"),
        exit_reason=run.trips["reason"],
    )  # fmt: skip
    by = told["trades"]["by"]
    for name in ("rule", "tier", "theme", "product", "exit_reason", "regime", "hour", "weekday"):
        mine = trips.groupby(name)["pnl"].agg(["size", "sum", "mean", lambda pnl: (pnl > 0).mean() * 100])
        assert list(by[name]) == list(mine.index), name
        for key, (count, net, mean, share) in zip(mine.index, mine.to_numpy(), strict=True):
            assert by[name][key] == {
                "trades": count, "hit_rate_pct": pytest.approx(share, abs=5e-4), "net": near(net),
                "expectancy": near(mean),
            }, (name, key)  # fmt: skip
    assert sum(row["trades"] for row in by["trigger"].values()) >= len(trips)
    assert by["trigger"]["price_move"]["trades"] >= by["rule"]["fast_rise"]["trades"], "it holds on nothing else"


def test_costs_are_what_every_fill_paid(run, told):
    costs, fills, crossing = told["costs"], run.fills, run.crossing
    assert fills["spread"].tolist() == near(crossing["spread"].tolist())
    assert (fills["spread"] + fills["slippage"]).tolist() == near(crossing["cost"].tolist())
    assert costs["fees"] == near(fills["fee"].sum())
    assert costs["spread"] == near(crossing["spread"].sum())
    assert costs["slippage"] == near(crossing["cost"].sum() - crossing["spread"].sum())
    every = fills["fee"].sum() + crossing["cost"].sum()
    assert costs["total"] == near(every)
    assert costs["traded"] == near((fills["price"] * fills["size"]).sum())
    assert costs["total_bps_of_traded"] == near(every / costs["traded"] * 10_000)


def test_what_closed_trades_made_before_costs_is_theirs_alone(run, told):
    closed, trips = told["costs"]["closed"], run.trips
    every = trips["fees"].sum() + trips["crossing"].sum()
    gross = trips["pnl"].sum() + every
    assert closed["fees"] == near(trips["fees"].sum())
    assert closed["spread"] + closed["slippage"] == near(trips["crossing"].sum())
    assert closed["total"] == near(every)
    assert closed["traded"] == near(trips["traded"].sum())
    assert closed["total_bps_of_traded"] == near(every / trips["traded"].sum() * 10_000)
    assert closed["gross"] == near(gross)
    assert closed["gross_bps_of_traded"] == near(gross / trips["traded"].sum() * 10_000)
    assert closed["share_of_gross_pct"] == (near(every / gross * 100) if gross > 0 else "not enough data")
    assert closed["net"] == near(trips["pnl"].sum())


def fate(run: Evidence, orders: pd.DataFrame) -> dict[str, Any]:
    last = run.fills.groupby("order_id")["booked_at"].max()
    filled = orders[orders["status"] == "FILLED"]
    took = (filled["order_id"].map(last) - filled["created_at"]).dt.total_seconds() / 60
    return {
        "orders": len(orders),
        "by_status": orders["status"].value_counts().to_dict(),
        "partial": int(((orders["filled_size"] > 0) & (orders["status"] != "FILLED")).sum()),
        "fill_ratio_pct": near(len(filled) / len(orders) * 100),
        "minutes_to_fill": {"mean": near(took.mean()), "median": near(took.median()), "max": took.max()},
    }


def test_orders_end_as_the_records_say(run, told):
    execution, orders = told["execution"], run.orders
    assert execution["fills"] == len(run.fills)
    assert {name: execution[name] for name in fate(run, orders)} == fate(run, orders)
    for kind, own in orders.groupby("kind"):
        assert execution["by_kind"][kind] == fate(run, own), kind
    assert execution["expired"] == (orders["status"] == "EXPIRED").sum()
    assert execution["rejected"] == (orders["status"] == "FAILED").sum()
    assert execution["requotes"] == (orders["attempt"] > 1).sum() > 0


def test_slippage_against_the_decision_is_that_of_the_leg_that_traded(run, told):
    ended = run.orders[run.orders["ended_at"].notna() & (run.orders["filled_size"] > 0)]
    slips = []
    for _, order in ended.iterrows():
        if order["kind"] == "protective":
            expected = order["limit_price" if order["average_price"] >= order["limit_price"] else "stop_price"]
        else:
            expected = run.references[order["cycle_id"], order["product"], order["side"]]
        moved = (order["average_price"] / expected - 1) * 10_000
        slips.append(moved if order["side"] == "BUY" else -moved)
    mine = pd.Series(slips)
    assert told["execution"]["slippage_against_decision_bps"] == {
        "mean": near(mine.mean()), "median": near(mine.median()), "worst": near(mine.max()), "orders": len(mine),
    }  # fmt: skip


def test_exposure_is_what_was_held_at_every_close(run, told):
    exposure, share = told["exposure"], run.worth.div(run.equity, axis=0) * 100
    count = (run.worth > 0).sum(axis=1)
    assert exposure["time_in_market_pct"] == near((count > 0).mean() * 100)
    assert exposure["mean_pct"] == near(share.sum(axis=1).mean())
    assert exposure["max_pct"] == near(share.sum(axis=1).max())
    assert exposure["max_asset_pct"] == near(share.max().max())
    assert exposure["max_positions"] == count.max() >= 2
    themes = {"majors": "BTC-USD", "layer1": "SOL-USD", "meme": "DOGE-USD"}
    for name, most in exposure["max_theme_pct"].items():
        assert most == (near(share[themes[name]].max()) if name in themes else 0), name
    policy = yaml.safe_load((SHIPPED / "policy.yaml").read_text())["risk"]
    for name, key in (("cap_pct", "total"), ("asset_cap_pct", "per_asset"), ("theme_cap_pct", "per_theme")):
        assert exposure[name] == policy[f"max_{key}_pct"]
    assert exposure["positions_cap"] == 3


def test_equity_and_its_falls_are_those_of_cash_and_holdings_at_every_close(run, told):
    equity, falls = run.equity, run.falls(run.equity, run.opening)
    assert float(told["equity"]["final"]) == near(equity.iloc[-1])
    assert (told["equity"]["lowest"], told["equity"]["highest"]) == near((equity.min(), equity.max()))
    assert told["returns"]["total_pct"] == near((equity.iloc[-1] / run.opening - 1) * 100)
    assert told["drawdowns"]["max_pct"] == near(falls.min() * 100)
    assert told["drawdowns"]["underwater_pct_of_time"] == near((falls < -1e-12).mean() * 100)
    under = falls[falls < -1e-12]
    spans = under.groupby((falls >= -1e-12).cumsum().loc[under.index])
    depths = (spans.min() * 100).sort_values().head(5)
    worst = told["drawdowns"]["worst"]
    assert [row["depth_pct"] for row in worst] == near(depths.tolist())
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    assert [row["bottom_at"] for row in worst] == [spans.idxmin().loc[span].strftime(stamp) for span in depths.index]
    ends = [run.closes[min(run.closes.get_loc(own.index[-1]) + 1, len(run.closes) - 1)] for _, own in spans]
    begins = [run.closes[max(0, run.closes.get_loc(own.index[0]) - 1)] for _, own in spans]
    longest = max(end - begin for begin, end in zip(begins, ends, strict=True))
    assert told["drawdowns"]["longest_days"] == pytest.approx(longest.total_seconds() / 86_400, abs=5e-4)


def test_benchmarks_alpha_and_beta_are_those_of_a_straight_line_through_the_days(run, told):
    lines, own = run.benchmarks, run.daily(run.equity, run.opening)
    assert set(told["benchmark"]) == set(lines)
    for name, line in lines.items():
        beta, alpha = np.polyfit(run.daily(line, 1.0), own, 1)
        assert told["benchmark"][name] == {
            "return_pct": near((line.iloc[-1] - 1) * 100),
            "max_drawdown_pct": near(run.falls(line, 1.0).min() * 100),
            "excess_pct": near((run.equity.iloc[-1] / run.opening - line.iloc[-1]) * 100),
            "beta": near(beta), "alpha_pct": near(alpha * 365 * 100), "days": DAYS,
        }, name  # fmt: skip


def test_the_hourly_tables_are_the_run_at_the_hours(run):
    hours = run.closes[run.closes.minute == 0]
    table, exposure = run.table("equity.csv"), run.table("exposure.csv")
    assert pd.to_datetime(table["time"]).tolist() == hours.tolist()
    in_hour = (run.closes - pd.Timedelta(seconds=1)).floor("h")
    assert table["equity"].tolist() == near(run.equity[hours].tolist())
    assert table["low"].tolist() == near(run.equity.groupby(in_hour).min().tolist())
    assert table["high"].tolist() == near(run.equity.groupby(in_hour).max().tolist())
    falls = run.falls(run.equity, run.opening) * 100
    assert table["drawdown_pct"].tolist() == near(falls.groupby(in_hour).min().tolist())
    for name, line in run.benchmarks.items():
        assert table[name].tolist() == near((line[hours] * run.opening).tolist()), name
    assert exposure["cash"].tolist() == near(run.cash[hours].tolist())
    assert exposure["invested"].tolist() == near(run.worth.sum(axis=1)[hours].tolist())
