"""Somebody in the venue's place who speaks nothing newer than TLS 1.1, with a certificate that is good."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import trustme

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


class OldServer:
    """Answers anybody who is content with it. versions: of each handshake that came about."""

    def __init__(self, ca_file: Path) -> None:
        self.ca_file = ca_file
        self.versions: list[str | None] = []
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._context.set_ciphers("ALL:@SECLEVEL=0")  # today's libraries speak the old versions at no other level
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that they are deprecated is the point
            self._context.minimum_version = ssl.TLSVersion.TLSv1
            self._context.maximum_version = ssl.TLSVersion.TLSv1_1
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def offered(self) -> str | None:
        """The version that a client gets who takes any; None when there is none. Not counted."""
        careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        careless.load_verify_locations(self.ca_file)
        careless.set_ciphers("ALL:@SECLEVEL=0")
        careless.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        bare = socket.create_connection(("127.0.0.1", self.port), 10)
        with careless.wrap_socket(bare, server_hostname="127.0.0.1") as link:
            link.recv(1)  # it has counted us
            self.versions.remove(link.version())
            return link.version()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                bare = self._listener.accept()[0]
            except OSError:
                return
            bare.settimeout(5)
            with contextlib.suppress(OSError):  # whoever refuses us hangs up
                self._answer(self._context.wrap_socket(bare, server_side=True))
            bare.close()

    def _answer(self, link: ssl.SSLSocket) -> None:
        with link:
            self.versions.append(link.version())
            link.sendall(ANSWER)


@contextlib.contextmanager
def old_server(folder: Path) -> Iterator[OldServer]:
    server = OldServer(folder / "old-ca.pem")
    try:
        yield server
    finally:
        server.close()
