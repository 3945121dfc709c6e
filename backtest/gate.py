"""`backtest gate`: three short runs on made-up markets, looked at from every side. What is red, and why.

`policy` runs the configuration as it is; `drill` runs the gate's own, so tight that every limit has to speak; `storm`
another of its own, on a market that tries the venue's rules, the ladder of fees and every loss stop. Each is red when a
cycle failed, the books do not balance, the audit disagrees, nothing or too little happened, or a figure lies further
from the baseline than TOLERANCE_PCT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from backtest import artifacts, engine
from backtest.audit.limits import STOPS
from backtest.audit.report import account_of, audit, tape_of
from backtest.drill import market
from backtest.drill.storm import market as storm
from backtest.drive import Drive
from backtest.summary import Run
from bot.domain.decision import TriggerKind
from bot.domain.order import Liquidity
from bot.domain.value import Value
from bot.errors import BotError, ConfigError
from bot.risk.gates import GATES
from bot.settings.config import Config
from bot.settings.load import load_config
from bot.settings.rules import Condition, TriggerHolds
from bot.settings.universe import Universe

TOLERANCE_PCT: Final = 2.0
OWN: Final = Path(__file__).parent / "drill"
STORM: Final = OWN / "storm"
SPEAKING: Final = frozenset(
    {
        "halts", "circuit_breakers", "trade_pacing", "cooldowns", "rule_budget", "position_count", "per_asset_cap",
        "theme_cap", "total_cap", "cash", "min_notional", "exit_guarantee", "human_approval", "rule_cooldown",
        "conviction",
    }
)  # fmt: skip
"""Gates that the drill makes say no, or less."""

CRASHES: Final = (
    BotError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""What broken code ends in: the gate answers with it."""

Figures = Mapping[str, float]


class Needs(Value):
    """What has to be seen at work in a run, besides what its policy makes use of. stops: loss stops under which
    something was refused; exits: reasons for which a position was closed; rates: how many fee rates makers paid."""

    triggers: frozenset[TriggerKind] = frozenset()
    gates: frozenset[str] = frozenset()
    exits: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    rates: int = 0


class Scenario(Value):
    """One run of the gate. write: puts the candles of a universe into a folder."""

    name: str
    config: Config
    write: Callable[[Path, Universe], Path]
    since: datetime
    until: datetime
    needs: Needs


class Outcome(Value):
    """What came of one scenario. problems: why it is red, drift apart."""

    name: str
    problems: tuple[str, ...]
    figures: Figures


class Verdict(Value):
    """The gate's answer; `document` is what `bot certify --gate` reads."""

    config_hash: str
    code_version: str
    outcomes: tuple[Outcome, ...]
    drift: tuple[str, ...] = ()
    crash: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong but drift: no baseline could make up for it."""
        found = [f"{outcome.name}: {line}" for outcome in self.outcomes for line in outcome.problems]
        return (*([f"crashed: {self.crash}"] if self.crash else []), *found)

    @property
    def reasons(self) -> tuple[str, ...]:
        return (*self.problems, *self.drift)

    @property
    def passed(self) -> bool:
        return bool(self.outcomes) and not self.reasons

    def document(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "config_hash": self.config_hash,
            "code_version": self.code_version,
            "reasons": list(self.reasons),
            "figures": {outcome.name: dict(outcome.figures) for outcome in self.outcomes},
        }


@dataclass(slots=True)
class Gate:
    """Runs the scenarios. scratch: a folder for candles and artifacts; note: told what begins."""

    config: Config
    code_version: str
    scratch: Path
    note: Callable[[str], None] = field(default=lambda _: None)

    def run(self, baseline: Mapping[str, Figures] | None) -> Verdict:
        """Every scenario against the baseline; None: there is none yet. Raises ConfigError, CandlesCorrupt, OSError."""
        done: list[Outcome] = []
        for scenario in scenarios(self.config):
            self.note(f"running {scenario.name}")
            try:
                done.append(self._outcome(scenario))
            except ConfigError:
                raise
            except CRASHES as error:
                crash = f"{scenario.name}: {type(error).__name__}: {error}"
                return Verdict(self.config.config_hash, self.code_version, tuple(done), crash=crash)
        drift = ["there is no baseline"] if baseline is None else list(drifted(done, baseline))
        return Verdict(self.config.config_hash, self.code_version, tuple(done), tuple(drift))

    def _outcome(self, scenario: Scenario) -> Outcome:
        folder = scenario.write(self.scratch / scenario.name / "candles", scenario.config.universe)
        out = self.scratch / scenario.name / "out"
        config = engine.adapted(scenario.config, None)
        wish = engine.wish(config, folder, since=scenario.since, until=scenario.until)
        drive = Drive(config, engine.read(wish), self.code_version)
        drive.run(lambda _: None)
        run = engine.finish(drive, scenario.config.config_hash, self.code_version, "backtest gate")
        told = artifacts.write(run, out, {})
        contents = {path.name: path.read_bytes() for path in out.iterdir()}
        account = account_of(run, drive.stage.loop.store.state)
        found = audit(run.ledger.config, account, contents, tape_of(run, folder))
        problems = (*_unsound(run, told), *_empty(run, told), *_idle(scenario, told), *_calm(scenario, run), *found)
        return Outcome(scenario.name, problems, figures(told))


def scenarios(config: Config) -> tuple[Scenario, ...]:
    """The runs of the gate for this configuration. Raises ConfigError when the gate's own cannot be read."""
    every = Needs(
        triggers=frozenset(TriggerKind), gates=SPEAKING,
        exits=("stop_loss", "take_profit", "trailing_stop", "max_hold"), stops=("daily_stop",),
    )  # fmt: skip
    stormy = Needs(exits=("stop_loss", "take_profit"), stops=STOPS, rates=3)
    return (
        Scenario("policy", config, market.write, market.SINCE, market.UNTIL, Needs()),
        Scenario("drill", load_config(OWN), market.write, market.SINCE, market.UNTIL, every),
        Scenario("storm", load_config(STORM), storm.write, storm.SINCE, storm.UNTIL, stormy),
    )


