"""Orders, fills and cancel answers as the venue reports them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.adapters.coinbase.wire.read import Fields
from bot.domain.money import EXACT, ZERO, Price, Size
from bot.domain.order import CancelAnswer, Fill, Liquidity, OrderReport, OrderType, VenueStatus
from bot.domain.product import Side
from bot.domain.value import Value
from bot.errors import CriticalDataUnavailable
from bot.ports import Preview

_TYPES: Final = {
    "market_market_ioc": OrderType.MARKET,
    "market_market_fok": OrderType.MARKET,
    "sor_limit_ioc": OrderType.LIMIT_IOC,
    "limit_limit_gtc": OrderType.LIMIT_GTC,
    "limit_limit_gtd": OrderType.LIMIT_POST_ONLY,
    "limit_limit_fok": OrderType.LIMIT_FOK,
    "stop_limit_stop_limit_gtc": OrderType.STOP_LIMIT,
    "stop_limit_stop_limit_gtd": OrderType.STOP_LIMIT,
    "trigger_bracket_gtc": OrderType.BRACKET,
    "trigger_bracket_gtd": OrderType.BRACKET,
}
_STOPS: Final = (OrderType.STOP_LIMIT, OrderType.BRACKET)
_NO_REASON: Final = frozenset({"", "REJECT_REASON_UNSPECIFIED"})
_PLAIN_FILL: Final = "FILL"
_ALREADY_ASKED: Final = "DUPLICATE_CANCEL_REQUEST"


class _Terms(Value):
    """What an order configuration asks for. size and quote_size: one of them, or neither when it does not say."""

    type: OrderType
    size: Size | None = None
    quote_size: Decimal | None = None
    limit: Price | None = None
    stop: Price | None = None
    end: datetime | None = None


def order(row: Fields) -> OrderReport:
    """One order of a list or of get order. Raises CriticalDataUnavailable; unknown enum values become UNKNOWN, OTHER.

    An order whose configuration gives no size (kinds this bot never sends) is sized by its outstanding hold, the
    venue's own claim on the wallet; a bracket leg that waits for its parent's fills claims nothing yet.
    """
    terms = _terms(row)
    side = row.side()
    status = _status(row.text("status"))
    filled = Size(row.amount_or_zero("filled_size"))
    hold = row.amount_or_none("outstanding_hold_amount")
    parent = row.text_or("originating_order_id")
    size, quote_size = _sizes(row, terms, side, filled, hold, bool(parent), status)
    return OrderReport(
        order_id=row.text("order_id"),
        client_order_id=row.text_or("client_order_id"),
        product=row.product(),
        side=side,
        type=terms.type,
        status=status,
        size=size,
        limit_price=terms.limit,
        stop_price=terms.stop,
        filled=filled,
        filled_value=row.amount_or_zero("filled_value"),
        fees=row.amount_or_zero("total_fees"),
        average_price=None if filled.is_zero else row.price_or_none("average_filled_price"),
        created_at=row.time("created_time"),
        end_time=terms.end,
        quote_size=quote_size,
        hold=hold,
        parent_id=parent,
        reject_reason=_reject_reason(row),
        number_of_fills=row.integer("number_of_fills") if row.has("number_of_fills") else 0,
    )


def fill(row: Fields) -> Fill:
    """One row of the fills. Of a quote-sized row only the value is known; its base size is in the order's report."""
    price = row.price("price")
    amount = row.amount("size")
    in_quote = row.flag_or("size_in_quote")
    kind = row.text_or("trade_type", _PLAIN_FILL)
    return Fill(
        entry_id=row.text("entry_id"),
        trade_id=row.text("trade_id"),
        order_id=row.text("order_id"),
        product=row.product(),
        side=row.side(),
        price=price,
        size=None if in_quote else Size(amount),
        value=amount if in_quote else EXACT.multiply(price.value, amount),
        fee=row.decimal("commission"),
        at=row.time("trade_time"),
        liquidity=_liquidity(row.text_or("liquidity_indicator")),
        adjustment="" if kind == _PLAIN_FILL else kind,
    )


