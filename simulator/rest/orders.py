"""Create, preview, cancel and edit orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from bot.domain.money import Price, decimal_text, parse_decimal
from bot.domain.order import Bracket
from bot.domain.product import ProductId, Side
from bot.domain.value import replace
from bot.errors import UnitError
from bot.venue.orders import (
    DOWN,
    UP,
    Accepted,
    BracketConfig,
    Configuration,
    LimitFok,
    LimitGtc,
    LimitGtd,
    LimitIoc,
    MarketIoc,
    OrderRequest,
    PreviewResult,
    Refused,
    StopDirection,
    StopLimit,
)
from simulator.rest.backend import Backend
from simulator.rest.call import Answer, Call, invalid, ok, unparsable
from simulator.text import parse_rfc3339
from simulator.wire import commission

MOST_CANCELS: Final = 100
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_NOT_A_NUMBER: Final = Refused("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_NON_NUMERIC_ORDER_SIZE")
_NOT_OFFERED: Final = Refused("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_INVALID_ORDER_CONFIG")


class _Unfit(Exception):
    """The configuration is well-formed JSON and no order."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.error)
        self.refused = refused


def create(backend: Backend, call: Call) -> Answer:
    """HTTP 200 also for a refusal; the echo is of this request, whatever order the id turns out to name."""
    body = call.body
    if not body.get("client_order_id"):
        raise invalid("client_order_id is required")
    _wallet(backend, call)
    configuration = body.get("order_configuration", {})
    try:
        answer = backend.world.place(_request(body))
    except _Unfit as unfit:
        answer = unfit.refused
    if isinstance(answer, Refused):
        return ok(_refused(answer, configuration))
    return ok(_accepted(backend, answer, body))


def preview(backend: Backend, call: Call) -> Answer:
    """What would happen to the order now; 200 for every well-formed request."""
    _wallet(backend, call)
    try:
        result = backend.world.preview(_request(call.body))
    except _Unfit as unfit:
        return ok(_unfit_preview(unfit.refused))
    return ok(_previewed(result))


def batch_cancel(backend: Backend, call: Call) -> Answer:
    """One result an id; a malformed id spoils the whole batch."""
    order_ids: list[str] = call.body.get("order_ids", [])
    if len(order_ids) > MOST_CANCELS:
        raise invalid(f"Too many orderIDs entered, limit is {MOST_CANCELS}")
    for order_id in order_ids:
        require_order_id(order_id)
    known = order_ids if backend.sees(call.key) else []
    results = {result.order_id: result for result in backend.world.cancel(known)}
    return ok(
        {
            "results": [
                {
                    "success": order_id in results and results[order_id].success,
                    "failure_reason": results[order_id].failure_reason
                    if order_id in results
                    else "UNKNOWN_CANCEL_ORDER",
                    "order_id": order_id,
                }
                for order_id in order_ids
            ]
        }
    )


def edit(backend: Backend, call: Call) -> Answer:
    body = call.body
    require_order_id(body.get("order_id", ""))
    price, size = _edited(body)
    if price is None or size is None:
        return ok(_edit_failed("INVALID_EDITED_PRICE" if price is None else "INVALID_EDITED_SIZE"))
    result = backend.world.edit(body["order_id"], price, size)
    if result.success:
        return ok({"success": True, "success_response": {"order_id": body["order_id"]}, "errors": []})
    return ok(_edit_failed(result.edit_failure_reason, result.preview_failure_reason))


def edit_preview(backend: Backend, call: Call) -> Answer:
    """The order as it would stand after the edit, previewed as a new one."""
    body = call.body
    require_order_id(body.get("order_id", ""))
    order = backend.world.view.order(body["order_id"], backend.now)
    price, size = _edited(body)
    if order is None or price is None or size is None:
        reason = "ORDER_NOT_FOUND" if order is None else "INVALID_EDITED_SIZE"
        return ok({"errors": [{"edit_failure_reason": reason}]})
    config = LimitGtc(size, price, order.terms.post_only)
    result = backend.world.preview(OrderRequest("", order.product, order.side, config))
    return ok(
        {
            "errors": [{"preview_failure_reason": reason} for reason in result.errors],
            "slippage": decimal_text(result.slippage),
            "order_total": decimal_text(result.order_total),
            "commission_total": decimal_text(result.commission_total),
            "quote_size": decimal_text(result.quote_size),
            "base_size": decimal_text(result.base_size),
            "best_bid": _or_empty(result.best_bid),
            "best_ask": _or_empty(result.best_ask),
            "average_filled_price": decimal_text(order.average_price or Decimal(0)),
            "order_margin_total": "0",
        }
    )