def figures(told: Mapping[str, Any]) -> Figures:
    """What is compared with the baseline: sums and counts, no ratios of small numbers."""
    trades, coverage = told["trades"], told["coverage"]
    chosen = {
        "equity": ("final", "lowest", "highest"),
        "trades": ("closed", "open", "won", "lost"),
        "costs": ("fees", "traded", "spread", "slippage"),
        "exposure": ("mean_pct", "max_pct", "max_asset_pct", "max_positions"),
        "execution": ("orders", "fills", "partial", "expired", "rejected", "requotes"),
    }
    counted = {
        "cycles": coverage["cycles"],
        "rules": coverage["rules"],
        "triggers": coverage["triggers"],
        "refused": told["execution"]["refused"],
        "ticks": told["integrity"]["rejected_ticks"],
        "exits": {why: row["trades"] for why, row in trades.get("by", {}).get("exit_reason", {}).items()},
        **{f"gates.{gate}": reasons for gate, reasons in coverage["gates"].items()},
    }
    found = {f"{part}.{name}": told[part].get(name, 0) for part, names in chosen.items() for name in names}
    found |= {f"{part}.{name}": count for part, counts in counted.items() for name, count in counts.items()}
    found["trades.minutes"] = trades.get("holding_minutes", {}).get("mean", 0)
    return {name: round(float(value), 6) for name, value in found.items()}


def drifted(done: list[Outcome], baseline: Mapping[str, Figures]) -> Iterator[str]:
    """Figures further than TOLERANCE_PCT from their baseline, or on one side only."""
    for outcome in done:
        before = baseline.get(outcome.name, {})
        for name in sorted(before.keys() | outcome.figures.keys()):
            was, now = before.get(name, 0.0), outcome.figures.get(name, 0.0)
            if abs(now - was) > abs(was) * TOLERANCE_PCT / 100:
                change = f"{(now / was - 1) * 100:+.1f} %" if was else "new"
                yield f"{outcome.name}: drift: {name} is {now:g}, the baseline says {was:g} ({change})"


def _unsound(run: Run, told: Mapping[str, Any]) -> Iterator[str]:
    integrity = told["integrity"]
    yield from (f"failed cycle {line}" for line in run.ledger.recorder.failures)
    if not integrity["balanced"]:
        off = {currency: amount for currency, amount in integrity["ledger_residual"].items() if amount != "0"}
        yield f"the ledger has a residual: {off}"
    if integrity["mismatches"]:
        yield f"books and venue disagreed {integrity['mismatches']} times"


def _empty(run: Run, told: Mapping[str, Any]) -> Iterator[str]:
    """A run in which nothing happened proves nothing."""
    coverage, counts = (
        told["coverage"],
        {"closed trades": told["trades"]["closed"], "fills": told["execution"]["fills"]},
    )
    counts |= {"cycles": sum(coverage["cycles"].values()), "cycles that traded": coverage["cycles"].get("TRADED", 0)}
    yield from (f"empty: no {name}" for name, count in counts.items() if not count)
    silent = [row.name for row in GATES if not coverage["asked"].get(row.name)]
    yield from (f"empty: gate {name} was never asked" for name in silent)
    for rule in run.ledger.config.policy.rules:
        if rule.enabled and not coverage["rules"].get(rule.name):
            yield f"empty: rule {rule.name} never wanted anything"


def _idle(scenario: Scenario, told: Mapping[str, Any]) -> Iterator[str]:
    """Triggers that never fired, and limits that never bound where they have to."""
    coverage, needs = told["coverage"], scenario.needs
    wanted = needs.triggers | set(_used(scenario.config))
    yield from (f"empty: trigger {k.value} never fired" for k in TriggerKind
                if k in wanted and not coverage["triggers"].get(k.value))  # fmt: skip
    yield from (f"empty: gate {name} never refused anything" for name in sorted(needs.gates - coverage["gates"].keys()))
    closed = told["trades"].get("by", {}).get("exit_reason", {})
    yield from (f"empty: no position was closed by {name}" for name in needs.exits if name not in closed)


def _calm(scenario: Scenario, run: Run) -> Iterator[str]:
    """Loss stops under which nothing was wanted, and rungs of the ladder of fees that were never reached."""
    refused = {row.get("reason") for row in run.ledger.recorder.rows if row.get("proposals")}
    yield from (f"empty: nothing was refused under {name}" for name in scenario.needs.stops if name not in refused)
    rates = {fill.fee / fill.value for fill in run.ledger.fills if fill.liquidity is Liquidity.MAKER}
    if len(rates) < scenario.needs.rates:
        yield f"empty: makers paid {len(rates)} rates, {scenario.needs.rates} are to be seen"


def _used(config: Config) -> Iterator[TriggerKind]:
    for rule in config.policy.rules:
        if rule.enabled:
            yield from _kinds(rule.when)


def _kinds(condition: Condition) -> Iterator[TriggerKind]:
    for part in (*condition.all, *condition.any):
        if isinstance(part, TriggerHolds):
            yield part.trigger
        else:
            yield from _kinds(part)
