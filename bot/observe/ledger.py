"""The ledger equation: opening balance + fills - fees + transfers = available + hold, per currency, cumulatively."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from bot.domain.event import LedgerAnchored, LedgerPending, Payload, QuarantineBegan, TransferRecognised
from bot.domain.money import EXACT, ZERO
from bot.domain.product import ProductId
from bot.domain.snapshot import Balance
from bot.domain.state import Ledger, State
from bot.domain.value import Value
from bot.settings.policy import StatePolicy


class Sweep(Value):
    """One complete sweep of balances, orders and fills.

    busy: currencies in which an order of ours is non-terminal or changed since their difference began.
    rates: value of one unit of a currency in the equity currency; missing when unknown.
    markets: market that trades a base currency. equity: net liquidation value now, None while it is unknown.
    """

    balances: Mapping[str, Balance]
    busy: frozenset[str]
    rates: Mapping[str, Decimal]
    markets: Mapping[str, ProductId]
    at: datetime
    equity: Decimal | None = None


def residuals(state: State, balances: Mapping[str, Balance]) -> Mapping[str, Decimal]:
    """Venue minus books per currency; empty when every equation holds."""
    found = {}
    for currency, ledger in state.ledgers.items():
        balance = balances.get(currency)
        shown = ZERO if balance is None else balance.total
        if shown != ledger.expected:
            found[currency] = EXACT.subtract(shown, ledger.expected)
    return dict(sorted(found.items())) if len(found) > 1 else found


class Comparison:
    """The residuals of the books and balances compared last: asked for again, they are not worked out again."""

    def __init__(self) -> None:
        self._of: tuple[Mapping[str, Ledger], Mapping[str, Balance]] | None = None
        self._found: Mapping[str, Decimal] = {}

    def __call__(self, state: State, balances: Mapping[str, Balance]) -> Mapping[str, Decimal]:
        """`residuals` of these very ledgers and balances, neither of which ever changes."""
        if self._of is None or self._of[0] is not state.ledgers or self._of[1] is not balances:
            self._of, self._found = (state.ledgers, balances), residuals(state, balances)
        return self._found


def balanced(state: State, balances: Mapping[str, Balance], differing: Mapping[str, Decimal]) -> bool:
    """Whether every equation holds and nothing is in the making: then `check` has nothing to say.

    differing: the `residuals` of both.
    """
    if differing or state.pending or not state.ledgers:
        return False
    kept = state.ledgers.keys()
    return balances.keys() <= kept or all(balances[currency].total == ZERO for currency in balances.keys() - kept)


def check(state: State, sweep: Sweep, policy: StatePolicy) -> Iterator[Payload]:
    """What this sweep says about the books: anchors, differences begun or gone, transfers recognised, quarantines.

    A difference is only classified as a transfer when it stood still for `transfer_after_seconds` over
    `transfer_after_sweeps` complete sweeps, while no order of ours moved in that currency and no other currency
    differs the opposite way (which would be a trade whose fills we have not seen).
    """
    if not state.ledgers:
        yield from (LedgerAnchored(b.currency, b.total) for b in _by_currency(sweep.balances))
        return
    for balance in _by_currency(sweep.balances):
        if balance.currency not in state.ledgers and balance.total != 0:
            yield LedgerAnchored(balance.currency, ZERO)
            yield LedgerPending(balance.currency, balance.total, 1)
    differing = residuals(state, sweep.balances)
    for currency, ledger in sorted(state.ledgers.items()):
        difference = differing.get(currency, ZERO)
        if difference == 0:
            if ledger.pending != 0:
                yield LedgerPending(currency, ZERO, 0)
        elif difference != ledger.pending:
            yield LedgerPending(currency, difference, 1)
        elif _settled(currency, ledger, differing, sweep, policy):
            yield from _classified(currency, difference, sweep)
        else:
            yield LedgerPending(currency, difference, ledger.sweeps + 1)


def _by_currency(balances: Mapping[str, Balance]) -> list[Balance]:
    return [balances[currency] for currency in sorted(balances)]


def _settled(
    currency: str, ledger: Ledger, differing: Mapping[str, Decimal], sweep: Sweep, policy: StatePolicy
) -> bool:
    since = ledger.pending_since
    if since is None or currency in sweep.busy or currency not in sweep.rates:
        return False
    waited = sweep.at - since >= timedelta(seconds=float(policy.transfer_after_seconds))
    opposite = any((other > 0) != (ledger.pending > 0) for name, other in differing.items() if name != currency)
    return waited and ledger.sweeps + 1 >= policy.transfer_after_sweeps and not opposite


def _classified(currency: str, difference: Decimal, sweep: Sweep) -> Iterator[Payload]:
    value = EXACT.multiply(difference, sweep.rates[currency])
    without = None if sweep.equity is None else EXACT.subtract(sweep.equity, value)
    market = sweep.markets.get(currency)
    yield TransferRecognised(currency, difference, value, without, market)
    if market is not None:
        word = "deposit" if difference > 0 else "withdrawal"
        yield QuarantineBegan(market, f"{word} of {abs(difference)} {currency} that no fill explains")
