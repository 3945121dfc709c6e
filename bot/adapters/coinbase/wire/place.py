"""Order requests out, and the reading of their answer: exists, refused, or unknown. Nothing is ever guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bot.adapters.coinbase.failures import CallFailed, HttpRefused, NotSent
from bot.adapters.coinbase.wire.read import Fields
from bot.domain.codec import time_text
from bot.domain.money import Price, decimal_text
from bot.domain.order import Ack, Bracket, OrderType, PlannedOrder
from bot.domain.product import Side
from bot.errors import BotError, CriticalDataUnavailable, OutcomeUnknown, Rejected, Transient, UnitError

_REASON_FIELDS: Final = ("new_order_failure_reason", "error", "preview_failure_reason")
_DUPLICATE: Final = "DUPLICATE_CLIENT_ORDER_ID"
_UNDECIDED_STATUS: Final = frozenset({401, 403, 408, 409, 425, 429})
"""4xx answers that do not prove the order was not taken: throttling and auth troubles come from several layers."""

_KEYS: Final = {
    OrderType.LIMIT_POST_ONLY: "limit_limit_gtd",
    OrderType.LIMIT_GTC: "limit_limit_gtc",
    OrderType.LIMIT_IOC: "sor_limit_ioc",
    OrderType.LIMIT_FOK: "limit_limit_fok",
    OrderType.MARKET: "market_market_ioc",
    OrderType.STOP_LIMIT: "stop_limit_stop_limit_gtc",
    OrderType.BRACKET: "trigger_bracket_gtc",
}
_MAY_EXPIRE: Final = {
    OrderType.STOP_LIMIT: "stop_limit_stop_limit_gtd",
    OrderType.BRACKET: "trigger_bracket_gtd",
}

Body = dict[str, object]


def order_body(order: PlannedOrder) -> Body:
    """The body of create order. Numbers are fixed-point text. Raises UnitError for an order that cannot be sent."""
    return {"client_order_id": order.client_order_id, **preview_body(order)}


def preview_body(order: PlannedOrder) -> Body:
    """The same order without its identity, for preview."""
    body: Body = {
        "product_id": str(order.product),
        "side": order.side.value,
        "order_configuration": {_key(order): _configuration(order)},
    }
    if order.attached is not None:
        body["attached_order_configuration"] = {"trigger_bracket_gtc": _legs(order.attached)}
    return body


def read_answer(answer: Mapping[str, object], client_order_id: str) -> Ack:
    """The order exists <=> success is true and names an order id.

    A duplicate client id is answered like a success, with the old order's id and the new request's echo: whoever sends
    an id a second time must read that order before believing the acknowledgement.

    Raises: Rejected <=> success is false with a reason that says something; OutcomeUnknown for everything else, a
    refusal as duplicate included, since then an order under this id exists.
    """
    try:
        return _read(Fields(answer, "create order"), client_order_id)
    except CriticalDataUnavailable as error:
        raise OutcomeUnknown(client_order_id, str(error)) from error


def meaning(failed: CallFailed, client_order_id: str) -> BotError:
    """What a create call that gave no success answer proves."""
    if isinstance(failed, NotSent):
        return Transient(f"order {client_order_id} was not sent: {failed}")
    if isinstance(failed, HttpRefused) and _is_definite(failed):
        return _refused(client_order_id, failed.reason, failed.details)
    return OutcomeUnknown(client_order_id, str(failed))


def _read(answer: Fields, client_order_id: str) -> Ack:
    success = answer.raw("success")
    accepted = answer.object_or_none("success_response")
    order_id = accepted.text_or("order_id") if accepted is not None else ""
    if success is True and accepted is not None and order_id:
        echoed = accepted.text_or("client_order_id", client_order_id)
        if echoed != client_order_id:
            raise OutcomeUnknown(client_order_id, "the answer is about another client order id")
        return Ack(client_order_id, order_id)
    refusal = answer.object_or_none("error_response")
    if success is False and not order_id and refusal is not None and (reason := _reason(refusal)):
        raise _refused(client_order_id, reason, refusal.text_or("message"))
    raise OutcomeUnknown(client_order_id, "the answer says neither that the order exists nor why it was refused")


def _refused(client_order_id: str, reason: str, message: str) -> BotError:
    if _DUPLICATE in reason:
        return OutcomeUnknown(client_order_id, "the venue already knows an order under this id")
    return Rejected(reason, message)


def _reason(refusal: Fields) -> str:
    """The first of the three reason fields that says something; every name that starts with UNKNOWN_ says nothing."""
    for name in _REASON_FIELDS:
        found = refusal.text_or(name)
        if found and not found.removeprefix("PREVIEW_").startswith("UNKNOWN_"):
            return found
    return ""


def _is_definite(refused: HttpRefused) -> bool:
    """A 4xx in the venue's own envelope: refused before the order reached the engine."""
    named = refused.document is not None and any(isinstance(refused.document.get(n), str) for n in ("error", "message"))
    return 400 <= refused.status < 500 and refused.status not in _UNDECIDED_STATUS and named


def _key(order: PlannedOrder) -> str:
    """The venue's name for the order's kind; those that may expire do when the order has an end time."""
    if order.type not in _KEYS:
        raise UnitError(f"orders of type {order.type.value} are never sent")
    return _MAY_EXPIRE.get(order.type, _KEYS[order.type]) if order.end_time is not None else _KEYS[order.type]


def _configuration(order: PlannedOrder) -> Body:
    fields: Body = {"base_size": decimal_text(order.size.value)}
    if order.type is not OrderType.MARKET:
        fields["limit_price"] = _text(order.limit_price, order, "limit price")
    if order.type in (OrderType.LIMIT_POST_ONLY, OrderType.LIMIT_GTC):
        fields["post_only"] = order.type is OrderType.LIMIT_POST_ONLY
    if order.type is OrderType.STOP_LIMIT:
        fields["stop_price"] = _text(order.stop_price, order, "stop price")
        down = order.side is Side.SELL
        fields["stop_direction"] = "STOP_DIRECTION_STOP_DOWN" if down else "STOP_DIRECTION_STOP_UP"
    if order.type is OrderType.BRACKET:
        fields["stop_trigger_price"] = _text(order.stop_price, order, "stop trigger price")
    if _key(order).endswith("_gtd"):
        if order.end_time is None:
            raise UnitError(f"a {order.type.value} order needs an end time, {order.client_order_id} has none")
        fields["end_time"] = time_text(order.end_time)
    return fields


def _legs(bracket: Bracket) -> Body:
    return {
        "limit_price": decimal_text(bracket.limit_price.value),
        "stop_trigger_price": decimal_text(bracket.stop_trigger_price.value),
    }


def _text(price: Price | None, order: PlannedOrder, what: str) -> str:
    if price is None:
        raise UnitError(f"a {order.type.value} order needs a {what}, {order.client_order_id} has none")
    return decimal_text(price.value)
