"""The doors that no real venue has: trading clock, faults, foreign activity, the truth, and a page for people."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.domain.codec import encode
from bot.domain.money import decimal_text, parse_decimal
from bot.domain.product import ProductId, TradingMode
from bot.errors import UnitError
from bot.venue.orders import Accepted
from simulator.auth import Authenticator
from simulator.clock import WorldClock
from simulator.damage import EDGE_PAGE
from simulator.faults import Conditions, Rules, rule_from
from simulator.feed import Feed
from simulator.http import Severed
from simulator.rest.call import Refusal
from simulator.rest.orders import foreign_request
from simulator.rest.proto import CREATE, read_body
from simulator.statuspage import AlertSink, StatusPage
from simulator.text import parse_rfc3339
from simulator.wire import fill, order
from simulator.world import World
from simulator.ws import Sockets

STATUS_PATH: Final = "/api/v2/summary.json"
CLOCK_PATH: Final = "/clock"
ALERTS_PATH: Final = "/alerts"


@dataclass(frozen=True, slots=True)
class Controls:
    """Everything that can be turned from outside."""

    world: World
    rules: Rules
    conditions: Conditions
    clock: WorldClock
    feed: Feed
    sockets: Sockets
    auth: Authenticator
    status: StatusPage
    alerts: AlertSink


def routes(controls: Controls) -> list[BaseRoute]:
    door = _Doors(controls)
    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", CLOCK_PATH, door.clock_now),
        ("POST", CLOCK_PATH, door.clock_advance),
        ("GET", STATUS_PATH, door.status_page),
        ("POST", ALERTS_PATH, door.alert),
        ("GET", "/", door.people),
        ("GET", "/control/state", door.state),
        ("GET", "/control/log", door.log),
        ("GET", "/control/truth", door.truth),
        ("GET", "/control/alerts", door.alerts),
        ("POST", "/control/alerts", door.set_alerts),
        ("POST", "/control/faults", door.add_fault),
        ("DELETE", "/control/faults", door.clear_faults),
        ("POST", "/control/conditions", door.set_conditions),
        ("POST", "/control/order", door.foreign_order),
        ("POST", "/control/cancel", door.cancel),
        ("POST", "/control/transfer", door.transfer),
        ("POST", "/control/product", door.set_product),
        ("POST", "/control/shock", door.shock),
        ("POST", "/control/sockets", door.close_sockets),
        ("POST", "/control/status", door.set_status),
        ("POST", "/control/keys", door.revoke),
        ("POST", "/control/speed", door.set_speed),
    ]
    return [Route(path, _answering(handler, controls.feed), methods=[method]) for method, path, handler in table]


def _answering(
    handler: Callable[[Request], Awaitable[Response]], feed: Feed
) -> Callable[[Request], Awaitable[Response]]:
    """A control request that makes no sense is a 400 with the reason; the feeds tell at once what one did."""

    async def answer(request: Request) -> Response:
        try:
            answered = await handler(request)
            feed.flush()
            return answered
        except Refusal as refused:
            return Response(refused.answer.body, 400, media_type="application/json")
        except (UnitError, ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)

    return answer


class _Doors:
    """One method for each door."""

    def __init__(self, controls: Controls) -> None:
        self._c = controls

    async def clock_now(self, _: Request) -> Response:
        return JSONResponse({"now": _stamp(self._c.world.now), "speed": self._c.clock.speed})

    async def clock_advance(self, request: Request) -> Response:
        body = await _object(request)
        wall_ms = body.get("max_wall_ms")
        event = await self._c.clock.advance(parse_rfc3339(body["until"]), None if wall_ms is None else wall_ms / 1000)
        return JSONResponse({"now": _stamp(self._c.world.now), "event": event})

    async def status_page(self, _: Request) -> Response:
        page = self._c.status
        if page.broken:
            return PlainTextResponse("", page.broken)
        return HTMLResponse(EDGE_PAGE) if page.html else JSONResponse(page.summary(self._c.world.now))

    async def alert(self, request: Request) -> Response:
        sink = self._c.alerts
        raw = await request.body()
        if sink.hang:
            return Severed(hang=True)
        await asyncio.sleep(sink.delay_s)
        if sink.status < 400:
            sink.received.append((self._c.world.now, json.loads(raw)))
        return PlainTextResponse("x" * sink.size, sink.status)

    async def alerts(self, _: Request) -> Response:
        return JSONResponse([{"at": _stamp(at), "body": body} for at, body in self._c.alerts.received])

    async def state(self, _: Request) -> Response:
        return JSONResponse(
            {
                "now": _stamp(self._c.world.now),
                "digest": self._c.world.record.digest,
                "rules": [encode(rule) for rule in self._c.rules.active()],
                "conditions": _plain(asdict(self._c.conditions)),
            }
        )

    async def log(self, request: Request) -> Response:
        since, kind = int(request.query_params.get("since", "0")), request.query_params.get("kind", "")
        return JSONResponse([encode(entry) for entry in self._c.world.record.entries(kind, since)])

    async def truth(self, _: Request) -> Response:
        """Orders, fills and balances as they are, whatever the account's holder is shown."""
        world = self._c.world
        return JSONResponse(
            {
                "orders": [order(record, world.holder) | {"owner": record.owner} for record in world.venue.orders()],
                "fills": [fill(row, world.holder) for row in world.venue.fills()],
                "balances": {
                    b.currency: {"available": decimal_text(b.available), "hold": decimal_text(b.hold)}
                    for b in world.venue.balances()
                },
            }
        )

    async def add_fault(self, request: Request) -> Response:
        self._c.rules.add(rule_from(await _object(request)))
        return _done()

    async def clear_faults(self, _: Request) -> Response:
        self._c.rules.clear()
        return _done()

    async def set_conditions(self, request: Request) -> Response:
        body = await _object(request)
        self._c.conditions.change(body)
        self._c.world.record.fault("", "conditions", json.dumps(body, sort_keys=True))
        if self._c.conditions.outage:
            self._c.sockets.abort_all()
        return _done()

    async def foreign_order(self, request: Request) -> Response:
        """A person on the same account: the body is that of a create."""
        answer = self._c.world.place(foreign_request(read_body(await request.body(), CREATE)))
        accepted = isinstance(answer, Accepted)
        self._c.world.record.fault(
            "", "foreign order", answer.order_id if isinstance(answer, Accepted) else answer.error
        )
        return JSONResponse({"accepted": accepted, "answer": encode(answer)}, 200 if accepted else 409)

    async def cancel(self, request: Request) -> Response:
        """Orders leave the book without the bot's doing: by the venue, or by the account's owner (`by: owner`)."""
        body = await _object(request)
        known = [record.order_id for record in self._c.world.working()]
        order_ids = known if body["order_ids"] == "all" else [str(order_id) for order_id in body["order_ids"]]
        by_owner = body.get("by") == "owner"
        message = str(body.get("message", "User requested cancel" if by_owner else "Internal error"))
        self._c.world.cancel_by_exchange(order_ids, message)
        self._c.world.record.fault("", "cancel", f"{len(order_ids)} orders: {message}")
        return _done()

    async def transfer(self, request: Request) -> Response:
        body = await _object(request)
        self._c.world.transfer(str(body["currency"]), parse_decimal(body["amount"], "amount"))
        self._c.world.record.fault("", "transfer", f"{body['amount']} {body['currency']}")
        return _done()

    async def set_product(self, request: Request) -> Response:
        body = await _object(request)
        mode = TradingMode(body["mode"])
        self._c.world.set_mode(ProductId(body["product_id"]), mode, str(body.get("reason", "")))
        self._c.world.record.fault("", "product", f"{body['product_id']} {mode.value}")
        return _done()

    async def shock(self, request: Request) -> Response:
        """Prices jump: `factor` is a decimal text such as `0.7`."""
        body = await _object(request)
        self._c.world.shock(ProductId(body["product_id"]), Fraction(parse_decimal(body["factor"], "factor")))
        self._c.world.record.fault("", "shock", f"{body['product_id']} x {body['factor']}")
        return _done()

    async def close_sockets(self, request: Request) -> Response:
        """`{"abort": true}` tears them; `{"code": 1001}` closes them in order."""
        body = await _object(request)
        if body.get("abort"):
            self._c.sockets.abort_all()
        else:
            self._c.sockets.close_all(int(body.get("code", 1000)), str(body.get("reason", "")))
        return _done()

    async def set_status(self, request: Request) -> Response:
        self._c.status.change(await _object(request))
        return _done()

    async def set_alerts(self, request: Request) -> Response:
        self._c.alerts.change(await _object(request))
        return _done()

    async def revoke(self, request: Request) -> Response:
        self._c.auth.revoke(str((await _object(request))["revoke"]))
        return _done()

    async def set_speed(self, request: Request) -> Response:
        speed = float((await _object(request))["speed"])
        if not 0 <= speed <= 600:
            raise ValueError(f"speed must be 0 to 600, was {speed}")
        self._c.clock.speed = speed
        return _done()

    async def people(self, _: Request) -> Response:
        return HTMLResponse(_page(self._c.world))


