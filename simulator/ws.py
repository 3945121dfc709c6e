"""The WebSocket servers: handshake, subscribe messages, closing; what is said is the feed's business."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bot.domain.value import Value
from simulator.auth import Authenticator, Refused
from simulator.faults import Gate
from simulator.feed import ALL_CHANNELS, Feed
from simulator.keys import Scope
from simulator.limits import Limits
from simulator.session import Session
from simulator.world import World

SUBSCRIBE_WITHIN_S: Final = 5.0
_UNAUTHENTICATED: Final = "authentication failure"
_NOT_A_REQUEST: Final = "subscribe or unsubscribe required"
_POLICY: Final = 1008
_GOING_AWAY: Final = 1001


class Demand(Value):
    """One message of a client, read."""

    subscribes: bool
    channel: str
    products: tuple[str, ...]
    token: str


def read_demand(text: str | bytes) -> Demand | None:
    """The demand in a message; None when it is neither subscribe nor unsubscribe."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("type") not in {"subscribe", "unsubscribe"}:
        return None
    products = document.get("product_ids") or []
    names = tuple(str(name) for name in products) if isinstance(products, list) else ()
    return Demand(
        document["type"] == "subscribe", str(document.get("channel", "")), names, str(document.get("jwt") or "")
    )


class Sockets:
    """Serves one feed on any number of ports. Lives on the server's event loop.

    subscribe_within_s: real seconds a client has before it is thrown out for saying nothing.
    """

    def __init__(
        self, world: World, feed: Feed, auth: Authenticator, limits: Limits,
        subscribe_within_s: float = SUBSCRIBE_WITHIN_S,
    ) -> None:  # fmt: skip
        self._world = world
        self._feed = feed
        self._auth = auth
        self._limits = limits
        self._subscribe_within_s = subscribe_within_s
        self._log = logging.getLogger("simulator.websockets")
        self._log.setLevel(logging.CRITICAL)  # a client that breaks off is its own business
        self._connections: dict[Session, ServerConnection] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._servers: list[Server] = []

    async def listen(self, host: str, context: ssl.SSLContext, user_host: bool, port: int = 0) -> int:
        """Open one more port, any free one for 0, and return it. Raises OSError when it is taken."""

        async def handle(connection: ServerConnection) -> None:
            await self._converse(connection, user_host)

        server = await serve(
            handle, host, port, ssl=context, compression=None, process_request=self._greet,
            ping_interval=None, logger=self._log, max_size=1 << 20, close_timeout=2.0, server_header=None,
        )  # fmt: skip
        self._servers.append(server)
        return int(next(iter(server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for server in self._servers:
            await server.wait_closed()

    def abort_all(self) -> None:
        """Tear every connection, as an outage does."""
        for connection in list(self._connections.values()):
            connection.transport.abort()

    def close_all(self, code: int, reason: str = "") -> None:
        for session in list(self._connections):
            self._close(session, code, reason)

    def sweep(self) -> None:
        """Close connections that were told nothing for too long."""
        for session in self._feed.idle(self._world.now):
            self._close(session, _GOING_AWAY, "")

    def backlog(self) -> int:
        """Bytes written and not yet taken by the kernel, of the slowest connection."""
        return max((c.transport.get_write_buffer_size() for c in self._connections.values()), default=0)

    async def sent(self, within_s: float) -> None:
        """Wait until the kernel has taken everything that was written, at most `within_s` real seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while self.backlog() and loop.time() < deadline:
            await asyncio.sleep(0.0005)

    def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._world.conditions.outage:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        address = connection.remote_address
        client = str(address[0]) if address else ""
        if not self._limits.take(True, f"ws {client}").allowed:
            return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "")
        self._world.record.event(f"websocket opened {request.path}")
        return None

    async def _converse(self, connection: ServerConnection, user_host: bool) -> None:
        session = Session(connection.transport, self._world.conditions, self._world.now, user_host)
        self._connections[session] = connection
        self._feed.join(session)
        try:
            with suppress(ConnectionClosed):  # the client is gone: nobody is left to be told
                await self._listen(connection, session)
        finally:
            self._feed.leave(session)
            self._connections.pop(session, None)

    async def _listen(self, connection: ServerConnection, session: Session) -> None:
        try:
            first = await asyncio.wait_for(connection.recv(), self._subscribe_within_s)
        except TimeoutError:
            await connection.close(_POLICY, "no subscription")
            return
        self._obey(session, first)
        async for message in connection:
            self._obey(session, message)

    def _obey(self, session: Session, message: str | bytes) -> None:
        demand = read_demand(message)
        if demand is None:
            session.error(_NOT_A_REQUEST)
        elif not self._may(session, demand):
            session.error(_UNAUTHENTICATED)
        elif demand.subscribes:
            self._feed.subscribe(session, demand.channel, demand.products)
        else:
            self._feed.unsubscribe(session, demand.channel, demand.products)
        session.flush()

    def _may(self, session: Session, demand: Demand) -> bool:
        """Whether the channel exists here and the token, where one is needed or given, is good."""
        known = demand.channel in ({"user", "heartbeats"} if session.user_host else ALL_CHANNELS)
        if not known or (demand.channel != "user" and not demand.token):
            return known
        if self._world.conditions.gate is not Gate.OPEN:
            return False
        try:
            key = self._auth.websocket(demand.token)
        except Refused:
            return False
        return demand.channel != "user" or (Scope.VIEW in key.scopes and key.portfolio == self._world.holder.portfolio)

    def _close(self, session: Session, code: int, reason: str) -> None:
        connection = self._connections.get(session)
        if connection is None:
            return
        task = asyncio.get_running_loop().create_task(connection.close(code, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
