"""Every refusal at create: one check, one function, one row in CHECKS, with the venue's own names and messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.money import ONE, is_multiple
from bot.domain.product import BUY, SELL, Product, Side, TradingMode
from bot.domain.value import Value, cached_property
from bot.venue.exact import add, mul, sub
from bot.venue.holds import Need, Rates, need_of
from bot.venue.market import Touch
from bot.venue.matching import reaches
from bot.venue.orders import DOWN, OrderRequest, Refused, Terms
from bot.venue.rules import FillRules

UNTWINNED: Final = frozenset(
    {"UNSUPPORTED_ORDER_CONFIGURATION", "ORDER_ENTRY_DISABLED", "OPEN_BRACKET_ORDERS", "DUPLICATE_CLIENT_ORDER_ID",
     "INVALID_REQUEST"}
)  # fmt: skip
"""Names of the create enum that the preview enum does not repeat behind PREVIEW_."""


class Situation(Value, dict=True):
    """An order request and everything its checks look at.

    last: newest trade price; available: free in the wallet that pays; has_wallet: whether that wallet exists;
    bracketed: base on hold by brackets, where the rules tell that shortfall from others.
    """

    request: OrderRequest
    terms: Terms
    product: Product
    touch: Touch | None
    last: Decimal | None
    now: datetime
    rates: Rates
    has_wallet: bool
    available: Decimal
    bracketed: Decimal
    rules: FillRules

    @property
    def side(self) -> Side:
        return self.request.side

    @cached_property
    def need(self) -> Need:
        return need_of(self.terms, self.side, self.product, self.touch, self.rates, self.rules)

    @cached_property
    def refused(self) -> tuple[Refused, ...]:
        """Every reason against the order; none means it would be accepted."""
        return refusals(self)

    @property
    def price(self) -> Decimal | None:
        """Price its value is judged by: its limit, else what a market order meets."""
        if self.terms.limit_price is not None:
            return self.terms.limit_price
        return None if self.touch is None else self.touch.cross(self.side)


def refusals(situation: Situation) -> tuple[Refused, ...]:
    """Every reason against the order, in the order the venue looks; none means it would be accepted.

    A size or price that is no positive number ends the list: nothing can be said about the rest.
    """
    found: list[Refused] = []
    for check in CHECKS:
        refused = check(situation)
        if refused is not None:
            found.append(refused)
            if check in _GROUNDS:
                break
    return tuple(found)


def named(name: str, message: str = "") -> Refused:
    """A refusal whose name stands in both enums."""
    return Refused(name, "UNKNOWN_PREVIEW_FAILURE_REASON" if name in UNTWINNED else f"PREVIEW_{name}", message)


def previewed(name: str, message: str = "") -> Refused:
    """A refusal only the preview enum names; the create answer then says UNKNOWN_FAILURE_REASON, as recorded."""
    return Refused("UNKNOWN_FAILURE_REASON", f"PREVIEW_{name}", message)


def unsupported(message: str) -> Refused:
    return Refused("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_INVALID_ORDER_CONFIG", message)


UNKNOWN_PRODUCT: Final = named("INVALID_PRODUCT_ID", "Invalid product_id")
DUPLICATE: Final = named("DUPLICATE_CLIENT_ORDER_ID", "Duplicate client_order_id")
NO_CLIENT_ID: Final = named("INVALID_REQUEST", "client_order_id is required")


def _mode(s: Situation) -> Refused | None:
    """What the product's flags permit (5.2)."""
    mode, reason = s.product.mode, s.product.mode_reason
    if mode is TradingMode.NORMAL:
        return None
    if mode is TradingMode.CLOSED:
        if "trading_disabled" in reason:
            return named("TRADING_DISABLED", "Trading is disabled")
        if "is_disabled" in reason:
            return Refused("ORDER_ENTRY_DISABLED", "PREVIEW_NOT_ALLOWED_BY_MARKET_STATE", "Order entry is disabled")
        if "status" in reason:
            return named("PRODUCT_TRADING_HALTED", "Product is not online")
        return named("UNTRADABLE_PRODUCT", "Product is not tradable")
    forbidden = (
        mode is TradingMode.CANCEL_ONLY
        or (mode in {TradingMode.LIMIT_ONLY, TradingMode.AUCTION} and s.terms.is_market)
        or (mode is TradingMode.POST_ONLY and not s.terms.post_only)
    )
    if not forbidden:
        return None
    return Refused("ORDER_ENTRY_DISABLED", "PREVIEW_NOT_ALLOWED_BY_MARKET_STATE", f"Product is in {mode.value} mode")