def foreign_request(body: Mapping[str, Any]) -> OrderRequest:
    """A person's order from the body of a create. Raises Refusal."""
    try:
        return replace(_request(body), owner="foreign")
    except _Unfit as unfit:
        raise invalid(f"{unfit.refused.error} {unfit.refused.preview_failure_reason}") from unfit


def require_order_id(order_id: str) -> None:
    """Raises Refusal for anything that is not one of the venue's ids."""
    if _UUID.fullmatch(order_id) is None:
        raise invalid(f"invalid OrderId {order_id or 'None'} passed to endpoint")


def _wallet(backend: Backend, call: Call) -> None:
    """A key of another portfolio, or a quote currency never touched, has no account to pay from."""
    product = backend.world.product(call.body.get("product_id", ""))
    currencies = {balance.currency for balance in backend.world.venue.balances()}
    if not backend.sees(call.key) or (product is not None and product.quote not in currencies):
        raise invalid("account is not available")


def _request(body: Mapping[str, Any]) -> OrderRequest:
    """Raises Refusal for a bad enum, _Unfit for a configuration that is no order."""
    side = body.get("side", "")
    if side not in Side.__members__:
        raise unparsable(f'proto: (line 1:1): invalid value for enum type: "{side}"')
    try:
        product = ProductId(body.get("product_id", ""))
    except UnitError:
        raise _Unfit(Refused("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID")) from None
    config = _configuration(body.get("order_configuration", {}))
    attached = _attached(body.get("attached_order_configuration", {}))
    return OrderRequest(body.get("client_order_id", ""), product, Side(side), config, attached)


def _configuration(document: Mapping[str, Mapping[str, Any]]) -> Configuration:
    if len(document) != 1:
        raise _Unfit(_NOT_OFFERED)
    ((key, fields),) = document.items()
    maker = _MAKERS.get(key)
    if maker is None:
        raise _Unfit(_NOT_OFFERED)
    return maker(_Fields(fields))


