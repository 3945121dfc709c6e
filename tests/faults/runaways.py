"""F066: a mind that has lost itself. Ten thousand wishes in a cycle, one a second for an hour, one exit for ever.

Everything behind the mind is the bot's own: risk with wide limits, execution, and the ceilings of the last hop, which
know nothing of rules. Each ceiling is breached by itself, and each breach has to outlast a new process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, cycle, islice, repeat
from typing import Any

from bot.decide import decide
from bot.domain.decision import Decision, ExitReason, Outcome, Reason, TradeProposal
from bot.domain.money import Money, Size
from bot.domain.order import OrderKind
from bot.domain.position import Exits
from bot.domain.product import ProductId, Side
from bot.domain.snapshot import MarketView, Snapshot
from bot.domain.value import replace
from bot.risk.engine import RiskEngine
from bot.settings.config import Config
from simulator.markets.listing import Listing, default_listings
from simulator.markets.script import Step
from tests.faults.trial import JudgedStage, Trial
from tests.faults.venues import BUY
from tests.loop.markets import calm, then
from tests.loop.stage import BTC, config_of, down, up

LISTINGS = default_listings(16)
ONE = Decimal(1)
Wish = Callable[[Snapshot], Sequence[TradeProposal]]


def runaways(trial: Trial) -> None:
    ten_thousand(trial)
    for ceiling in ("orders_per_day", "notional_per_day", "same_side_repeats"):
        one_a_second(trial, ceiling)
    one_exit_for_ever(trial)


def mind_of(wish: Wish) -> Callable[[Snapshot, Config], Decision]:
    """The bot's own mind with other wishes in it; risk judges them as it judges all."""

    def decided(snap: Snapshot, config: Config) -> Decision:
        evaluated = RiskEngine(config).evaluate(tuple(wish(snap)), snap)
        traded = any(item.approved is not None for item in evaluated)
        outcome, reason = (Outcome.TRADED, None) if traded else (Outcome.NO_TRADE, Reason.ALL_REJECTED)
        return replace(decide(snap, config), outcome=outcome, reason=reason, evaluated=evaluated)

    return decided


def ten_thousand(trial: Trial) -> None:
    stage = _stage(trial, {"orders_per_minute": 5, "same_side_repeats": 50})
    counts = chain((10_000,), repeat(100))
    stage.mind = mind_of(lambda snap: list(islice(cycle(_buys(snap)), next(counts))))
    stage.boot()
    stage.cycle()
    wanted = len(stage.events("decision.made")[-1]["proposals"])
    trial.stimulus(f"{wanted} proposals in one cycle", wanted == 10_000)
    _latched(trial, stage, "orders_per_minute", 5)


def one_a_second(trial: Trial, ceiling: str) -> None:
    """One wish each second; coin after coin, or always the same one, and that for an hour."""
    limits: dict[str, dict[str, Any]] = {
        "orders_per_day": {"orders_per_day": 8},
        "notional_per_day": {"notional_per_day_usd": 2000},
        "same_side_repeats": {"same_side_repeats": 3, "same_side_window_minutes": 60},
    }
    listings, seconds = (LISTINGS[:1], 3600) if ceiling == "same_side_repeats" else (LISTINGS[:6], 90)
    coins = cycle([listing.id for listing in listings])
    said: list[ProductId] = []

    def wish(snap: Snapshot) -> list[TradeProposal]:
        said.append(next(coins))
        return [_buy(snap.markets[said[-1]])] if said[-1] in snap.markets else []

    wide = {"orders_per_minute": 60, "orders_per_day": 500, "same_side_repeats": 50}
    stage = _stage(trial, {**wide, **limits[ceiling]}, listings)
    stage.mind = mind_of(wish)
    stage.boot()
    for _ in range(seconds):
        stage.cycle()
        stage.idle(1)
    trial.stimulus(f"{len(said)} wishes, one a second", len(said) == seconds)
    _latched(trial, stage, ceiling, len(stage.wire.placed))


