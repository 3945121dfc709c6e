"""Wallets, key permissions, fee tier and venue time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.adapters.coinbase.wire.read import Fields
from bot.domain.money import EXACT, ZERO
from bot.domain.snapshot import Balance
from bot.domain.state import FeeTier
from bot.errors import CriticalDataUnavailable
from bot.ports import KeyPermissions

_NOT_SPOT: Final = frozenset(
    {"ACCOUNT_TYPE_VAULT", "ACCOUNT_TYPE_PERP_FUTURES", "ACCOUNT_PLATFORM_CFM_CONSUMER", "ACCOUNT_PLATFORM_INTX"}
)
_WORST_RATE: Final = Decimal("0.1")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def wallets(page: Fields) -> list[tuple[str, Balance]]:
    """The spot wallets of one page as (uuid, balance); vaults, futures and deleted wallets are not spendable here.

    A wallet that is not ready or not active counts in full, as held: it is there and cannot be traded from.
    """
    return [(row.text("uuid"), _wallet(row)) for row in page.rows("accounts") if _is_spot(row)]


def balances(found: Iterable[tuple[str, Balance]]) -> Sequence[Balance]:
    """One balance a currency. A wallet seen on two pages counts once; two wallets of one currency add up."""
    total: dict[str, Balance] = {}
    for wallet in dict(found).values():
        before = total.get(wallet.currency, Balance(wallet.currency, ZERO, ZERO))
        total[wallet.currency] = Balance(
            wallet.currency, EXACT.add(before.available, wallet.available), EXACT.add(before.hold, wallet.hold)
        )
    return tuple(total[currency] for currency in sorted(total))


def permissions(answer: Fields) -> KeyPermissions:
    return KeyPermissions(
        can_view=answer.flag("can_view"),
        can_trade=answer.flag("can_trade"),
        can_transfer=answer.flag("can_transfer"),
        portfolio_uuid=answer.text_or("portfolio_uuid"),
    )


def fee_tier(answer: Fields, now: datetime) -> FeeTier:
    """The account's rates. A maker above the taker, or a rate of 10 % and more, is nonsense and refused."""
    tier = answer.object("fee_tier")
    maker, taker = tier.decimal("maker_fee_rate"), tier.amount("taker_fee_rate")
    if not maker <= taker < _WORST_RATE or maker <= -_WORST_RATE:
        raise CriticalDataUnavailable(tier.what, f"maker rate {maker} and taker rate {taker} cannot be a fee tier")
    return FeeTier(max(maker, ZERO), taker, tier.text_or("pricing_tier"), now)


def venue_time(answer: Fields) -> datetime:
    """Server time from the finest field there is. Where only whole seconds are told, the middle of that second."""
    if answer.has("epochMillis"):
        return _EPOCH + timedelta(milliseconds=answer.integer("epochMillis"))
    if answer.has("iso") and "." in answer.text("iso"):
        return answer.time("iso")
    if answer.has("epochSeconds"):
        return _EPOCH + timedelta(seconds=answer.integer("epochSeconds"), milliseconds=500)
    return answer.time("iso") + timedelta(milliseconds=500)


def _is_spot(row: Fields) -> bool:
    return not ({row.text_or("type"), row.text_or("platform")} & _NOT_SPOT) and not row.has("deleted_at")


def _wallet(row: Fields) -> Balance:
    currency = row.text("currency")
    available = _amount(row.object("available_balance"), currency)
    hold_part = row.object_or_none("hold")
    hold = _amount(hold_part, currency) if hold_part is not None else ZERO
    if row.flag_or("ready", True) and row.flag_or("active", True):
        return Balance(currency, available, hold)
    return Balance(currency, ZERO, EXACT.add(available, hold))


def _amount(part: Fields, currency: str) -> Decimal:
    if part.text_or("currency", currency) != currency:
        raise CriticalDataUnavailable(part.what, f"holds {part.text('currency')} inside a {currency} wallet")
    return part.amount("value")
