"""Inputs of recent cycles beside their decisions, small enough for every cycle: bars and state by reference.

A cycle's file holds the snapshot without its state and windows. The state is named by the journal event it was folded
up to, the windows by product, end and length in the bars store, the configuration by its hash; `remade` puts them
together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from bot.domain.bars import Granularity, Windows
from bot.domain.codec import canonical, decode, encode
from bot.domain.decision import Decision
from bot.domain.market import Book, Level
from bot.domain.money import BASIS_POINTS, EXACT, ZERO
from bot.domain.product import ProductId
from bot.domain.snapshot import MarketView, Snapshot
from bot.domain.state import State
from bot.domain.value import Value, replace
from bot.errors import StateCorrupt, UnitError
from bot.ports import Storage
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.universe import Universe

CYCLES: Final = "cycles"
CONFIGS: Final = "configs"
INPUTS: Final = ".inputs.json"
"""End of the name of a file that holds a cycle's inputs; `.json` alone holds its decision."""
NEWEST: Final = 8
"""Bars whose values are written down as well: the venue may still mend these after the decision."""
_NO_STATE: Final = State()
_TWICE_BPS: Final = BASIS_POINTS * 2


class BarsUsed(Value):
    """The window a decision saw: where to find it again, and what its newest bars were.

    end: unix seconds at which the last bar closed; length in bars; newest: close, high, low in ticks, newest first;
    volume: lots of those bars together.
    """

    granularity: Granularity
    end: int
    length: int
    tick: Decimal
    lot: Decimal
    newest: tuple[int, ...]
    volume: int


class CycleInputs(Value):
    """Everything `decide` was given in one cycle, state and windows by reference."""

    snapshot: Snapshot
    bars: Mapping[ProductId, BarsUsed]
    state_seq: int
    state_head: str
    config_hash: str
    code_version: str


def inputs_of(snapshot: Snapshot, config: Config, code_version: str) -> CycleInputs:
    """The inputs as they are kept: books cut to what a decision can look at."""
    within = config.policy.execution.depth_within_bps
    enough = max((tier.min_depth for tier in config.universe.tiers.values()), default=ZERO)
    views = {market: _plain(view, within, enough) for market, view in snapshot.markets.items()}
    bars = {market: used(view.windows) for market, view in snapshot.markets.items() if view.windows is not None}
    state = snapshot.state
    kept = replace(snapshot, markets=views, state=_NO_STATE)
    return CycleInputs(kept, bars, state.seq, state.head, config.config_hash, code_version)


def keep(storage: Storage, decision: Decision, inputs: CycleInputs | None, config: Config) -> None:
    """Write one cycle, and forget the oldest beyond `state.cycles_kept`. Raises StorageFailed."""
    storage.post(f"{CYCLES}/{decision.cycle_id}.json", canonical(encode(decision)))
    if inputs is not None:
        storage.post(f"{CYCLES}/{decision.cycle_id}{INPUTS}", canonical(encode(inputs)))
        name = f"{CONFIGS}/{config.config_hash}.json"
        if storage.read(name) is None:
            storage.write(name, canonical(_document(config)))
    names = storage.names(CYCLES)
    cycles = sorted({cycle_of(name) for name in names})
    gone = set(cycles[: max(0, len(cycles) - config.policy.state.cycles_kept)])
    for name in names:
        if cycle_of(name) in gone:
            storage.drop(f"{CYCLES}/{name}")


def cycle_of(name: str) -> str:
    """The cycle id of a file in the cycles folder."""
    return name.removesuffix(INPUTS).removesuffix(".json")


def read_inputs(content: bytes) -> CycleInputs:
    """Raises UnitError when the content is damaged or of other code."""
    try:
        return decode(CycleInputs, json.loads(content))
    except ValueError as error:
        raise UnitError(f"the inputs cannot be read: {error}") from error


def read_config(content: bytes) -> Config:
    """A kept configuration. Raises UnitError when this code cannot read it."""
    try:
        data = json.loads(content)
        return Config(Policy.model_validate(data["policy"]), Universe.model_validate(data["universe"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UnitError(f"the kept configuration cannot be read: {error}") from error


def state_at(states: Iterable[State], inputs: CycleInputs) -> State:
    """The state among those of a fold that the cycle saw. Raises StateCorrupt when the journal does not hold it."""
    for state in states:
        if state.seq == inputs.state_seq:
            if state.head != inputs.state_head:
                raise StateCorrupt(f"event {state.seq} is not the one the cycle saw: this is another journal")
            return state
    raise StateCorrupt(f"the journal does not reach back to event {inputs.state_seq}, which the cycle saw")


def remade(inputs: CycleInputs, state: State, windows: Callable[[ProductId, BarsUsed], Windows]) -> Snapshot:
    """The snapshot as the decision got it.

    windows: those of a market again. Raises: UnitError when they are not what the decision saw.
    """
    markets = dict(inputs.snapshot.markets)
    for market, wanted in inputs.bars.items():
        found = windows(market, wanted)
        if used(found) != wanted:
            raise UnitError(f"the bars of {market} have changed since: the venue corrected them, or they were re-based")
        markets[market] = replace(markets[market], windows=found)
    return replace(inputs.snapshot, markets=markets, state=state)


def used(windows: Windows) -> BarsUsed:
    """How these windows are named."""
    count = min(NEWEST, windows.length)
    values = (read(ago) for ago in range(count) for read in (windows.close, windows.high, windows.low))
    newest = tuple(value for value in values if value is not None)
    volume = windows.volume_sum(count) or 0
    scale = windows.scale
    return BarsUsed(windows.granularity, windows.end, windows.length, scale.tick, scale.lot, newest, volume)


def _document(config: Config) -> Any:
    return {"policy": config.policy.model_dump(mode="json"), "universe": config.universe.model_dump(mode="json")}


def _plain(view: MarketView, within_bps: Decimal, enough: Decimal) -> MarketView:
    book = view.book
    return replace(view, windows=None, book=None if book is None else near(book, within_bps, enough))


def near(book: Book, within_bps: Decimal, enough: Decimal) -> Book:
    """The levels within `within_bps` of the mid, of each side no more than are worth `enough`; always the best one."""
    if not book.bids or not book.asks:
        return book
    middle = EXACT.add(book.bids[0].price.value, book.asks[0].price.value)
    low, high = (EXACT.divide(EXACT.multiply(middle, BASIS_POINTS + way * within_bps), _TWICE_BPS) for way in (-1, 1))
    return replace(
        book,
        bids=_first(book.bids, lambda price: price < low, enough),
        asks=_first(book.asks, lambda price: price > high, enough),
    )


def _first(levels: tuple[Level, ...], beyond: Callable[[Decimal], bool], enough: Decimal) -> tuple[Level, ...]:
    value, count = ZERO, 0
    for level in levels:
        if count and (beyond(level.price.value) or value >= enough):
            break
        value = EXACT.add(value, EXACT.multiply(level.price.value, level.size.value))
        count += 1
    return levels[:count]
