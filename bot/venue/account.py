"""Wallets: what is available, what is on hold, and an exact ledger that proves nothing appeared or vanished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from bot.domain.money import ZERO, decimal_text
from bot.domain.product import BUY
from bot.domain.snapshot import Balance
from bot.errors import UnitError
from bot.venue.exact import add, minus, mul, sub
from bot.venue.kept import KeptWallet
from bot.venue.orders import VenueFill


class Account:
    """Balances of one account. The wallet side (available, hold) and the ledger side (opening, fills, fees,
    transfers) are written apart from each other, so `residuals` compares two independent sums.
    """

    def __init__(self, opening: Mapping[str, Decimal]) -> None:
        """opening: available amount per currency. Raises UnitError when one is negative or not finite."""
        for currency, amount in opening.items():
            if not amount.is_finite() or amount < 0:
                raise UnitError(f"opening balance of {currency} must be >= 0, was {amount}")
        self._available: dict[str, Decimal] = dict(opening)
        self._hold: dict[str, Decimal] = dict.fromkeys(opening, ZERO)
        self._ledger: dict[str, Decimal] = dict(opening)
        self._moved, self._shown, self._told = set(opening), dict[str, Balance](), tuple[Balance, ...]()

    def knows(self, currency: str) -> bool:
        """Whether the account ever had a wallet of this currency."""
        return currency in self._available

    def available(self, currency: str) -> Decimal:
        return self._available.get(currency, ZERO)

    def held(self, currency: str) -> Decimal:
        return self._hold.get(currency, ZERO)

    def balances(self) -> Sequence[Balance]:
        """Every wallet ever touched, by currency; what did not change is the same object as before."""
        if self._moved:
            known = len(self._shown)
            for name in self._moved:
                self._shown[name] = Balance(name, self._available[name], self._hold[name])
            self._moved.clear()
            if len(self._shown) > known:
                self._shown = dict(sorted(self._shown.items()))
            self._told = tuple(self._shown.values())
        return self._told

    def keep(self) -> tuple[KeptWallet, ...]:
        """Every wallet with its ledger."""
        return tuple(
            KeptWallet(name, self._available[name], self._hold[name], self._ledger.get(name, ZERO))
            for name in sorted(self._available)
        )

    def load(self, wallets: Iterable[KeptWallet]) -> None:
        """Go on where another account stopped. Raises UnitError when a kept amount is negative."""
        for wallet in wallets:
            if wallet.available < 0 or wallet.hold < 0:
                raise UnitError(f"{wallet.currency} kept as {wallet.available} available, {wallet.hold} on hold")
            self._available[wallet.currency], self._hold[wallet.currency] = wallet.available, wallet.hold
            self._moved.add(wallet.currency)
            self._ledger[wallet.currency] = wallet.ledger

    def reserve(self, currency: str, amount: Decimal) -> None:
        """Move `amount` from available to hold. Raises UnitError when it is not there."""
        free = self.available(currency)
        if amount > free:
            raise UnitError(f"cannot hold {decimal_text(amount)} {currency}, only {decimal_text(free)} available")
        self._move(currency, minus(amount), amount)

    def release(self, currency: str, amount: Decimal) -> None:
        """Move `amount` from hold back to available."""
        self._move(currency, amount, minus(amount))

    def transfer(self, currency: str, amount: Decimal) -> None:
        """Deposit, or withdraw a negative amount. Raises UnitError when more is withdrawn than is available."""
        if not amount.is_finite() or add(self.available(currency), amount) < 0:
            raise UnitError(
                f"cannot withdraw {amount} {currency}, only {decimal_text(self.available(currency))} available"
            )
        self._move(currency, amount, ZERO)
        self._enter(currency, amount)

    def settle(self, fill: VenueFill, released: Decimal) -> None:
        """Book a fill. released: how much of the order's hold it frees, quote for a buy, base for a sell.

        Raises UnitError when a fill would cost more than it frees and the wallet has: a hole in the hold rules.
        """
        base, quote = fill.product.base, fill.product.quote
        if fill.side is BUY:
            self._move(quote, sub(released, add(fill.value, fill.fee)), minus(released))
            self._move(base, fill.size, ZERO)
        else:
            self._move(base, sub(released, fill.size), minus(released))
            self._move(quote, sub(fill.value, fill.fee), ZERO)
        self._post(fill)

    def residuals(self) -> Mapping[str, Decimal]:
        """Opening + fills - fees + transfers - (available + hold), per currency: always zero."""
        names = self._available.keys() | self._ledger.keys()
        return {
            name: sub(self._ledger.get(name, ZERO), add(self.available(name), self.held(name)))
            for name in sorted(names)
        }

    def _post(self, fill: VenueFill) -> None:
        worth = mul(fill.price, fill.size)
        came, paid = (fill.size, minus(worth)) if fill.side is BUY else (minus(fill.size), worth)
        self._enter(fill.product.base, came)
        self._enter(fill.product.quote, sub(paid, fill.fee))

    def _enter(self, currency: str, amount: Decimal) -> None:
        self._ledger[currency] = add(self._ledger.get(currency, ZERO), amount)

    def _move(self, currency: str, available: Decimal, hold: Decimal) -> None:
        free = add(self._available.get(currency, ZERO), available)
        held = add(self._hold.get(currency, ZERO), hold)
        if free < 0 or held < 0:
            raise UnitError(f"{currency} would become {free} available, {held} on hold")
        self._available[currency], self._hold[currency] = free, held
        self._moved.add(currency)