class _Fields:
    """Reads one configuration's fields; what is missing or no number ends in _Unfit."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def amount(self, name: str) -> Decimal:
        value = self.maybe(name)
        if value is None:
            raise _Unfit(_NOT_OFFERED)
        return value

    def maybe(self, name: str) -> Decimal | None:
        text = self._fields.get(name, "")
        if text == "":
            return None
        try:
            return parse_decimal(text, name)
        except UnitError:
            raise _Unfit(_NOT_A_NUMBER) from None

    def flag(self, name: str) -> bool:
        return bool(self._fields.get(name, False))

    def end_time(self) -> datetime | None:
        text = self._fields.get("end_time", "")
        if not text:
            return None
        try:
            return parse_rfc3339(text)
        except ValueError:
            raise unparsable(f'proto: (line 1:1): invalid google.protobuf.Timestamp value "{text}"') from None

    def required_end(self) -> datetime:
        end = self.end_time()
        if end is None:
            raise _Unfit(Refused("GTD_ORDERS_MUST_HAVE_END_TIME", "PREVIEW_GTD_ORDERS_MUST_HAVE_END_TIME"))
        return end

    def direction(self) -> StopDirection:
        name = self._fields.get("stop_direction", "")
        if name not in {UP, DOWN}:
            raise unparsable(f'proto: (line 1:1): invalid value for enum type: "{name}"')
        return UP if name == UP else DOWN


def _market(f: _Fields) -> Configuration:
    base, quote = f.maybe("base_size"), f.maybe("quote_size")
    if base is None and quote is None:
        message = "Market orders cannot be placed with empty order sizes"
        raise _Unfit(Refused("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_NON_NUMERIC_ORDER_SIZE", message))
    if base is not None and quote is not None:
        raise _Unfit(_NOT_OFFERED)
    return MarketIoc(base, quote)


def _stop(f: _Fields, end: datetime | None) -> Configuration:
    return StopLimit(f.amount("base_size"), f.amount("limit_price"), f.amount("stop_price"), f.direction(), end)


def _bracket(f: _Fields, end: datetime | None) -> Configuration:
    return BracketConfig(f.amount("base_size"), f.amount("limit_price"), f.amount("stop_trigger_price"), end)


def _sized(f: _Fields) -> tuple[Decimal | None, Decimal | None]:
    base, quote = f.maybe("base_size"), f.maybe("quote_size")
    if (base is None) == (quote is None):
        raise _Unfit(_NOT_OFFERED)
    return base, quote


def _ioc(f: _Fields) -> Configuration:
    base, quote = _sized(f)
    return LimitIoc(base, f.amount("limit_price"), quote)


def _fok(f: _Fields) -> Configuration:
    base, quote = _sized(f)
    return LimitFok(base, f.amount("limit_price"), quote)


def _gtc(f: _Fields) -> Configuration:
    base, quote = _sized(f)
    return LimitGtc(base, f.amount("limit_price"), f.flag("post_only"), quote)


def _gtd(f: _Fields) -> Configuration:
    base, quote = _sized(f)
    return LimitGtd(base, f.amount("limit_price"), f.flag("post_only"), f.end_time(), quote)


_MAKERS: Final[Mapping[str, Callable[[_Fields], Configuration]]] = {
    "market_market_ioc": _market,
    "sor_limit_ioc": _ioc,
    "limit_limit_fok": _fok,
    "limit_limit_gtc": _gtc,
    "limit_limit_gtd": _gtd,
    "stop_limit_stop_limit_gtc": lambda f: _stop(f, None),
    "stop_limit_stop_limit_gtd": lambda f: _stop(f, f.required_end()),
    "trigger_bracket_gtc": lambda f: _bracket(f, None),
    "trigger_bracket_gtd": lambda f: _bracket(f, f.required_end()),
}


def _attached(document: Mapping[str, Mapping[str, Any]]) -> Bracket | None:
    if not document:
        return None
    if set(document) != {"trigger_bracket_gtc"} or "base_size" in document["trigger_bracket_gtc"]:
        raise _Unfit(Refused("ATTACHED_ORDER_SIZE_MUST_BE_NIL", "PREVIEW_ATTACHED_ORDER_SIZE_MUST_BE_NIL"))
    f = _Fields(document["trigger_bracket_gtc"])
    try:
        return Bracket(Price(f.amount("limit_price")), Price(f.amount("stop_trigger_price")))
    except UnitError:
        reason = "ATTACHED_ORDER_MUST_HAVE_POSITIVE_PRICES"
        raise _Unfit(Refused(reason, f"PREVIEW_{reason}")) from None


def _edited(body: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    """Price and size of an edit; both are required, and what is missing or no number fails the edit."""
    found: list[Decimal | None] = []
    for name in ("price", "size"):
        try:
            found.append(parse_decimal(body.get(name), name))
        except UnitError:
            found.append(None)
    return found[0], found[1]


def _accepted(backend: Backend, answer: Accepted, body: Mapping[str, Any]) -> dict[str, Any]:
    order = backend.world.order(answer.order_id)
    echo = {key: _echo(key, fields) for key, fields in body["order_configuration"].items()}
    return {
        "success": True,
        "success_response": {
            "order_id": answer.order_id,
            "product_id": body["product_id"],
            "side": body["side"],
            "client_order_id": body["client_order_id"],
            "attached_order_id": "" if order is None else order.attached_order_id,
        },
        "order_configuration": echo,
    }


def _echo(key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields} if key.startswith("market") else {**fields, "rfq_disabled": False}


def _refused(answer: Refused, configuration: Mapping[str, Any]) -> dict[str, Any]:
    reasons = {"preview_failure_reason": answer.preview_failure_reason}
    if not answer.preview_failure_reason:
        reasons = {"new_order_failure_reason": answer.error}
    return {
        "success": False,
        "error_response": {"error": answer.error, "message": answer.message, "error_details": "", **reasons},
        "order_configuration": configuration,
    }


def _previewed(result: PreviewResult) -> dict[str, Any]:
    return {
        "order_total": decimal_text(result.order_total),
        "commission_total": decimal_text(result.commission_total),
        "errs": list(result.errors),
        "warning": list(result.warnings),
        "quote_size": decimal_text(result.quote_size),
        "base_size": decimal_text(result.base_size),
        "best_bid": _or_empty(result.best_bid),
        "best_ask": _or_empty(result.best_ask),
        "is_max": result.is_max,
        "order_margin_total": "0",
        "leverage": "0",
        "long_leverage": "0",
        "short_leverage": "0",
        "slippage": decimal_text(result.slippage),
        "preview_id": result.preview_id,
        "commission_detail_total": commission(result.commission_total),
        "est_average_filled_price": decimal_text(result.average_price or Decimal(0)),
    }


def _unfit_preview(refused: Refused) -> dict[str, Any]:
    zeros = dict.fromkeys(("order_total", "commission_total", "quote_size", "base_size", "best_bid", "best_ask"), "0")
    return {
        **zeros,
        "errs": [refused.preview_failure_reason],
        "warning": [],
        "is_max": False,
        "slippage": "0",
        "preview_id": "",
    }


def _edit_failed(reason: str, preview_reason: str = "") -> dict[str, Any]:
    reasons = {"edit_failure_reason": reason, "preview_failure_reason": preview_reason}
    return {"success": False, "errors": [{name: value for name, value in reasons.items() if value}]}


def _or_empty(value: Decimal | None) -> str:
    return "" if value is None else decimal_text(value)