def _shape(s: Situation) -> Refused | None:
    base, quote = s.terms.base_size, s.terms.quote_size
    if base is None and quote is None:
        return Refused("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_NON_NUMERIC_ORDER_SIZE",
                       "Market orders cannot be placed with empty order sizes")  # fmt: skip
    if base is not None and quote is not None:
        return unsupported("Orders take either base_size or quote_size")
    if s.terms.is_market and s.side is SELL and quote is not None:
        return unsupported(
            "rpc error: code = InvalidArgument desc = Market sells must be parameterized in base currency"
        )
    size = quote if base is None else base
    return None if size is not None and size.is_finite() and size > 0 else unsupported("Order size must be positive")


def _positive_prices(s: Situation) -> Refused | None:
    limit, stop = s.terms.limit_price, s.terms.stop_price
    if limit is not None and not (limit.is_finite() and limit > 0):
        return named("INVALID_LIMIT_PRICE", "Limit price must be positive")
    if stop is not None and not (stop.is_finite() and stop > 0):
        return previewed("INVALID_STOP_PRICE", "Stop price must be positive")
    return None


def _price_precision(s: Situation) -> Refused | None:
    step, limit = s.product.price_step, s.terms.limit_price
    if limit is None or is_multiple(limit, step):
        return None
    if s.terms.is_bracket:
        return previewed("INVALID_BRACKET_LIMIT_PRICE_PRECISION")
    return named("INVALID_PRICE_PRECISION", "Too many decimals in order price")


def _stop_precision(s: Situation) -> Refused | None:
    stop = s.terms.stop_price
    if stop is None or is_multiple(stop, s.product.price_step):
        return None
    return previewed("INVALID_STOP_TRIGGER_PRICE_PRECISION" if s.terms.is_bracket else "INVALID_STOP_PRICE_PRECISION")


def _size_precision(s: Situation) -> Refused | None:
    base, quote = s.terms.base_size, s.terms.quote_size
    if base is not None and not is_multiple(base, s.product.size_step):
        return named("INVALID_SIZE_PRECISION", "Too many decimals in order amount")
    if quote is not None and not is_multiple(quote, s.product.quote_step):
        return previewed("INVALID_QUOTE_SIZE_PRECISION")
    return None


def _base_bounds(s: Situation) -> Refused | None:
    base = s.terms.base_size
    if base is None:
        return None
    if base < s.product.base_min:
        return previewed("INVALID_BASE_SIZE_TOO_SMALL")
    return previewed("INVALID_BASE_SIZE_TOO_LARGE") if base > s.product.base_max else None


def _quote_bounds(s: Situation) -> Refused | None:
    """The value of an order, price x size for one sized in base; a bracket is as small as its stop makes it."""
    value, price, base = s.terms.quote_size, s.price, s.terms.base_size
    if value is None and price is not None and base is not None:
        value = mul(price, base)
    if value is None:
        return None
    if value < s.product.quote_min:
        return previewed("INVALID_QUOTE_SIZE_TOO_SMALL")
    return previewed("INVALID_QUOTE_SIZE_TOO_LARGE") if value > s.product.quote_max else None


def _end_time(s: Situation) -> Refused | None:
    end = s.terms.end_time
    if end is None:
        return named("GTD_ORDERS_MUST_HAVE_END_TIME") if s.terms.time_in_force == "GOOD_UNTIL_DATE_TIME" else None
    if end <= s.now:
        return named("END_TIME_IS_IN_THE_PAST")
    return named("END_TIME_TOO_FAR_IN_FUTURE") if end > s.now + s.rules.end_time_max else None


def _post_only(s: Situation) -> Refused | None:
    if not s.terms.post_only or s.touch is None or s.rules.post_only_race:
        return None
    if not reaches(s.side, s.terms.limit_price, s.touch.cross(s.side)):
        return None
    return named("INVALID_LIMIT_PRICE_POST_ONLY", "Post only order would have crossed")


def _stop_relations(s: Situation) -> Refused | None:
    """A stop must lie on its side of the last trade; that of a bracket opposite to its take profit."""
    limit, stop = s.terms.limit_price, s.terms.stop_price
    if stop is None or limit is None:
        return None
    if s.last is None:
        return named("MISSING_MARKET_TRADE_DATA")
    return (_bracket_legs if s.terms.is_bracket else _stop_sides)(s, s.last, limit, stop)