async def _object(request: Request) -> Mapping[str, Any]:
    """The JSON object in a control request. Raises ValueError."""
    body = json.loads(await request.body() or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


def _done() -> Response:
    return JSONResponse({"done": True})


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: Any) -> Any:
    """Sets and enums as JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    return sorted(value) if isinstance(value, set) else value


def _page(world: World) -> str:
    balances = _table(
        ("currency", "available", "hold"),
        [(b.currency, decimal_text(b.available), decimal_text(b.hold)) for b in world.venue.balances()],
    )
    orders = _table(
        ("created", "product", "side", "type", "limit", "filled", "status", "owner"),
        [
            (
                _stamp(o.created_at), o.product, o.side.value, o.terms.order_type, _maybe(o.terms.limit_price),
                decimal_text(o.filled_size), o.status.value, o.owner,
            )
            for o in list(world.venue.orders())[:-101:-1]
        ],
    )  # fmt: skip
    fills = _table(
        ("time", "product", "side", "price", "size", "fee", "liquidity"),
        [
            (
                _stamp(f.trade_time), f.product, f.side.value, decimal_text(f.price), decimal_text(f.size),
                decimal_text(f.fee), f.liquidity.value,
            )
            for f in list(world.venue.fills())[:-101:-1]
        ],
    )  # fmt: skip
    return (
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2><title>Simulated venue</title>"
        "<style>body{font:14px system-ui;margin:2em;max-width:70em}table{border-collapse:collapse;margin-bottom:2em}"
        "td,th{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:left}</style>"
        f"<h1>Simulated venue</h1><p>Trading time {_stamp(world.now)}. No real money is involved.</p>"
        f"<h2>Balances</h2>{balances}<h2>Orders</h2>{orders}<h2>Fills</h2>{fills}"
    )


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _maybe(value: Decimal | None) -> str:
    return "" if value is None else decimal_text(value)
