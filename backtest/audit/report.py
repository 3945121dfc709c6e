"""Every check by its name, and what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Final

from backtest.audit import curves, figures, fills, holding, limits, trips
from backtest.audit.books import Account, Books, read
from backtest.audit.tape import Tape
from backtest.audit.tape import read as read_tape
from backtest.summary import Run
from bot.domain.state import State
from bot.settings.config import Config
from bot.settings.policy import FillModelPolicy

VENUE: Final[Mapping[str, Callable[[Books, FillModelPolicy], Iterator[str]]]] = {
    "fill prices": fills.prices,
    "latency": fills.latency,
    "volume": fills.volume,
    "fees": fills.fees,
    "steps": fills.steps,
}
BOT: Final[Mapping[str, Callable[[Books, Config], Iterator[str]]]] = {
    "approvals": limits.approvals,
    "caps": limits.caps,
    "places": limits.places,
    "pauses": limits.pauses,
    "pacing": limits.pacing,
    "loss stops": limits.loss_stops,
    "knowledge": holding.knowledge,
    "ownership": holding.ownership,
    "exits": holding.exits,
    "brackets": holding.brackets,
    "liquidity": limits.liquidity,
    "halts": limits.halts,
    "money": holding.money,
    "trades": trips.trades,
    "taking": trips.taking,
    "figures": figures.figures,
    "curves": curves.curves,
    "peak": curves.peak,
}
SHOWN: Final = 3
"""Findings of one check that are told; the first ones say enough."""


def tape_of(run: Run, folder: Path) -> Tape:
    """The candles and listings a run was on, read anew. Raises ConfigError, CandlesCorrupt."""
    products = [str(product) for product in run.data.tracks]
    return read_tape(folder, products, run.data.length, run.ledger.config.policy.backtest.half_spread_bps)


def account_of(run: Run, state: State) -> Account:
    """What the run began with, and the highest equity that its state ended with."""
    return Account(Decimal(str(run.opening)), state.peak_equity)


def audit(config: Config, account: Account, contents: Mapping[str, bytes], tape: Tape) -> list[str]:
    """What does not add up in a run's artifacts, or with what the bot says of its account; empty when all does."""
    books, rules = read(contents, tape, account), config.policy.backtest
    found = []
    for name, check in VENUE.items():
        found += [f"{name}: {line}" for line in islice(check(books, rules), SHOWN)]
    for name, judge in BOT.items():
        found += [f"{name}: {line}" for line in islice(judge(books, config), SHOWN)]
    return found