def _stop_sides(s: Situation, last: Decimal, limit: Decimal, stop: Decimal) -> Refused | None:
    """A stop on the wrong side of the last trade or of its own limit."""
    if s.terms.stop_direction == DOWN and stop > last:
        return previewed("STOP_PRICE_ABOVE_LAST_TRADE_PRICE")
    if s.terms.stop_direction != DOWN and stop < last:
        return previewed("STOP_PRICE_BELOW_LAST_TRADE_PRICE")
    if s.side is SELL and stop < limit:
        return previewed("STOP_PRICE_BELOW_LIMIT_PRICE")
    return previewed("STOP_PRICE_ABOVE_LIMIT_PRICE") if s.side is BUY and stop > limit else None


def _bracket_legs(s: Situation, last: Decimal, limit: Decimal, stop: Decimal) -> Refused | None:
    """Take profit and stop must lie on either side of the last trade."""
    above, below = (limit, stop) if s.side is SELL else (stop, limit)
    if above <= below:
        return named("INVALID_BRACKET_PRICES")
    profit_name, stop_name = "INVALID_BRACKET_LIMIT_PRICE", "INVALID_BRACKET_STOP_TRIGGER_PRICE"
    if above <= last:
        return named(profit_name if s.side is SELL else stop_name)
    return named(stop_name if s.side is SELL else profit_name) if below >= last else None


def _attached(s: Situation) -> Refused | None:
    """Attached brackets: on a buy that is a market or limit order, both legs legal and around the entry."""
    legs = s.request.attached
    if legs is None:
        return None
    if s.terms.stop_price is not None:
        return named("ATTACHED_ORDERS_ONLY_ALLOWED_ON_MARKET_LIMIT")
    if s.side is not BUY:
        return named("INVALID_ORDER_SIDE_FOR_ATTACHED_TPSL")
    profit, stop = legs.limit_price.value, legs.stop_trigger_price.value
    if not is_multiple(profit, s.product.price_step):
        return named("INVALID_ATTACHED_TAKE_PROFIT_PRICE_PRECISION")
    if not is_multiple(stop, s.product.price_step):
        return named("INVALID_ATTACHED_STOP_LOSS_PRICE_PRECISION")
    if s.price is not None and profit <= s.price:
        return named("INVALID_ATTACHED_TAKE_PROFIT_PRICE")
    return named("INVALID_ATTACHED_STOP_LOSS_PRICE") if s.price is not None and stop >= s.price else None


def _band(s: Situation) -> Refused | None:
    """A limit too far through the mid, or (when the rules bound it) too far on its passive side."""
    if s.touch is None or s.terms.limit_price is None or s.terms.stop_price is not None:
        return None
    mid, buys = s.touch.mid, s.side is BUY
    bound = mul(mid, (add if buys else sub)(ONE, s.rules.band_pct.fraction))
    if not reaches(s.side, bound, s.terms.limit_price):
        return named(f"LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_{s.side.value}")
    if s.rules.far_pct is None:
        return None
    edge = mul(mid, (sub if buys else add)(ONE, s.rules.far_pct.fraction))
    return None if reaches(s.side, s.terms.limit_price, edge) else named("LIMIT_PRICE_TOO_FAR_FROM_MARKET")


def _liquidity(s: Situation) -> Refused | None:
    return named("INVALID_NO_LIQUIDITY", "No liquidity") if s.terms.is_market and s.touch is None else None


def _funds(s: Situation) -> Refused | None:
    if not s.has_wallet:
        return named("INVALID_LEDGER_BALANCE", "account is not available")
    minimum = s.need.minimum
    if s.available >= minimum:
        return None
    enough_unbracketed = add(s.available, s.bracketed) >= minimum
    if s.rules.bracket_shortfall and s.side is SELL and enough_unbracketed:
        return Refused("OPEN_BRACKET_ORDERS", "PREVIEW_ORDER_SIZE_EXCEEDS_BRACKETED_POSITION", "")
    return named("INSUFFICIENT_FUND", "Insufficient balance in source account")


_GROUNDS: Final = (_shape, _positive_prices)

Check = Callable[[Situation], Refused | None]

CHECKS: Final[tuple[Check, ...]] = (
    _mode, _shape, _positive_prices, _price_precision, _stop_precision, _size_precision, _base_bounds, _quote_bounds,
    _end_time, _post_only, _stop_relations, _attached, _band, _liquidity, _funds,
)  # fmt: skip
