"""Every control that the loop exercises, driven into its situation: the figures and alerts its row names must move.

A row of docs/CONTROLS.md says where its act is seen. Each scenario here is one that makes the control act; a figure
counts as moved when it differs from that of a bot that had a quiet time for as long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from bot.cli.status_view import page as status
from bot.domain.codec import decode
from bot.domain.decision import Decision
from bot.domain.event import ExecutionMeasured
from bot.domain.money import Price
from bot.domain.product import Side
from bot.domain.value import replace
from bot.errors import Rejected, Transient
from bot.execution.report import ActReport
from bot.loop.finished import Finished
from bot.ops.explain import Explained
from bot.ops.explain import page as explain
from bot.ports import KeyPermissions, KillProbe, KillState
from bot.record.cycles import CYCLES, cycle_of
from bot.record.journal import read_days
from tests.docs.controls import CONTROLS
from tests.loop.markets import RISE, calm, slide, then
from tests.loop.stage import BTC, Stage, config_of, steady, up
from tests.loop.test_account import bid, trade
from tests.loop.test_latches import RULE, TIGHT, stopped_out

OTHERWISE = {
    "risk report": "a verb: reads and prints",
    "feasibility at start": "judged before there is a loop",
    "backtest gate": "a verb that runs backtests",
    "secrets, files and redaction": "has no figure: what it keeps out appears nowhere",
    "dry-run shadow": "its account is the one that every figure tells of",
    "paper account across restarts": "likewise",
    "configuration ratchet and launch certificate": "a reload: tests/loop/test_running.py and tests/process",
    "rate budgets": "kept in the adapter: tests/adapters/coinbase",
    "canonical symbols and the USD/USDC alias": "a matter of names: tests/risk, tests/record",
    "fee-adjusted rounding": "arithmetic: nothing acts",
    "fills booked exactly once": "nothing happens when it works; the residual that would tell is the ledger's",
    "quote-sized and lagging fills": "likewise",
}
"""Controls that act elsewhere, and where."""
ELSEWHERE = {"guard", "unit.failed", "start.exit_only", "alert-test", "ghost.*", "mismatch.*", "exit.blocked.*"}
"""Alerts of other processes, and those that tests/execution and tests/faults provoke."""


ADAPTERS = {"bot_api_requests_total", "bot_api_seconds", "bot_rate_budget_left"}
"""Figures of the requests themselves, which nobody makes here: tests/adapters/coinbase/test_calls.py."""


def moved(stages: Sequence[Stage], metric: str) -> bool:
    quiet = samples(ran(Stage(calm(10, 900)), 61), metric)
    return any(samples(stage, metric) != quiet for stage in stages)


def raised(stages: Sequence[Stage], pattern: str) -> bool:
    carried = (json.loads(body)["fingerprint"] for stage in stages for body in stage.courier.carried)
    told = (name for stage in stages for name in stage.alerts())
    return any(fnmatchcase(name, pattern) for name in (*told, *carried))


def ran(stage: Stage, seconds: float) -> Stage:
    stage.run_for(seconds)
    return stage


def samples(stage: Stage, metric: str) -> dict[tuple[tuple[str, str], ...], str]:
    """Values by labels that are not zero; NaN equals NaN."""
    found = {}
    for family in stage.metrics.registry.collect():
        for sample in family.samples:
            base = sample.name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
            if base == metric and not sample.name.endswith("_sum") and sample.value:
                found[tuple(sorted(sample.labels.items()))] = str(sample.value)
    return found


def caps() -> list[Stage]:
    """A buy cut to its budget whose answer is lost; and one that does not fit beside what is held."""
    cut = Stage([*RISE, *steady(62, 900, "65500", 20)], config_of({"budget_pct": 1}))
    cut.idle(62)
    cut.wire.lost_answers = 1
    cut.cycle()
    cut.wire.broken["working_orders"] = Transient("no listing now")
    cut.cycle()
    full = Stage([*RISE, *steady(62, 900, "65500", 20)], opening={"USD": "10000", "ETH": "20"})
    return [cut, ran(full, 70)]


def refused_by(opening: Mapping[str, str] | None = None, **policy: Any) -> Stage:
    return ran(Stage([*RISE, *steady(62, 900, "65500", 20)], config_of(**policy), opening), 70)


def breakers() -> Stage:
    tight = config_of(risk={"breakers": {"rejections": {"threshold": 1}}})
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], tight)
    stage.idle(62)
    stage.wire.broken["place"] = Rejected("INSUFFICIENT_FUND", "no")
    stage.cycle()
    return stage


def killed() -> Stage:
    stage = Stage(calm(10, 900))
    stage.disk.kill = KillState(KillProbe.PRESENT, "drill")
    return ran(stage, 61)


def unanswered() -> Stage:
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.idle(62)
    stage.wire.lost_answers = 1
    stage.cycle()
    return stage


def bought() -> Stage:
    stage = Stage(then(*calm(90, 600)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    return stage


def naked() -> Stage:
    """Bought, and nobody takes the stop."""
    stage = Stage(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.wire.broken["place"] = Transient("no")
    return ran(stage, 200)


def cooled() -> list[Stage]:
    """One coin pauses after a stop; and everything after a streak of one loss."""
    fall = [*calm(90, 300), *slide(300, ["62000"], 60), *calm(360, 1320, "62000")]
    again = [*fall, up(1330, "62500"), *steady(1335, 1500, "62500", 5)]
    one = Stage(then(*again), config_of({"cooldown_minutes": 1}, risk={"cooldown_minutes": 1}))
    return [ran(one, 1500), stopped_out(config_of(RULE, risk={"loss_streak": 1}))]


def foreign() -> Stage:
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.cycle()
    bid(stage, "by-hand")
    trade(stage, Side.BUY, "0.004", "by-hand-too")
    return ran(stage, 200)


def banned() -> Stage:
    stage = Stage(calm(10, 900))
    stage.cycle()
    stage.inbox.drop("flag", BTC, "recent_exploit")
    return ran(stage, 61)


def commanded() -> Stage:
    """One command that makes sense, and one that makes none."""
    stage = Stage(calm(10, 900))
    stage.cycle()
    stage.inbox.drop("flag", BTC, "recent_exploit")
    stage.inbox.drop("approve", "nothing")
    return ran(stage, 61)


def aged() -> Stage:
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], config_of(data={"max_stale_fraction": 0}))
    stage.idle(62)
    stage.window.aged = timedelta(seconds=6)
    stage.complaints["market"] = "refused"
    return ran(stage, 200)


def drifted() -> list[Stage]:
    """A clock that is off, and bars that do not come."""
    off, barless = Stage(calm(10, 900)), Stage(calm(10, 900))
    off.wire.venue_clock_ahead = timedelta(seconds=1.5)
    barless.window.without_bars = True
    return [ran(off, 61), ran(barless, 61)]


def unread() -> Stage:
    stage = Stage(calm(10, 900), config_of(risk={"breakers": {"api_errors": {"threshold": 1}}}))
    stage.wire.broken["balances"] = Transient("no answer")
    return ran(stage, 61)


def full() -> Stage:
    stage = Stage(calm(10, 900))
    stage.cycle()
    stage.disk.full = True
    stage.cycle()
    return stage


def damaged() -> list[Stage]:
    """A torn end, and snapshots that are none."""
    torn, corrupt = Stage(calm(10, 900)), Stage(calm(10, 900))
    for stage in (torn, corrupt):
        stage.cycle()
    torn.disk.days[torn.disk.journal_days()[-1]] += b'{"seq":'
    corrupt.disk.snapshots = [b"{}" for _ in corrupt.disk.snapshots]
    for stage in (torn, corrupt):
        stage.boot()
        stage.cycle()
    return [torn, corrupt]


def spiked() -> Stage:
    stage = bought()
    stage.world.conditions.feed.spikes["BTC-USD"] = 10.0
    return ran(stage, 61)


def unpriced() -> Stage:
    stage = Stage(calm(10, 900), opening={"USD": "10000", "ETH": "0.05"})
    stage.world.conditions.feed.empty.add("ETH-USD")
    return ran(stage, 61)


def strange() -> Stage:
    stage = Stage([*RISE, *steady(62, 300, "65500", 10)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    bid(stage, f"{stage.orders()[0].client_order_id[:14]}4fff-8fff-ffffffffffff")
    return ran(stage, 70)


def differing() -> Stage:
    stage = Stage(calm(10, 900))
    stage.cycle()
    stage.wire.wallets["USD"] = Decimal("-30")
    return ran(stage, 61)


def governed() -> Stage:
    return refused_by(execution={"governors": {"notional_per_day_usd": 1}})


def thin() -> Stage:
    return ran(Stage(RISE, config_of(execution={"max_depth_share_pct": "0.0001"})), 70)


def slow() -> Stage:
    """Every read takes a minute of trading time; what that is by a stopwatch, the report is told."""
    stage, seen = Stage(calm(10, 900)), list[Finished]()
    stage.loop._operator = replace(stage.loop._operator, follow=seen.append)
    stage.wire.on_call = lambda name: stage.idle(60) if name == "balances" else None
    ran(stage, 400)
    stage.loop._reporter.finished(replace(seen[-1], stage_s={"observe": 46.0}))
    return stage


def left() -> Stage:
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.leave()
    return stage


def rekeyed() -> Stage:
    stage = Stage(calm(10, 8000))
    stage.cycle()
    stage.wire.permissions = KeyPermissions(can_view=True, can_trade=True, can_transfer=True, portfolio_uuid="p")
    return ran(stage, 3700)


def expensive() -> Stage:
    """A breaker that counts orders which paid more than they were to."""
    dear = Stage(calm(10, 900))
    figures = ExecutionMeasured("c", Price(Decimal(100)), Price(Decimal(101)), Decimal(100), Decimal(1), Decimal(9))
    for _ in range(20):
        dear.loop._hit_breakers(ActReport(measured=(figures,)), "c1")
    dear.cycle()
    return dear


SCENARIOS: dict[str, Callable[[], Stage | list[Stage]]] = {
    "pending exposure caps": caps,
    "circuit breakers": breakers,
    "kill switch": killed,
    "halt table": killed,
    "cooldowns": cooled,
    "fee-aware sizing": lambda: [
        refused_by({"USD": "620", "USDC": "9380"}),
        refused_by({"USD": "1", "USDC": "9999"}),
        expensive(),
    ],
    "daily and weekly stops, drawdown": lambda: stopped_out(config_of(RULE, risk=TIGHT)),
    "human approval": lambda: refused_by(risk={"approval_above_usd": 1}),
    "universe": banned,
    "inbox verbs": commanded,
    "product constraints": breakers,
    "last-hop collar and governors": governed,
    "deterministic client order ids": unanswered,
    "order states and timers": unanswered,
    "post-only TTL and re-quotes": breakers,
    "spread, depth and slippage": thin,
    "resting protective stops": lambda: [stopped_out(config_of(RULE)), naked()],
    "dust ledger and exit guarantee": lambda: refused_by({"USD": "60"}, risk={"min_exit_margin_pct": 100}),
    "expected against actual price and fee": lambda: [bought(), expensive()],
    "settle-time histogram": bought,
    "post-trade smoke": bought,
    "graceful shutdown": left,
    "fail-closed gating": full,
    "staleness at decision and at send": aged,
    "time: UTC, monotonic durations, bar windows, gaps": drifted,
    "partial snapshots and pagination traps": unread,
    "bad ticks against crashes": spiked,
    "provenance of NLV": unpriced,
    "cold start": strange,
    "ledger equation": differing,
    "foreign orders, trades and transfers": foreign,
    "single-instance lock": strange,
    "latency accounting": slow,
    "jittered schedule": slow,
    "alerts and outbox": full,
    "snapshot generations and torn tails": lambda: [*damaged(), full()],
    "ENV, mode, key and venue; key permissions": rekeyed,
}
BY_NAME = {control.name: control for control in CONTROLS}


def test_every_control_has_its_scenario_or_acts_elsewhere():
    assert set(SCENARIOS) | set(OTHERWISE) == set(BY_NAME)
    assert set(SCENARIOS) & set(OTHERWISE) == set()


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_a_control_does_moves_the_figures_and_raises_the_alerts_its_row_names(name):
    control, made = BY_NAME[name], SCENARIOS[name]()
    stages = made if isinstance(made, list) else [made]
    assert [metric for metric in set(control.metrics) - ADAPTERS if not moved(stages, metric)] == []
    assert [alert for alert in set(control.alerts) - ELSEWHERE if not raised(stages, alert)] == []


WORDS = {
    "pending exposure caps": r"\(\d[\d.]* % of \d+ % of equity\) used",
    "circuit breakers": r"breaker  rejections is open: 1 hits in \d+ s",
    "kill switch": r"HALTED +kill_switch: .*drill",
    "halt table": r"; it takes .*bot resume",
    "cooldowns": r"pause    BTC-USD until \d{4}-.*after_stop(.|\n)*pause    everything until \d{4}-",
    "fee-aware sizing": r"620 USD free, 0 promised, 500 kept in reserve",
    "daily and weekly stops, drawdown": r"-0\.13352 % reached the limit of -0\.05 %",
    "human approval": r"approve\? .*BTC-USD for \d",
    "universe": r"banned   BTC-USD until \d{4}-",
    "inbox verbs": r"command: flag BTC-USD recent_exploit: (.|\n)*command: approve nothing: refused: ",
    "product constraints": r"INSUFFICIENT_FUND",
    "last-hop collar and governors": r"latch    governor\.notional_per_day: 199\.50 traded in 24 h, allowed 1",
    "order states and timers": r"UNKNOWN",
    "spread, depth and slippage": r"NOT SENT.*\d.*0\.0001",
    "resting protective stops": r"no stop  BTC-USD: none of our sells is at the exchange since \d.* UTC",
    "dust ledger and exit guarantee": r"exit_guarantee +REFUSES.*\d",
    "expected against actual price and fee": r"breaker  slippage is open: \d+ hits",
    "fail-closed gating": r"HALTED +storage: the journal cannot be written",
    "staleness at decision and at send": r"quote_stale: .*\d(.|\n)*stale_data: 3 hits in \d+ s: 100 % .*, limit 0 %",
    "time: UTC, monotonic durations, bar windows, gaps": r"our clock is -?\+?\d+ ms from the exchange's, limit \d+ ms",
    "partial snapshots and pagination traps": r"data_unavailable",
    "bad ticks against crashes": r"quote_held_back: .*\+900\.00 % from 65300\.895, limit 10 %",
    "provenance of NLV": r"equity   unknown: .*ETH",
    "cold start": r"HALTED +foreign_instance",
    "ledger equation": r"ledger   -30 USD is not explained yet",
    "foreign orders, trades and transfers": r"others   1 working orders are not ours(.|\n)*foreign  BTC-USD: ",
    "single-instance lock": r"latch    foreign_instance: ",
    "ENV, mode, key and venue; key permissions": r"exit_only: .*may transfer",
}
"""What `bot status` or `bot explain` says while the control acts, with its number and limit where it has one."""


def told(stage: Stage) -> str:
    """Both pages: the status, and what is explained of every cycle that was kept."""
    console = Console(width=400, record=True, file=StringIO())
    console.print(status(stage.published[0]))
    return "\n".join((console.export_text(), *explained(stage)))


def explained(stage: Stage) -> Iterator[str]:
    events = list(read_days(stage.disk, stage.disk.journal_days()))
    kept = {cycle_of(name) for name in stage.disk.names(CYCLES)}
    for cycle in dict.fromkeys(event.cycle_id for event in events):
        content = stage.disk.read(f"{CYCLES}/{cycle}.json") if cycle in kept else None
        decision = decode(Decision, json.loads(content)) if content else None
        yield from explain(Explained(cycle, decision, tuple(event for event in events if event.cycle_id == cycle)))


@pytest.mark.parametrize("name", WORDS)
def test_what_a_control_does_is_said_with_its_number_and_limit(name):
    made = SCENARIOS[name]()
    pages = "\n".join(told(stage) for stage in (made if isinstance(made, list) else [made]))
    assert re.search(WORDS[name], pages), pages
