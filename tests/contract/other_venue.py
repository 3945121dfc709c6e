"""A second Coinbase, small and unlike the simulator on purpose: real time, threads, and the oddities its facts allow.

It shares nothing with `simulator`, so a habit that bot and simulator have in common does not go unnoticed here.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.contract.other_account import Desk
from tests.contract.other_market import BASES, Market, Oddities, Query

PREFIX = "/api/v3/brokerage"
KEY = "organizations/0a0b0c0d-1111-4222-8333-444455556666/apiKeys/a0b1c2d3-1111-4222-8333-444455556666"

Answer = tuple[int, Any]


class OtherVenue:
    def __init__(self, odd: Oddities, folder: Path) -> None:
        self.odd = odd
        self.market = Market(odd)
        self.desk = Desk(self.market)
        self.account, self.stamp = self.desk.account, self.market.stamp
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = folder / "authority.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self.context)
        self._refusals = list(odd.refusals)
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0" if odd.close_each else "HTTP/1.1"

            def do_GET(self) -> None:
                venue.answer(self, "GET")

            def do_POST(self) -> None:
                venue.answer(self, "POST")

            def log_message(self, *_: object) -> None:
                """Silent: the test reads `account`."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        if odd.tls:
            self.http.socket = self.context.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )
        self.ws = serve(self.feed, "127.0.0.1", 0, ssl=self.context if odd.tls else None)
        self.authority = f"{odd.host}:{self.http.server_address[1]}"
        self.ws_port = self.ws.socket.getsockname()[1]

    def env(self) -> dict[str, str]:
        secret = self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
        secure = "s" if self.odd.tls else ""
        port = 9 if self.odd.feed == "absent" else self.ws_port
        socket = f"ws{secure}://{self.odd.host}:{port}"
        return {
            "COINBASE_REST_URL": f"http{secure}://{self.authority}", "COINBASE_WS_URL": socket,
            "COINBASE_WS_USER_URL": socket, "COINBASE_STATUS_URL": f"http{secure}://{self.authority}/status/nowhere",
            "COINBASE_CA_FILE": str(self.ca_file), "BOT_ALLOW_TEST_VENUE": "1", "COINBASE_API_KEY": KEY,
            "COINBASE_API_SECRET": secret.replace("\n", "\\n"),
        }  # fmt: skip

    def answer(self, http: BaseHTTPRequestHandler, method: str) -> None:
        length = int(http.headers.get("Content-Length") or 0)
        content = http.rfile.read(length) if length else b""
        if self.odd.delay_s:
            time.sleep(self.odd.delay_s)
        parts = urlsplit(http.path)
        path = parts.path.removeprefix(PREFIX)
        with self.account.lock:
            self.account.calls.append(f"{method} {path}")
            status, body = self.route(http, method, path, parse_qs(parts.query), content)
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        http.send_response(status)
        http.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json; charset=UTF-8")
        if self.odd.chunked:
            http.send_header("Transfer-Encoding", "chunked")
            half = len(data) // 2
            pieces = [piece for piece in (data[:half], data[half:]) if piece]
            data = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        http.wfile.write(data)

    def route(self, http: BaseHTTPRequestHandler, method: str, path: str, query: Query, content: bytes) -> Answer:
        if path != "/time" and not path.startswith(("/market/", "/status/")):
            if not self.signed(http, method):
                return 401, "Unauthorized\n"
            if self._refusals:
                return self._refusals.pop(0), "Unauthorized\n"
        path = path.removeprefix("/market")
        if method == "POST":
            return self.posted(path, json.loads(content))
        return self.asked(path.strip("/").split("/"), path, query)

    def posted(self, path: str, body: dict[str, Any]) -> Answer:
        takes: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "/orders": self.desk.create,
            "/orders/preview": self.desk.preview,
            "/orders/batch_cancel": self.desk.cancel_all,
        }
        return takes[path](body) if path in takes else (404, "404 page not found\n")

    def asked(self, parts: list[str], path: str, query: Query) -> Answer:
        lists: dict[str, Callable[[Query], Any]] = {
            "/time": self.market.time,
            "/products": self.market.products,
            "/product_book": self.market.book,
            "/key_permissions": self.desk.permissions,
            "/accounts": self.desk.wallets,
            "/transaction_summary": self.desk.fees,
            "/orders/historical/fills": self.desk.fills,
        }
        if path in lists:
            return 200, lists[path](query)
        match parts:
            case ["products", name, "candles"]:
                return self.market.candles(name, query)
            case ["orders", "historical", "batch"]:
                return self.desk.listing(query)
            case ["orders", "historical", order_id]:
                return self.desk.order(order_id)
        return 404, "404 page not found\n"

    def signed(self, http: BaseHTTPRequestHandler, method: str) -> bool:
        token = (http.headers.get("Authorization") or "").removeprefix("Bearer ")
        uri = f"{method} {self.authority}{urlsplit(http.path).path}"
        try:
            claims = jwt.decode(token, self.private.public_key(), ["ES256"], issuer="cdp", leeway=5)
        except jwt.PyJWTError as error:
            self.account.problems.append(f"{method} {http.path}: {error}")
            return False
        if claims.get("uri") != uri or claims.get("sub") != KEY:
            self.account.problems.append(f"{claims.get('uri')} is not {uri}")
            return False
        return True

    def feed(self, socket: ServerConnection) -> None:
        """mute: never a word. ticker: heartbeats in RFC 3339 and tickers, each product counting for itself."""
        try:
            if self.odd.feed == "mute":
                for _ in socket:
                    continue
            for beat in range(10**6):
                self.frame(
                    socket, "heartbeats", beat, {"current_time": self.stamp(time.time()), "heartbeat_counter": beat}
                )
                for name in BASES:
                    ticker = {"type": "update", "tickers": [{"product_id": f"{name}-USD", "price": "1"}]}
                    self.frame(socket, "ticker", beat // 2, ticker)
                time.sleep(0.5)
        except (ConnectionClosed, OSError):
            return

    def frame(self, socket: ServerConnection, channel: str, number: int, event: dict[str, Any]) -> None:
        envelope = {"channel": channel, "timestamp": self.stamp(time.time()), "sequence_num": number, "events": [event]}
        socket.send(json.dumps(envelope))


@contextmanager
def other_venue(odd: Oddities, folder: Path) -> Iterator[OtherVenue]:
    venue = OtherVenue(odd, folder)
    threads = [threading.Thread(target=run, daemon=True) for run in (venue.http.serve_forever, venue.ws.serve_forever)]
    for thread in threads:
        thread.start()
    try:
        yield venue
    finally:
        venue.http.shutdown()
        venue.http.server_close()
        venue.ws.shutdown()
        for thread in threads:
            thread.join(5)
