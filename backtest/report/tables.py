"""The page's numbers: tiles at the top and tables below, as texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from backtest.metrics import NOT_ENOUGH
from backtest.report.artifacts import Artifacts
from bot.domain.value import Value

GROUPS: Final[Mapping[str, str]] = {
    "rule": "rule", "trigger": "trigger", "exit_reason": "exit reason", "product": "product", "tier": "tier",
    "theme": "theme", "regime": "regime", "weekday": "weekday of entry, UTC", "hour": "hour of entry, UTC",
}  # fmt: skip
TRADES_SHOWN: Final = 500


class Tile(Value):
    """One figure at the top. tone: good, bad or empty."""

    name: str
    value: str
    detail: str = ""
    tone: str = ""


class Table(Value):
    """head: names of the columns; the first one is text, numbers follow. open: shown without a click."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    open: bool = True


def tiles(run: Artifacts) -> list[Tile]:
    """The figures to look at first."""
    told = run.summary
    total, deepest, trades = told["returns"]["total_pct"], told["drawdowns"]["max_pct"], told["trades"]
    sharpe, balanced = told["ratios"]["sharpe"], told["integrity"]["balanced"]
    costs, failed = told["costs"], told["integrity"]["failed_cycles"]
    hits, edge, dear = "no trade is closed", "no trade is closed", "nothing was traded"
    if trades["closed"]:
        hits = "95 %: {:.0f} to {:.0f} %".format(*trades["hit_rate_interval_pct"])
        edge = f"{text(trades['expectancy_bps'])} bps a trade"
    if costs["traded"]:
        dear = f"{text(costs['total_bps_of_traded'])} bps of what was traded"
    return [
        Tile("return", _pct(total, signed=True), f"{_money(told['equity']['final'])} at the end", _tone(total)),
        Tile("deepest fall", _pct(deepest), f"{told['drawdowns']['longest_days']:.1f} days at the longest"),
        Tile("Sharpe ratio", text(sharpe["value"]), f"of {sharpe['days']} daily returns"),
        Tile("closed trades", text(trades["closed"]), f"{trades['open']} still open"),
        Tile("hit rate", _pct(trades.get("hit_rate_pct")), hits),
        Tile("profit factor", text(trades.get("profit_factor")), edge),
        Tile("costs", _money(costs["total"]), dear),
        Tile("ledger", "balances" if balanced else "is off", f"{failed} failed cycles", "good" if balanced else "bad"),
    ]


def tables(run: Artifacts) -> Iterator[Table]:
    """Everything else, the broad before the fine."""
    yield _ratios(run)
    yield _benchmarks(run)
    yield _drawdowns(run)
    if run.robustness is not None:
        yield from _robustness(run.robustness)
    yield _trades(run)
    yield from _groups(run)
    yield _execution(run)
    yield _integrity(run)
    yield _identity(run)
    yield _list(run)


def fees(run: Artifacts) -> str:
    """How fees were charged; in which tier a run ended says little of how it was charged."""
    model = run.summary["identity"]["fill_model"]
    rates = f"{text(model['maker_pct'])} % maker and {text(model['taker_pct'])} % taker"
    return f"by tier from {rates}" if model["fees"] == "tiers" else f"fixed at {rates}"


