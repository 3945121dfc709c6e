"""A certificate authority that lives as long as the simulator; its keys never leave a private temporary folder."""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import trustme


class Flaw(Enum):
    """What is wrong with the server's certificate, on purpose."""

    NONE = "none"
    EXPIRED = "expired"
    WRONG_HOST = "wrong_host"
    UNTRUSTED = "untrusted"
    SELF_SIGNED = "self_signed"


LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class ThrowAwayCa:
    """A fresh CA and one server certificate for the loopback names. `close` removes everything from disk."""

    def __init__(self, flaw: Flaw = Flaw.NONE) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="simulated-ca-")
        self.ca_file = Path(self._folder.name) / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_context.minimum_version = ssl.TLSVersion.TLSv1_2
        if flaw is Flaw.SELF_SIGNED:
            _certify_itself(self.server_context)
            return
        issuer = trustme.CA() if flaw is Flaw.UNTRUSTED else authority
        names = ("exchange.invalid",) if flaw is Flaw.WRONG_HOST else LOOPBACK
        ended = datetime(2020, 1, 1, tzinfo=UTC) if flaw is Flaw.EXPIRED else None
        issuer.issue_cert(*names, not_after=ended).configure_cert(self.server_context)

    def client_context(self) -> ssl.SSLContext:
        """A client's context that trusts this CA and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context

    def close(self) -> None:
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _certify_itself(context: ssl.SSLContext) -> None:
    """A certificate that nobody but its own key vouches for."""
    alone = trustme.CA()
    with alone.cert_pem.tempfile() as certificate, alone.private_key_pem.tempfile() as key:
        context.load_cert_chain(certificate, key)
