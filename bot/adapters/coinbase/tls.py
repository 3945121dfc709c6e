"""Whom we trust: the public roots that requests ships, plus one extra file for a local test venue."""

from __future__ import annotations

import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from bot.errors import ConfigError


def trusted_context(extra_ca: Path | None = None) -> ssl.SSLContext:
    """A client context that verifies chain and host name, TLS 1.2 or newer.

    Built by hand: the library's default context also listens to SSL_CERT_FILE and SSLKEYLOGFILE.

    Raises: ConfigError when the extra file cannot be read as PEM certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=DEFAULT_CA_BUNDLE_PATH)
    if extra_ca is not None:
        try:
            context.load_verify_locations(cafile=str(extra_ca))
        except OSError as error:
            raise ConfigError([f"COINBASE_CA_FILE: {extra_ca} is no readable PEM bundle ({error})"]) from error
    return context
