"""The mind of the bot on one screen: one Snapshot and one Config give one Decision, the same one every time.

No I/O, no clock, no chance below this line; time is `snap.now`.

Outcome, and the reason that tells it best:
    TRADED     something was approved, an exit included; no reason
    HALTED     a halt forbids entries and exits; the reason of the first such halt
    EXIT_ONLY  a halt forbids entries only; likewise
    NO_TRADE   nothing was approved and no halt is in force, and the first of these that applies is the reason:
               regime unknown, equity unknown, crash, too few eligible products, no trigger fired, no rule held, what
               every wish was refused for when it is the same for all, else `all_rejected`
A service cycle (between two scheduled ones) looks at exits only; without one it is NO_TRADE with `no_signal`.
"""

from __future__ import annotations

from bot.domain.decision import Decision, Evaluated, Outcome, Reason, Regime
from bot.domain.snapshot import Problem, Snapshot
from bot.domain.value import Value
from bot.risk.context import RiskContext
from bot.risk.engine import RiskEngine
from bot.risk.halts import REASONS, TABLE, Protective
from bot.rules.entry import RulesEngine, Signals, Wishes
from bot.settings.config import Config
from bot.triggers import regime
from bot.triggers.engine import TriggerEngine, fires, in_force
from bot.universe.manager import Selection, UniverseManager


def decide(snap: Snapshot, config: Config) -> Decision:
    """Universe, exits, triggers, rules, risk: what to trade in this cycle, and why not the rest."""
    policy, risk = config.policy, RiskEngine(config)
    leader = snap.markets.get(policy.regime.product)
    reading = regime.read(leader.windows if leader is not None else None, policy.regime)
    selection = UniverseManager().select(snap, config.universe, policy)
    judged = risk.context(snap)
    signals = _signals(snap, config, selection, reading)
    flatten = judged.permission.protective is Protective.FLATTEN
    wishes = RulesEngine(config, in_force, fires).propose(snap, signals, flatten)
    evaluated = (*risk.evaluate(wishes.wanted, snap, seen=judged), *wishes.given_up)
    found = _Findings(snap, judged, reading, selection, signals, wishes, evaluated)
    outcome, reason, detail = found.verdict()
    return Decision(
        cycle_id=snap.cycle_id,
        at=snap.now,
        outcome=outcome,
        reason=reason,
        detail=detail,
        regime=signals.regime,
        eligible=selection.eligible,
        excluded=selection.excluded,
        triggers=tuple(signals.triggers),
        evaluated=evaluated,
        hysteresis=selection.hysteresis,
        config_hash=config.config_hash,
    )


def _signals(snap: Snapshot, config: Config, selection: Selection, reading: regime.RegimeReading) -> Signals:
    """What may be entered now: nothing in a service cycle, with too few products, or in a regime nobody knows.

    An unknown regime stands as crash in the record: it opens nothing either.
    """
    if reading.regime is None or selection.problem is not None or snap.service:
        return Signals(regime=reading.regime or Regime.CRASH)
    found = TriggerEngine(config).scan(selection.eligible, snap.markets, reading.regime, selection.tiers)
    return Signals(selection.eligible, selection.tiers, found, reading.regime)


class _Findings(Value):
    """What the stages found, for the one line that tells the cycle."""

    snap: Snapshot
    risk: RiskContext
    reading: regime.RegimeReading
    selection: Selection
    signals: Signals
    wishes: Wishes
    evaluated: tuple[Evaluated, ...]

    def verdict(self) -> tuple[Outcome, Reason | None, str]:
        approved = [item.approved for item in self.evaluated if item.approved is not None]
        if approved:
            told = ", ".join(f"{a.proposal.side.value} {a.size} {a.proposal.product}" for a in approved)
            return Outcome.TRADED, None, told
        if self.risk.halts:
            return self._halted()
        return Outcome.NO_TRADE, *self._idle()

    def _halted(self) -> tuple[Outcome, Reason, str]:
        """The halt that forbids most speaks for all."""
        exits = self.risk.permission.exits
        deciding = [h for h in self.risk.halts if TABLE[h.cause](h, self.risk.policy).exits is exits]
        halt = (deciding or list(self.risk.halts))[0]
        outcome = Outcome.EXIT_ONLY if exits else Outcome.HALTED
        return outcome, REASONS[halt.cause], f"{halt.cause.value}: {halt.detail}"

    def _idle(self) -> tuple[Reason, str]:
        problem = self._problem()
        if problem is not None:
            return problem.reason, problem.detail
        refused = [(item.proposal.product, why) for item in self.evaluated if (why := item.refusal) is not None]
        if not refused:
            return self._no_wish()
        reasons = {why.reason for _, why in refused}
        told = "; ".join([f"{product}: {why.detail}" for product, why in refused])
        return (reasons.pop() if len(reasons) == 1 else Reason.ALL_REJECTED), told

    def _problem(self) -> Problem | None:
        """What kept anything from being entered at all."""
        if self.reading.problem is not None:
            return self.reading.problem
        if self.risk.equity is None:
            return Problem(Reason.NLV_UNKNOWN, self.snap.valuation.problem or f"equity is {self.snap.valuation.nlv}")
        if self.signals.regime is Regime.CRASH:
            told = ", ".join(f"{name} {value}" for name, value in self.reading.features.items())
            return Problem(Reason.REGIME_CRASH, f"crash opens nothing: {told}")
        return None if self.snap.service else self.selection.problem

    def _no_wish(self) -> tuple[Reason, str]:
        if self.snap.service:
            return Reason.NO_SIGNAL, "no exit is due; entries wait for the scheduled cycle"
        if not self.signals.triggers:
            return Reason.NO_SIGNAL, f"no trigger fired in {len(self.selection.eligible)} eligible products"
        fired = ", ".join(f"{t.kind.value} {t.product}" for t in self.signals.triggers)
        return Reason.NO_RULE_HOLDS, f"no rule holds for {fired}"