def cancel_answers(answer: Fields, asked: Sequence[str]) -> list[CancelAnswer]:
    """One answer for each id asked, in that order. An id the venue did not mention was not asked."""
    found = {row.text("order_id"): row for row in answer.rows("results")}
    return [_cancel_answer(order_id, found.get(order_id)) for order_id in asked]


def preview(answer: Fields) -> Preview:
    """What the venue thinks of an order. Numbers it leaves out are None."""
    return Preview(
        errors=_names(answer, "errs"),
        warnings=_names(answer, "warning"),
        commission=answer.amount_or_none("commission_total"),
        order_total=answer.amount_or_none("order_total"),
    )


def _cancel_answer(order_id: str, row: Fields | None) -> CancelAnswer:
    if row is None:
        return CancelAnswer(order_id, False, "the venue did not answer for this id")
    reason = row.text_or("failure_reason")
    # The nil reason also comes with success, and then means nothing.
    asked = row.flag("success") or reason == _ALREADY_ASKED
    return CancelAnswer(order_id, asked, "" if row.flag("success") else reason)


def _names(answer: Fields, name: str) -> tuple[str, ...]:
    found = answer.raw(name)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise answer.bad(name, "must be a list of names")
    return tuple(found)


def _terms(row: Fields) -> _Terms:
    configuration = row.object_or_none("order_configuration")
    if configuration is None:
        return _Terms(OrderType.OTHER)
    keys = [key for key in configuration.keys() if configuration.raw(key) is not None]  # noqa: SIM118 - not a dict
    # A triggered stop shows both the stop and its limit; the stop is the one that says what it is.
    known = sorted((key for key in keys if key in _TYPES), key=lambda key: _TYPES[key] not in _STOPS)
    if not known:
        return _sized(OrderType.OTHER, configuration.object(keys[0])) if keys else _Terms(OrderType.OTHER)
    part = configuration.object(known[0])
    kind = _TYPES[known[0]]
    if kind is OrderType.LIMIT_POST_ONLY and not part.flag_or("post_only"):
        kind = OrderType.OTHER
    return _sized(kind, part)


def _sized(kind: OrderType, part: Fields) -> _Terms:
    size = part.amount_or_none("base_size")
    quote_size = part.amount_or_none("quote_size")
    if size is not None and quote_size is not None:
        # Both appear when one of them is an empty default.
        size, quote_size = (size, None) if size > 0 else (None, quote_size)
    return _Terms(
        kind,
        Size(size) if size is not None else None,
        quote_size,
        part.price_or_none("limit_price"),
        part.price_or_none("stop_price") or part.price_or_none("stop_trigger_price"),
        part.time_or_none("end_time"),
    )


def _sizes(
    row: Fields, terms: _Terms, side: Side, filled: Size, hold: Decimal | None, has_parent: bool, status: VenueStatus
) -> tuple[Size | None, Decimal | None]:
    if terms.size is not None or terms.quote_size is not None:
        return terms.size, terms.quote_size
    if status.is_terminal or has_parent:
        return Size(EXACT.add(filled.value, ZERO if status.is_terminal else hold or ZERO)), None
    if hold is None:
        raise CriticalDataUnavailable(row.what, f"working order {row.text('order_id')} has neither size nor hold")
    if side is Side.BUY:
        return None, EXACT.add(row.amount_or_zero("filled_value"), hold)
    return Size(EXACT.add(filled.value, hold)), None


def _status(name: str) -> VenueStatus:
    return VenueStatus[name] if name in VenueStatus.__members__ else VenueStatus.UNKNOWN


def _liquidity(name: str) -> Liquidity:
    return Liquidity[name] if name in Liquidity.__members__ else Liquidity.UNKNOWN


def _reject_reason(row: Fields) -> str:
    reason = row.text_or("reject_reason")
    return "" if reason in _NO_REASON else reason
