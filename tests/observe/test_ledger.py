"""The ledger equation: what a difference between books and venue may and may not become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.domain.event import LedgerAnchored, LedgerPending, QuarantineBegan, TransferRecognised
from bot.domain.product import ProductId
from bot.domain.snapshot import Balance
from bot.domain.state import Ledger, State
from bot.domain.value import replace
from bot.observe.ledger import Comparison, Sweep, balanced, check, residuals
from bot.settings.policy import StatePolicy

T0 = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = StatePolicy()
BTC = ProductId("BTC-USD")


def balances(**amounts: str) -> dict[str, Balance]:
    return {name: Balance(name, Decimal(amount), Decimal(0)) for name, amount in amounts.items()}


def sweep(seconds: int = 0, busy: frozenset[str] = frozenset(), **amounts: str) -> Sweep:
    rates = {"USD": Decimal(1), "BTC": Decimal(50_000)}
    return Sweep(balances(**amounts), busy, rates, {"BTC": BTC}, T0 + timedelta(seconds=seconds))


def books(**ledgers: Ledger) -> State:
    return State(ledgers=ledgers)


def ledger(anchor: str, pending_amount: str = "0", sweeps: int = 0) -> Ledger:
    return Ledger(Decimal(anchor), T0, Decimal(0), Decimal(pending_amount), T0 if sweeps else None, sweeps)


def test_the_first_sweep_anchors_every_wallet():
    found = list(check(State(), sweep(USD="100", BTC="0.5"), POLICY))
    assert found == [LedgerAnchored("BTC", Decimal("0.5")), LedgerAnchored("USD", Decimal(100))]


def test_balanced_books_say_nothing():
    assert list(check(books(USD=ledger("100")), sweep(USD="100"), POLICY)) == []


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (State(), {"USD": "100"}),
        (books(USD=ledger("100")), {"USD": "100"}),
        (books(USD=ledger("100")), {"USD": "100", "BTC": "0"}),
        (books(USD=ledger("100")), {"USD": "100", "BTC": "0.5"}),
        (books(USD=ledger("100")), {"USD": "99"}),
        (books(USD=ledger("100"), BTC=ledger("0")), {"USD": "100"}),
        (books(USD=ledger("100"), BTC=ledger("1")), {"USD": "100"}),
        (books(USD=ledger("100", "-7", sweeps=1)), {"USD": "100"}),
        (books(USD=ledger("100", "-7", sweeps=1)), {"USD": "93"}),
    ],
)
def test_books_are_balanced_exactly_when_a_sweep_has_nothing_to_say(state, shown):
    found, wallets = list(check(state, sweep(**shown), POLICY)), balances(**shown)
    assert balanced(state, wallets, residuals(state, wallets)) == (not found)


def test_a_comparison_follows_both_the_books_and_the_wallets():
    comparison, state, wallets = Comparison(), books(USD=ledger("100")), balances(USD="90")
    assert comparison(state, wallets) == {"USD": Decimal(-10)}
    assert comparison(state, wallets) == {"USD": Decimal(-10)}
    assert comparison(books(USD=ledger("90")), wallets) == {}
    assert comparison(books(USD=ledger("90")), balances(USD="95")) == {"USD": Decimal(5)}


def test_a_hold_is_still_ours():
    state = books(USD=ledger("100"))
    held = {"USD": Balance("USD", Decimal(60), Decimal(40))}
    assert residuals(state, held) == {}


def test_a_new_difference_is_pending_and_restates_nothing():
    found = list(check(books(USD=ledger("100")), sweep(USD="150"), POLICY))
    assert found == [LedgerPending("USD", Decimal(50), 1)]


def test_a_difference_that_vanishes_is_cleared():
    state = books(USD=ledger("100", "-7", sweeps=1))
    assert list(check(state, sweep(USD="100"), POLICY)) == [LedgerPending("USD", Decimal(0), 0)]


def test_a_difference_that_changes_starts_over():
    state = books(USD=ledger("100", "-7", sweeps=2))
    assert list(check(state, sweep(500, USD="90"), POLICY)) == [LedgerPending("USD", Decimal(-10), 1)]


@pytest.mark.parametrize(
    ("seconds", "sweeps", "classified"), [(119, 5, False), (120, 1, False), (120, 2, True), (600, 2, True)]
)
def test_a_deposit_needs_both_time_and_sweeps(seconds, sweeps, classified):
    state = books(USD=ledger("100", "50", sweeps=sweeps))
    found = list(check(state, sweep(seconds, USD="150"), POLICY))
    expected = (
        TransferRecognised("USD", Decimal(50), Decimal(50))
        if classified
        else LedgerPending("USD", Decimal(50), sweeps + 1)
    )
    assert found == [expected]


def test_a_difference_in_a_currency_our_orders_move_is_not_a_transfer():
    state = books(USD=ledger("100", "50", sweeps=9))
    found = list(check(state, sweep(900, busy=frozenset({"USD"}), USD="150"), POLICY))
    assert found == [LedgerPending("USD", Decimal(50), 10)]


def test_opposite_differences_look_like_an_unseen_trade_and_stay_pending():
    state = books(USD=ledger("100", "-50", sweeps=9), BTC=ledger("0", "0.001", sweeps=9))
    found = list(check(state, sweep(900, USD="50", BTC="0.001"), POLICY))
    assert all(isinstance(event, LedgerPending) for event in found)


def test_a_base_deposit_is_valued_at_the_mark_and_quarantines_its_product():
    state = books(USD=ledger("100"), BTC=ledger("1", "0.5", sweeps=5))
    transfer, quarantine = list(check(state, sweep(200, USD="100", BTC="1.5"), POLICY))
    assert transfer == TransferRecognised("BTC", Decimal("0.5"), Decimal(25_000), market=ProductId("BTC-USD"))
    assert isinstance(quarantine, QuarantineBegan)
    assert quarantine.product == BTC


@pytest.mark.parametrize(("amount", "balance"), [("50", "150"), ("-40", "60")])
def test_a_transfer_is_told_with_the_equity_as_it_was_without_it(amount, balance):
    """Peak and drawdown are measured from there: money that came must not look like profit, nor lost money like it."""
    state = books(USD=ledger("100", amount, sweeps=5))
    (transfer,) = check(state, replace(sweep(200, USD=balance), equity=Decimal(balance)), POLICY)
    assert isinstance(transfer, TransferRecognised)
    assert (transfer.value, transfer.equity) == (Decimal(amount), Decimal(100))


def test_a_transfer_without_a_price_waits_until_it_can_be_valued():
    state = books(DOGE=ledger("0", "5", sweeps=9))
    found = list(check(state, sweep(900, DOGE="5"), POLICY))
    assert found == [LedgerPending("DOGE", Decimal(5), 10)]


def test_a_wallet_that_appears_is_a_difference_not_an_opening_balance():
    found = list(check(books(USD=ledger("100")), sweep(USD="100", BTC="1"), POLICY))
    assert LedgerAnchored("BTC", Decimal(0)) in found
    assert LedgerPending("BTC", Decimal(1), 1) in found
