"""The status report as a page for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.show import short_time, table
from bot.domain.decision import Reason
from bot.ops.remedies import CHANGES

POSITION_COLUMNS: Final = ("product", "size", "cost", "mark", "unrealised_pnl", "stop", "target", "rule", "managed")
ORDER_COLUMNS: Final = ("client_order_id", "product", "side", "kind", "status", "size", "filled", "limit_price")

Report = Mapping[str, Any]


def page(report: Report) -> RenderableType:
    """Everything an operator asks first, most urgent on top."""
    return Group(*_parts(report))


def _parts(report: Report) -> Iterator[RenderableType]:
    yield _headline(report)
    yield from (Text(line) for line in _lines(report))
    if report["positions"]:
        yield Text("")
        yield table(report["positions"], POSITION_COLUMNS, "positions")
    if report["orders"]:
        yield Text("")
        yield table(report["orders"], ORDER_COLUMNS, "working orders")


def _headline(report: Report) -> Text:
    where = f"{report['env']} {report['mode']}"
    doing = f"running, pid {report['pid']}" if report["running"] else "not running"
    line = Text(f"{where}: {doing}", style="bold")
    if report["halted"]:
        line.append(f"\nHALTED   {report['halt_reason']}{_ends(report)}", style="bold red")
    return line


def _ends(report: Report) -> str:
    """What ends a halt: of the kill switch always, of other causes as the newest cycle told its own."""
    cycle = report["cycle"] or {}
    name = "kill_switch" if "kill_switch" in report["halt_reason"] else cycle.get("reason", "")
    known = CHANGES.get(Reason(name)) if name in Reason._value2member_map_ else None
    return f"; it takes {known}" if known else ""


def _lines(report: Report) -> Iterator[str]:
    cycle = report["cycle"]
    if cycle is None:
        yield "cycle    none yet"
    else:
        why = f" ({cycle['reason']})" if cycle["reason"] else ""
        yield f"cycle    {cycle['cycle_id']} ended {short_time(cycle['finished_at'])} UTC: {cycle['outcome']}{why}"
        if cycle.get("detail") and not report["halted"]:
            yield f"why      {cycle['detail']} (`bot explain` tells the rest)"
    yield f"equity   {_equity(report)}"
    yield f"results  {', '.join(_results(report))}"
    most = report.get("limits", {}).get("max_open_positions")
    yield f"holds    {len(report['positions']) or 'nothing'}{f' of {most} positions' if most else ''}"
    for latch in report["latches"]:
        yield f"latch    {latch['name']}: {latch['detail']} (ends with `bot resume --latch {latch['name']}`)"
    for breaker in report["breakers"]:
        if breaker["state"] == "open":
            yield f"breaker  {breaker['name']} is open: {breaker['detail']}"
    for market, since in report.get("unprotected", {}).items():
        yield f"no stop  {market}: none of our sells is at the exchange since {short_time(since)} UTC"
    yield from _pauses(report)
    yield from _asks(report)
    yield f"config   {report['config_hash'][:8] or 'unknown'}, code {report['code_version'] or 'unknown'}"


def _results(report: Report) -> Iterator[str]:
    """Each figure against the loss stop that ends entries."""
    limits = report.get("limits", {})
    for word, figure, limit in (
        ("today", "daily_pnl_pct", "daily_stop_pct"),
        ("week", "weekly_pnl_pct", "weekly_stop_pct"),
        ("from the peak", "drawdown_pct", "max_drawdown_pct"),
    ):
        bound = f" (entries end at -{limits[limit]} %)" if limits.get(limit) else ""
        yield f"{word} {_pct(report.get(figure))}{bound}"


def _pauses(report: Report) -> Iterator[str]:
    """What may not be entered for a time, as of the newest cycle."""
    now = (report["cycle"] or {}).get("finished_at", "")
    for item in report.get("cooldowns", ()):
        if item["until"] > now:
            yield f"pause    {item['product'] or 'everything'} until {short_time(item['until'])} UTC ({item['reason']})"
    for item in report.get("bans", ()):
        if item["until"] > now:
            yield f"banned   {item['product']} until {short_time(item['until'])} UTC ({item['kind']}; `bot unflag`)"


def _asks(report: Report) -> Iterator[str]:
    """What waits for a person, and what others do."""
    if others := report.get("external_orders"):
        yield f"others   {others} working orders are not ours: counted in every cap, never touched"
    for item in report.get("approvals", ()):
        yield f"approve? {item['id']}: {item['product']} for {item['usd']} by rule {item['rule']}"
    for market, why in report.get("quarantined", {}).items():
        yield f"foreign  {market}: {why} (`bot adopt {market}` or `bot ignore {market}`)"
    for currency, amount in report["ledger_residual"].items():
        if amount != "0":
            yield f"ledger   {amount} {currency} is not explained yet"
    if report["alerts_undelivered"]:
        yield f"alerts   {report['alerts_undelivered']} wait for delivery (`bot alert-test` tries the channel)"
    wait = report.get("suggested_post_trade_reconcile_wait_seconds")
    if wait is not None:
        yield f"advice   execution.post_trade_reconcile_wait_seconds: {wait} covers 95 % of what was seen"


def _equity(report: Report) -> str:
    if report["equity"] is None:
        return f"unknown: {report.get('equity_problem') or 'nothing has been valued yet'}"
    old = "" if report["running"] else " when it last looked"
    unit = f" {report['currency']}" if report.get("currency") else ""
    most = report.get("limits", {}).get("max_total_pct")
    share = f"{report['exposure_pct'] or '-'} % in positions{f' (at most {most} %)' if most else ''}"
    return f"{report['equity']}{unit}, cash {report['cash']}{unit}, {share}{old}"


def _pct(value: str | None) -> str:
    return "unknown" if value is None else f"{value} %"