def one_exit_for_ever(trial: Trial) -> None:
    """A hundredth of the position is to be sold in each cycle, every second."""
    stage = trial.stage(
        then(*calm(82, 3600)), config_of({}, exits={"resting_on_exchange": False}, execution={"use_preview": False})
    )
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    stage.mind = mind_of(lambda snap: [_part(snap)] if BTC in snap.state.positions else [])
    stage.boot()
    repeats = stage.config.policy.execution.governors.same_side_repeats
    for _ in range(400):
        stage.cycle()
        stage.idle(1)
    sells = [order for order in stage.wire.placed if order.side is Side.SELL]
    trial.stimulus("the same exit 400 times in as many seconds", len(stage.events("decision.made")) >= 400)
    trial.require(f"I19 {len(sells)} of them left in ten minutes", len(sells) == repeats)
    _stays(trial, stage, "same_side_repeats")
    trial.require("I21 what is held can still be sold later", stage.held("BTC") > 0)


def _latched(trial: Trial, stage: JudgedStage, ceiling: str, most: int) -> None:
    """The ceiling stopped it at `most` orders, somebody was told, and a new process goes on where the old one ended."""
    trial.require(f"I19 {len(stage.wire.placed)} left, the next one latched", 0 < len(stage.wire.placed) == most)
    _stays(trial, stage, ceiling)
    before = len(stage.wire.placed)
    with stage.oracle.closed("latched", "I22", BUY):
        stage.run_for(1800)
        stage.boot()
        stage.run_for(1800)
    trial.require("I1 and nothing is bought in the hour after, in two processes", len(stage.wire.placed) == before)


def _stays(trial: Trial, stage: JudgedStage, ceiling: str) -> None:
    name = f"governor.{ceiling}"
    told = stage.told("halt.governor") == "CRITICAL"
    trial.require(f"I19 {name} is latched, and CRITICAL", list(stage.state.latches) == [name] and told)
    stage.boot()
    trial.require(f"I19 {name} outlasts a restart", list(stage.state.latches) == [name])


def _stage(trial: Trial, governors: dict[str, Any], listings: Sequence[Listing] = LISTINGS) -> JudgedStage:
    """Some coins, a hundred thousand dollars, limits of risk so wide that only the ceilings are left."""
    names = [str(listing.id) for listing in listings]
    themes = {theme: ["BTC-USD"] for theme in ("layer1", "payments", "oracles_infra", "defi", "meme")}
    easy = {"products": names, "min_depth": 0, "min_volume_24h": 0, "max_spread_bps": 100, "base_size_pct": "0.5"}
    config = config_of(
        {"max_new_per_cycle": 50, "budget_pct": 25, "cooldown_minutes": 1},
        {"tiers": {1: easy, 2: {"products": []}, 3: {"products": []}}, "themes": {"majors": names, **themes}},
        execution={"governors": governors, "use_preview": False, "default_order_type": "limit_ioc"},
        risk={"max_open_positions": 20, "max_per_theme_pct": 25, "max_per_asset_pct": 25, "cooldown_minutes": 1,
              "max_entries_per_hour": None, "max_entries_per_day": None},
        exits={"resting_on_exchange": False},
    )  # fmt: skip
    steps: list[Step] = []
    for listing in listings:
        price = listing.opening.quantize(listing.product.price_step)
        size = str((Decimal(20_000) / listing.opening).quantize(listing.product.size_step))
        for at in (10, 40):
            steps += [down(at, str(price), listing.id, size), up(at + 1, str(price), listing.id, size)]
    stage = trial.stage(steps, config, {"USD": "100000"}, listings)
    stage.idle(62)
    return stage


def _buys(snap: Snapshot) -> Iterator[TradeProposal]:
    return (_buy(snap.markets[listing.id]) for listing in LISTINGS if listing.id in snap.markets)


def _buy(view: MarketView) -> TradeProposal:
    assert view.quote is not None
    return TradeProposal(
        view.product.id, Side.BUY, OrderKind.ENTRY, Money(Decimal(500), "USD"), None, view.quote.mid, "rise", ONE,
        Exits(stop_loss_pct=Decimal(4)),
    )  # fmt: skip


def _part(snap: Snapshot) -> TradeProposal:
    view, held = snap.markets[BTC], snap.state.positions[BTC].size.value
    assert view.quote is not None
    part = Size((held / 100).quantize(view.product.size_step))
    return TradeProposal(
        BTC, Side.SELL, OrderKind.EXIT, Money(part.value * view.quote.bid.value, "USD"), part, view.quote.bid, "rise",
        ONE, exit_reason=ExitReason.MAX_HOLD,
    )  # fmt: skip
