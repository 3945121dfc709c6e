"""RulesEngine: what the rules would like to buy, and every wish a rule itself gave up, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from bot.domain.decision import Evaluated, GateResult, Reason, Regime, Reject, TradeProposal, Trigger
from bot.domain.holdings import is_dust, working_entry
from bot.domain.money import EXACT, ONE, ZERO, Money, decimal_text, quantised, total
from bot.domain.order import ENTRY, OrderState
from bot.domain.position import Exits
from bot.domain.product import BUY, ProductId
from bot.domain.snapshot import Snapshot
from bot.domain.value import Value, field
from bot.rules import exits
from bot.rules.conditions import Conditions, Fires, InForce, Seen, Tree, ready, strength
from bot.rules.sizing import PLACES, Sizing
from bot.settings.config import Config
from bot.settings.rules import Rule


class Wishes(Value):
    """What the rules ask of risk, exits first, and what they gave up themselves."""

    wanted: tuple[TradeProposal, ...]
    given_up: tuple[Evaluated, ...] = ()


class Signals(Value):
    """What this cycle may buy and why. eligible: best first; tiers: of each; triggers: ranked. regime: in force."""

    eligible: Sequence[ProductId] = ()
    tiers: Mapping[ProductId, int] = field(default_factory=dict)
    triggers: Sequence[Trigger] = ()
    regime: Regime = Regime.CHOP


class RulesEngine:
    """The rules stage. in_force and fires: how a rule asks for a trigger with parameters of its own."""

    def __init__(self, config: Config, in_force: InForce, fires: Fires) -> None:
        self._config = config
        self._in_force = in_force
        self._fires = fires

    def propose(self, snap: Snapshot, signals: Signals, flatten: bool = False) -> Wishes:
        """Exits, then at most one entry per product: the first rule, in policy order, that holds and is sure enough.

        Products come in the order of their best trigger, those without one last; with `rank_by: product` in the order
        given. The number of new positions per rule and cycle is limited where they are approved, so that a product
        which risk refuses does not use up a place.
        """
        policy = self._config.policy
        leaving = exits.proposals(snap, policy, flatten)
        if not signals.eligible:
            return Wishes(leaving)
        conditions = Conditions(policy.triggers, signals.regime, signals.triggers, self._fires)
        rules = _speaking(self._config, signals.regime, self._in_force)
        sizing = Sizing(self._config, snap, signals.regime)
        desk = _Desk(self._config, snap, signals, conditions, sizing, rules, [])
        found = [desk.of_product(product) for product in desk.order()]
        entering = [proposal for proposal in found if proposal is not None]
        return Wishes((*leaving, *entering), tuple(desk.given_up))


class _Speaker(Value):
    """A rule that speaks in a regime, its condition made ready. exits: of whatever it buys."""

    rule: Rule
    when: Tree
    exits: Exits


@lru_cache(maxsize=16)
def _speaking(config: Config, regime: Regime, in_force: InForce) -> tuple[_Speaker, ...]:
    """The rules of a regime in policy order: the same in every cycle."""
    policy = config.policy
    in_regime = (rule for rule in policy.rules if rule.enabled and (not rule.regimes or regime in rule.regimes))
    return tuple(
        _Speaker(rule, ready(rule.when, policy.triggers, regime, in_force), _exits_of(rule)) for rule in in_regime
    )


class _Desk(Value):
    """The entry rules of one cycle.

    rules: those that speak in this regime, in policy order. given_up: the wishes that a rule itself spoke against.
    """

    config: Config
    snap: Snapshot
    signals: Signals
    conditions: Conditions
    sizing: Sizing
    rules: tuple[_Speaker, ...]
    given_up: list[Evaluated]

    def order(self) -> Sequence[ProductId]:
        if self.config.policy.triggers.rank_by == "product":
            return self.signals.eligible
        ranked = dict.fromkeys(trigger.product for trigger in self.signals.triggers)
        rest = sorted(product for product in self.signals.eligible if product not in ranked)
        return (*ranked, *rest)

    def of_product(self, product: ProductId) -> TradeProposal | None:
        """The proposal of the first rule that has one; what those before it give up is noted."""
        view = self.snap.markets.get(product)
        if view is None or view.quote is None or view.windows is None:
            return None
        seen = Seen(product, view.product, view.quote, view.windows, self.signals.tiers.get(product))
        fired = self.conditions.fired_in(product)
        for speaker in self.rules:
            result = self._by_rule(speaker, seen) if fired or not speaker.when.needs_ranked else None
            if isinstance(result, TradeProposal):
                return result
            if result is not None:
                self.given_up.append(result)
                if _is_final(result):
                    return None
        return None

    def _by_rule(self, speaker: _Speaker, seen: Seen) -> TradeProposal | Evaluated | None:
        """None when the rule does not hold; a refusal when it does but something of its own speaks against it."""
        rule = speaker.rule
        if rule.tiers and seen.tier not in rule.tiers:
            return None
        fired = self.conditions.holds(speaker.when, seen)
        if fired is None:
            return None
        sized = self.sizing.wanted(rule, seen)
        if isinstance(sized, Reject):
            return _given_up(self._proposal(speaker, seen, fired, Money.zero(seen.product.quote)), "sizing", sized)
        proposal = self._proposal(speaker, seen, fired, sized)
        return self._objection(rule, proposal) or proposal

    def _proposal(self, speaker: _Speaker, seen: Seen, fired: tuple[Trigger, ...], size: Money) -> TradeProposal:
        return TradeProposal(
            product=seen.product.id,
            side=BUY,
            kind=ENTRY,
            size_quote=size,
            size_base=None,
            reference=seen.quote.mid,
            rule=speaker.rule.name,
            conviction=self._conviction(fired),
            exits=speaker.exits,
            triggers=fired,
        )

    def _conviction(self, fired: tuple[Trigger, ...]) -> Decimal:
        """w_score x score + w_confidence x confidence of the strongest trigger, and the boosts; within [0, 1]."""
        policy = self.config.policy.conviction
        boost = policy.boost_by_regime.get(self.signals.regime, ZERO)
        if not fired:
            return quantised(max(ZERO, min(ONE, boost)), PLACES)
        best = max(fired, key=strength)
        parts = (
            EXACT.multiply(policy.w_score, best.score),
            EXACT.multiply(policy.w_confidence, best.confidence),
            EXACT.multiply(policy.boost_per_extra_trigger, Decimal(len(fired) - 1)),
            boost,
        )
        return quantised(max(ZERO, min(ONE, total(parts))), PLACES)

    def _objection(self, rule: Rule, proposal: TradeProposal) -> Evaluated | None:
        least = self.config.policy.conviction.min_conviction
        if proposal.conviction < least:
            detail = f"conviction {decimal_text(proposal.conviction)}, min_conviction {decimal_text(least)}"
            return _given_up(proposal, "conviction", Reject(Reason.BELOW_MIN_CONVICTION, detail))
        return self._taken(proposal) or self._too_soon(rule, proposal)

    def _taken(self, proposal: TradeProposal) -> Evaluated | None:
        """One position and one working entry per coin, under whatever listing.

        Coins that nobody manages keep the bot out as well, until an operator ignored or adopted them.
        """
        state, base = self.snap.state, proposal.product.base
        if (order := working_entry(state.of_base.get(base, ()), base)) is not None:
            unresolved = order.state is OrderState.UNKNOWN
            reason = Reason.ORDER_UNRESOLVED if unresolved else Reason.ALREADY_WORKING
            detail = f"entry {order.client_order_id} of {order.product} is {order.state.value}"
            return _given_up(proposal, "one_position", Reject(reason, detail))
        for market, p in state.positions.items():
            if p.product.base == base and (p.managed or market not in state.ignored) and not is_dust(self.snap, p):
                detail = f"{p.size} {base} is held already"
                return _given_up(proposal, "one_position", Reject(Reason.ALREADY_HELD, detail))
        return None

    def _too_soon(self, rule: Rule, proposal: TradeProposal) -> Evaluated | None:
        last = self.snap.state.rule_last_entry.get(rule.name)
        if rule.cooldown_minutes is None or last is None:
            return None
        until = last + timedelta(seconds=int(-(-rule.cooldown_minutes * 60 // 1)))
        if self.snap.now >= until:
            return None
        detail = (
            f"rule {rule.name} pauses until {until:%Y-%m-%d %H:%M:%S}, {rule.cooldown_minutes} min after its last entry"
        )
        return _given_up(proposal, "rule_cooldown", Reject(Reason.COOLDOWN, detail))


def _is_final(refused: Evaluated) -> bool:
    """Whether no other rule could fare better on the same product."""
    return refused.results[-1].gate == "one_position"


def _given_up(proposal: TradeProposal, gate: str, reject: Reject) -> Evaluated:
    return Evaluated(proposal, (GateResult(gate, reject),), None)


def _exits_of(rule: Rule) -> Exits:
    percents = (rule.stop_loss_pct, rule.take_profit_pct, rule.trailing_stop_pct)
    stop, target, trail = (None if percent is None else percent.value for percent in percents)
    return Exits(stop, target, trail, rule.max_hold_minutes)
