"""A TLS server on loopback that answers each request with whatever bytes, delays or resets a test asks for."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from bot.domain.value import Value


class Request(Value):
    """One request as it came: head lower-cased line by line, and the body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


Reply = Callable[["Connection", Request], None]


@dataclass
class Connection:
    """The server's end of one connection."""

    sock: ssl.SSLSocket
    stop: threading.Event

    def send(self, content: bytes) -> None:
        self.sock.sendall(content)

    def answer(self, body: bytes | str, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        content = body.encode() if isinstance(body, str) else body
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{extra}\r\n"
        self.send(head.encode() + content)

    def json(self, document: object, status: int = 200) -> None:
        self.answer(json.dumps(document), status)

    def close(self) -> None:
        """Orderly end of TLS and TCP."""
        self.sock.unwrap().close()

    def reset(self) -> None:
        """TCP reset, no goodbye."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hang(self) -> None:
        self.stop.wait(20)


@dataclass
class Server:
    """Requests seen so far and the reply for the next ones."""

    port: int
    ca_file: Path
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    reply: Reply = lambda connection, _request: connection.json({})

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def tls_server(folder: Path, reply: Reply, name: str = "127.0.0.1", trusted: bool = True) -> Iterator[Server]:
    """A server with a certificate for `name`; its CA is in `ca_file`, or another CA's when not `trusted`."""
    ca = trustme.CA()
    ca_file = folder / "ca.pem"
    (ca if trusted else trustme.CA()).cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1], ca_file, reply=reply)
        thread = threading.Thread(target=_accept, args=(listener, context, server, stop), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _accept(listener: socket.socket, context: ssl.SSLContext, server: Server, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            raw, _ = listener.accept()
        except OSError:
            return
        server.connections += 1
        threading.Thread(target=_serve, args=(raw, context, server, stop), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext, server: Server, stop: threading.Event) -> None:
    raw.settimeout(20)
    try:
        with context.wrap_socket(raw, server_side=True) as sock:
            connection = Connection(sock, stop)
            while not stop.is_set() and (request := _read(sock)) is not None:
                server.requests.append(request)
                server.reply(connection, request)
    except (OSError, ValueError):
        raw.close()


def _read(sock: ssl.SSLSocket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += sock.recv(65536)
    method, target, _ = first.split(" ")
    return Request(method, target, headers, body)