def text(value: Any, places: int = 2) -> str:
    """Any figure for people."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.{places}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _ratios(run: Artifacts) -> Table:
    told = run.summary
    rows = [
        [name, text(told["ratios"][name]["value"], 3), text(told["ratios"][name]["days"])]
        for name in ("sharpe", "sortino", "calmar", "omega")
    ]
    rows += [["return a year", _pct(told["returns"]["cagr_pct"]), text(told["returns"]["days"])],
             ["volatility a year", _pct(told["returns"]["volatility_pct"]), text(told["returns"]["days"])]]  # fmt: skip
    note = "Daily returns, 365 days a year, no risk-free rate."
    return Table("Ratios", ("figure", "value", "daily returns"), rows, note)


def _benchmarks(run: Artifacts) -> Table:
    names = ("return_pct", "max_drawdown_pct", "excess_pct", "alpha_pct", "beta", "days")
    told = run.summary["benchmark"]
    rows = [[name.replace("_", " "), *(text(row.get(key)) for key in names)] for name, row in told.items()]
    without = [f"{name.replace('_', ' ')}: {row['left_out']}." for name, row in told.items() if "left_out" in row]
    head = (
        "bought and held",
        "return %",
        "deepest fall %",
        "our return less its, %",
        "alpha a year %",
        "beta",
        "daily returns",
    )
    return Table("Beside buying and holding", head, rows, " ".join(["Bought at the close of the first bar.", *without]))


def _drawdowns(run: Artifacts) -> Table:
    rows = [
        [_minute(row["peak_at"]), _minute(row["bottom_at"]), _minute(row["recovered_at"] or "not yet"),
         _pct(row["depth_pct"], places=3), text(row["days"], 1)]
        for row in run.summary["drawdowns"]["worst"]
    ]  # fmt: skip
    under = run.summary["drawdowns"]["underwater_pct_of_time"]
    head = ("peak", "bottom", "recovered", "depth", "days")
    return Table("Worst drawdowns", head, rows, f"Below a former peak {under:.1f} % of the time.")


def _robustness(told: Mapping[str, Any]) -> Iterator[Table]:
    drawn = told["bootstrap"]
    if drawn != NOT_ENOUGH:
        levels = list(drawn["return_pct"])
        rows = [["return", *(_pct(drawn["return_pct"][level]) for level in levels)],
                ["deepest fall", *(_pct(drawn["max_drawdown_pct"][level]) for level in levels)]]  # fmt: skip
        lose = f"{drawn['chance_of_loss_pct']:.1f} % of them lose."
        note = f"{drawn['paths']} paths in blocks of {drawn['block_days']} days; {lose}"
        yield Table("Bootstrap", ("figure", *levels), rows, note)
    names = ("return_pct", "max_drawdown_pct", "sharpe", "net", "profit_factor", "hit_rate_pct")
    rows = [[name, *(text(row[key]) for key in names)] for name, row in told["costs"].items()]
    head = ("costs", "return %", "deepest fall %", "Sharpe", "closed net", "profit factor", "hit rate %")
    yield Table("Dearer trading", head, rows, "The same orders and fills, with what each of them paid multiplied.")
    rows = [[name.replace("_", " "), text(row["as_run"]), text(row["late"])] for name, row in told["late"].items()]
    yield Table(
        "One cycle late", ("figure", "as run", "late"), rows, "Run again with every order one bar later at the venue."
    )


def _trades(run: Artifacts) -> Table:
    told, rows = run.summary["trades"], []
    for name, value in told.items():
        if name == "by":
            continue
        if isinstance(value, Mapping):
            rows += [[f"{name} {key}".replace("_", " "), text(inner)] for key, inner in value.items()]
        else:
            shown = " to ".join(text(part) for part in value) if isinstance(value, list) else text(value)
            rows.append([name.replace("_", " "), shown])
    return Table("Closed trades", ("figure", "value"), rows, open=False)


def _groups(run: Artifacts) -> Iterator[Table]:
    for key, name in GROUPS.items():
        rows = [
            [value, text(row["trades"]), _pct(row["hit_rate_pct"], places=1), text(row["net"]), text(row["expectancy"])]
            for value, row in run.summary["trades"].get("by", {}).get(key, {}).items()
        ]
        head = (name, "trades", "hit rate", "net", "a trade")
        yield Table(f"By {name}", head, rows, open=key in ("rule", "exit_reason"))


def _execution(run: Artifacts) -> Table:
    told = run.summary["execution"]
    rows = [_fate(name, row) for name, row in (("all", told), *told["by_kind"].items())]
    slips = told["slippage_against_decision_bps"]
    note = f"{told['requotes']} re-quotes, {told['expired']} expired, {told['rejected']} rejected by the venue."
    if slips != NOT_ENOUGH:
        note += (
            f" Against the price decided on: {slips['median']:.1f} bps in the median, {slips['worst']:.1f} at worst."
        )
    head = ("orders", "sent", "filled", "in part", "fill ratio", "minutes to fill, median", "mean", "longest")
    return Table("Execution", head, rows, note)


def _fate(name: str, row: Mapping[str, Any]) -> list[str]:
    took = row["minutes_to_fill"] if row["minutes_to_fill"] != NOT_ENOUGH else {}
    counts = (row["orders"], row["by_status"].get("FILLED", 0), row["partial"])
    minutes = (text(took.get(key), 1) for key in ("median", "mean", "max"))
    return [name, *(text(count) for count in counts), _pct(row["fill_ratio_pct"], places=1), *minutes]


def _integrity(run: Artifacts) -> Table:
    told, period = run.summary["integrity"], run.summary["period"]
    residual = {currency: amount for currency, amount in told["ledger_residual"].items() if amount != "0"}
    rows = [
        ["bars", f"{period['bars']:,} of {period['bar'].replace('_', ' ').lower()}"],
        ["ledger residual", ", ".join(f"{a} {c}" for c, a in residual.items()) or "none in any currency"],
        ["books and venue disagreed", text(told["mismatches"])], ["failed cycles", text(told["failed_cycles"])],
        ["gaps in the data", text(len(told["gaps"]))], *_recorded(told["recorded"]),
        ["bars without a trade", text(sum(told["quiet_bars"].values()))],
        ["ticks held back or rejected", ", ".join(f"{n} {k}" for k, n in told["rejected_ticks"].items()) or "none"],
        *([f"cycles {name}", text(count)] for name, count in run.summary["coverage"]["cycles"].items()),
    ]  # fmt: skip
    return Table("Integrity", ("what", "found"), rows)


def _recorded(spans: Mapping[str, Mapping[str, str]]) -> Iterator[list[str]]:
    """First and last bar of the products, those with the same ones together."""
    found: dict[tuple[str, str], list[str]] = {}
    for product, span in spans.items():
        found.setdefault((span["first"][:16], span["last"][:16]), []).append(product)
    for (first, last), products in sorted(found.items()):
        yield [f"recorded {first.replace('T', ' ')} to {last.replace('T', ' ')}", ", ".join(products)]


def _identity(run: Artifacts) -> Table:
    told, period = run.summary["identity"], run.summary["period"]
    rows = [
        ["command", told["command"]], ["configuration", told["config_hash"]], ["code", told["code_hash"]],
        ["fill model", ", ".join(f"{name} {value}" for name, value in told["fill_model"].items())],
        ["fee tier at the end", told["fee_tier"]], ["products", ", ".join(period["products"])],
        *([f"data {name}", digest] for name, digest in told["data"].items()),
    ]  # fmt: skip
    return Table("Identity", ("what", "value"), rows, open=False)


def _list(run: Artifacts) -> Table:
    head = ("opened", "product", "rule", "entry", "exit", "reason", "profit", "bps")
    note = f"The last {TRADES_SHOWN} at most; trades.json holds all."
    return Table("Trades, one by one", head, [_row(t) for t in run.trades[-TRADES_SHOWN:]], note, open=False)


def _row(trade: Mapping[str, Any]) -> list[str]:
    numbers = (("pnl", 2), ("pnl_bps", 0))
    return [
        _minute(trade["opened_at"]), trade["product"], trade["rule"], _price(trade["entry"]), _price(trade["exit"]),
        trade["exit_reason"].replace("_", " "),
        *(text(float(trade[key]), places) if trade[key] is not None else "-" for key, places in numbers),
    ]  # fmt: skip


def _price(number: str | None) -> str:
    return "-" if number is None else f"{float(number):,.8g}"


def _pct(value: Any, *, places: int = 2, signed: bool = False) -> str:
    if not isinstance(value, (int, float)):
        return text(value)
    return f"{value:{'+' if signed else ''}.{places}f} %"


def _money(value: Any) -> str:
    return f"{float(value):,.2f}"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _tone(value: float) -> str:
    return "good" if value > 0 else "bad" if value < 0 else ""
