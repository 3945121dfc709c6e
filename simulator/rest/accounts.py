"""Time, wallets, portfolios, key permissions and fees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from bot.domain.money import EXACT, ZERO, decimal_text
from bot.domain.snapshot import Balance
from simulator.keys import Scope
from simulator.rest.backend import Backend
from simulator.rest.call import Answer, Call, invalid, ok, page, refusal
from simulator.text import at_us, number
from simulator.wire import CASH, account, account_id

DEFAULT_PAGE: Final = 49
MOST_A_PAGE: Final = 250
_DOLLARS: Final = frozenset({"USD", "USDC"})


def server_time(backend: Backend, _: Call) -> Answer:
    us = at_us(backend.shown_now)
    return ok(
        {
            "iso": backend.shown_now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "epochSeconds": str(us // 1_000_000),
            "epochMillis": str(us // 1_000),
        }
    )


def accounts(backend: Backend, call: Call) -> Answer:
    limit = min(max(1, call.query.number("limit", DEFAULT_PAGE)), MOST_A_PAGE)
    wallets = _wallets(backend, call)
    rows, cursor = page(wallets, limit, call.query.one("cursor"))
    shown = [account(balance, backend.holder, backend.now) for balance in rows]
    return ok({"accounts": shown, "has_next": bool(cursor), "cursor": cursor, "size": len(shown)})


def one_account(backend: Backend, call: Call) -> Answer:
    for balance in _wallets(backend, call):
        if account_id(backend.holder, balance.currency) == call.names["uuid"]:
            return ok({"account": account(balance, backend.holder, backend.now)})
    raise refusal(404, "NOT_FOUND", "account not found")


def key_permissions(_: Backend, call: Call) -> Answer:
    key = call.key
    if key is None:
        raise invalid("no key")
    return ok(
        {
            "can_view": Scope.VIEW in key.scopes,
            "can_trade": Scope.TRADE in key.scopes,
            "can_transfer": Scope.TRANSFER in key.scopes,
            "can_receive": False,
            "portfolio_uuid": key.portfolio,
            "portfolio_type": "DEFAULT",
        }
    )


def portfolios(_: Backend, call: Call) -> Answer:
    uuid = "" if call.key is None else call.key.portfolio
    return ok({"portfolios": [{"name": "Default", "uuid": uuid, "type": "DEFAULT", "deleted": False}]})


def portfolio(backend: Backend, call: Call) -> Answer:
    """The breakdown: totals as text, positions as JSON numbers, which is why nobody should book from it."""
    if not backend.sees(call.key) or call.names["uuid"] != backend.holder.portfolio:
        raise refusal(404, "NOT_FOUND", "portfolio not found")
    rows = [_position(backend, balance) for balance in backend.world.view.balances(backend.now)]
    crypto = _total(value for balance, value in rows if balance.currency not in CASH)
    cash = _total(value for balance, value in rows if balance.currency in CASH)
    total = EXACT.add(crypto, cash)
    return ok(
        {
            "breakdown": {
                "portfolio": {"name": "Default", "uuid": backend.holder.portfolio, "type": "DEFAULT", "deleted": False},
                "portfolio_balances": {
                    "total_balance": _dollars(total),
                    "total_futures_balance": _dollars(ZERO),
                    "total_cash_equivalent_balance": _dollars(cash),
                    "total_crypto_balance": _dollars(crypto),
                    "futures_unrealized_pnl": _dollars(ZERO),
                    "perp_unrealized_pnl": _dollars(ZERO),
                    "total_equities_balance": _dollars(ZERO),
                },
                "spot_positions": [_spot(backend, balance, value, total) for balance, value in rows if balance.total],
                "perp_positions": [],
                "futures_positions": [],
            }
        }
    )


def transaction_summary(backend: Backend, call: Call) -> Answer:
    tier = backend.world.venue.fee_tier()
    volume, fees = _traded(backend) if backend.sees(call.key) else (ZERO, ZERO)
    rates = {
        "pricing_tier": tier.name,
        "usd_from": "",
        "usd_to": "",
        "taker_fee_rate": decimal_text(tier.taker),
        "maker_fee_rate": decimal_text(tier.maker),
        "aop_from": "0",
        "aop_to": "1000000",
        "perps_vol_from": "",
        "perps_vol_to": "",
        "futures_vol_from": "",
        "futures_vol_to": "",
        "volume_types_and_range": [
            {"volume_types": ["VOLUME_TYPE_SPOT", "VOLUME_TYPE_US_DERIVATIVES"], "vol_from": "0", "vol_to": "10000"}
        ],
    }
    values = [value for _, value in (_position(backend, b) for b in backend.world.view.balances(backend.now))]
    return ok(
        {
            "total_volume": number(volume),
            "total_fees": number(fees),
            "fee_tier": rates,
            "margin_rate": None,
            "goods_and_services_tax": None,
            "advanced_trade_only_volume": number(volume),
            "advanced_trade_only_fees": number(fees),
            "coinbase_pro_volume": 0,
            "coinbase_pro_fees": 0,
            "total_balance": f"{_total(values):.2f}",
            "has_promo_fee": False,
            "volume_breakdown": [
                {"volume_type": "VOLUME_TYPE_SPOT", "volume": number(volume)},
                {"volume_type": "VOLUME_TYPE_US_DERIVATIVES", "volume": 0},
            ],
            "has_cost_plus_commission": False,
            "fee_tier_without_promotion": {
                "pricing_tier": "",
                "qualification_type": "FEE_TIER_QUALIFICATION_TYPE_COMBINED_VOLUME",
                "current_value": decimal_text(volume),
                "next_tier_threshold": "10000",
                "current_tier": rates,
                "next_tier": None,
                "current_tier_threshold": "0",
            },
        }
    )


def _wallets(backend: Backend, call: Call) -> list[Balance]:
    return list(backend.world.view.balances(backend.now)) if backend.sees(call.key) else []


def _traded(backend: Backend) -> tuple[Decimal, Decimal]:
    """Value and fees of every fill so far, in dollars."""
    rows = [fill for fill in backend.world.view.fills(backend.now) if fill.product.quote in _DOLLARS]
    return _total(fill.value for fill in rows), _total(fill.fee for fill in rows)


def _position(backend: Backend, balance: Balance) -> tuple[Balance, Decimal]:
    """A wallet and its worth in dollars at the last trade; a currency without a market counts nothing."""
    if balance.currency in CASH or balance.currency in _DOLLARS:
        return balance, balance.total
    tape = backend.world.tape(f"{balance.currency}-USD")
    price = ZERO if tape is None else tape.listing.scale.price(tape.last.ticks).value
    return balance, EXACT.multiply(balance.total, price)


def _spot(backend: Backend, balance: Balance, value: Decimal, total: Decimal) -> dict[str, Any]:
    share = EXACT.divide(value, total) if total else ZERO
    price = EXACT.divide(value, balance.total)
    return {
        "asset": balance.currency,
        "account_uuid": account_id(backend.holder, balance.currency),
        "total_balance_fiat": number(value),
        "total_balance_crypto": number(balance.total),
        "available_to_trade_fiat": number(EXACT.multiply(balance.available, price)),
        "available_to_trade_crypto": number(balance.available),
        "allocation": number(share),
        "one_day_change": 0,
        "cost_basis": _dollars(value),
        "asset_img_url": "",
        "is_cash": balance.currency in CASH,
        "average_entry_price": _dollars(price),
        "asset_uuid": "",
        "unrealized_pnl": 0,
    }


def _dollars(amount: Decimal) -> dict[str, str]:
    return {"value": f"{amount:.2f}", "currency": "USD"}


def _total(values: Any) -> Decimal:
    result = ZERO
    for value in values:
        result = EXACT.add(result, value)
    return result
