"""Who may be entered this cycle, in which tier, and why nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bot.domain.decision import Exclusion, HysteresisCount, Reason
from bot.domain.product import ProductId
from bot.domain.snapshot import MarketView, Problem, Snapshot
from bot.domain.state import Ban
from bot.domain.value import Value, field
from bot.settings.policy import Policy
from bot.settings.universe import Hysteresis, Universe
from bot.universe import bans, hysteresis
from bot.universe.candidates import Places, discovered, twin
from bot.universe.conditions import Grounds, Refusal, refusal


class Selection(Value):
    """The universe of one cycle, by market id.

    eligible: by tier, then place in the file, then discovered ones by volume. excluded: every other market that was
    judged with its reason, and, when all are, listings of the file that stand for no market of their own. tiers: of
    every judged market that has one. hysteresis: only the memories that changed. problem: why nothing may be entered
    at all, else None.
    """

    eligible: tuple[ProductId, ...]
    excluded: tuple[Exclusion, ...]
    tiers: Mapping[ProductId, int]
    hysteresis: Mapping[ProductId, HysteresisCount] = field(default_factory=dict)
    problem: Problem | None = None


class UniverseManager:
    """The universe stage of a decision."""

    def select(self, snapshot: Snapshot, universe: Universe, policy: Policy) -> Selection:
        """Judge every market of the snapshot, or those alone that it asks about.

        A market is eligible when it meets every condition now and hysteresis has let it in: a market that was let in
        and fails for a moment cannot be entered in that moment, but need not qualify again. Extra cycles between the
        scheduled ones (`snapshot.service`) judge with the memory as it is and leave it alone.
        """
        if snapshot.asked is not None and snapshot.asked.isdisjoint(snapshot.markets):
            return Selection((), (), {}, {}, _too_few((), (), universe))
        ranked = _ranked(snapshot, universe)
        in_force = _bans(snapshot, universe)
        never = frozenset([product.base for product in universe.exclusions.never_trade])
        within = policy.execution.depth_within_bps
        eligible: list[ProductId] = []
        excluded: list[Exclusion] = []
        moved: dict[ProductId, HysteresisCount] = {}
        for market, number in ranked.items():
            view, tier = snapshot.markets[market], universe.tiers.get(number) if number is not None else None
            found = refusal(Grounds(market, view, tier, universe, never, in_force, snapshot.now, within))
            before = snapshot.state.hysteresis.get(market, hysteresis.NEVER_SEEN)
            after = before if snapshot.service else hysteresis.step(before, found is None, universe.hysteresis)
            if after != before:
                moved[market] = after
            found = found or _waiting(after, universe.hysteresis)
            if found is None:
                eligible.append(market)
            else:
                excluded.append(Exclusion(market, *found))
        if snapshot.asked is None:
            excluded += _without_market(snapshot.markets, universe)
        tiers = {market: number for market, number in ranked.items() if number is not None}
        return Selection(tuple(eligible), tuple(excluded), tiers, moved, _too_few(eligible, excluded, universe))


def _ranked(snapshot: Snapshot, universe: Universe) -> dict[ProductId, int | None]:
    """Every judged market in order, with its tier: those of the file, then discovered ones, then the rest by id."""
    markets = snapshot.markets
    places = Places.of(universe)
    listed: list[tuple[int, int, ProductId]] = []
    loose: list[ProductId] = []
    for market, view in snapshot.judged:
        place = places.find(_names(market, view, markets))
        if place is None:
            loose.append(market)
        else:
            listed.append((*place, market))
    ranked: dict[ProductId, int | None] = {market: number for number, _, market in sorted(listed)}
    if not loose:
        return ranked
    extra = discovered([markets[market].product for market in loose], universe)
    ranked |= {product.market: universe.discovery.tier for product in extra}
    return ranked | {market: None for market in sorted(loose) if market not in ranked}


def _names(market: ProductId, view: MarketView, markets: Mapping[ProductId, MarketView]) -> Sequence[ProductId]:
    """The ids under which the file may list a market: its own, its listing's, and the other half of an alias pair."""
    names, other = [market, view.product.id], twin(market)
    if other is not None and other not in markets:
        names.append(other)
    return names


def _bans(snapshot: Snapshot, universe: Universe) -> Mapping[str, Ban]:
    """Bans in force by base; flags of the file count from the first cycle that reads them."""
    known, flags = snapshot.state.bans, universe.exclusions.flagged
    if not known and not flags:
        return {}
    new = bans.begun(known, flags, bans.CONFIG, snapshot.now, universe.exclusions)
    return {event.ban.product.base: event.ban for event in new} | dict(bans.active(known, snapshot.now))


def _waiting(count: HysteresisCount, policy: Hysteresis) -> Refusal | None:
    if count.eligible:
        return None
    return Reason.HYSTERESIS, f"met every condition in {count.streak} of {policy.enter_after} cycles in a row"


def _without_market(markets: Mapping[ProductId, MarketView], universe: Universe) -> Iterator[Exclusion]:
    """Listings of the file that are a second name of a book already there, or that the venue does not list."""
    traded = {view.product.id for view in markets.values()}
    for number in sorted(universe.tiers):
        for product in universe.tiers[number].products:
            if product in markets or product in traded:
                continue
            other = twin(product)
            if other is not None and other in markets:
                listing = markets[other].product.id
                yield Exclusion(product, Reason.ALIAS_DUPLICATE, f"the same book as {other}, traded as {listing}")
            else:
                yield Exclusion(product, Reason.NOT_ONLINE, "not in the venue's product list")


def _too_few(eligible: Sequence[ProductId], excluded: Sequence[Exclusion], universe: Universe) -> Problem | None:
    if len(eligible) >= universe.min_eligible_assets:
        return None
    detail = f"{len(eligible)} eligible, at least {universe.min_eligible_assets} are needed"
    if excluded:
        counts = Counter(item.reason.value for item in excluded)
        detail += ": " + ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return Problem(Reason.TOO_FEW_ELIGIBLE, detail)
