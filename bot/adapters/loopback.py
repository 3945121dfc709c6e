"""A client for a test venue: this machine, the given CA, and nothing from the environment."""

from __future__ import annotations

import ipaddress
import ssl
from typing import Final

import httpx

from bot.errors import ConfigError

TIMEOUT_S: Final = 10.0


def loopback_client(url: str, ca_file: str | None) -> httpx.Client:
    """A client that trusts `ca_file` (a PEM bundle) besides the usual authorities.

    Raises: ConfigError when `url` is not on this machine, or the CA cannot be read.
    """
    parts = httpx.URL(url)
    if parts.scheme not in ("https", "http") or not _is_this_machine(parts.host):
        raise ConfigError([f"the address of a test venue must be https on 127.0.0.1, was {url}"])
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise ConfigError([f"the CA file {ca_file} cannot be used: {error}"]) from error
    return httpx.Client(verify=context, trust_env=False, timeout=TIMEOUT_S)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
