"""What a secret looks like: used to refuse one in a configuration file, and never to show one."""

from __future__ import annotations

import re
from typing import Final

WITHHELD: Final = "(withheld)"

_PEM: Final = re.compile(r"-----\s*(?:BEGIN|END)\s[A-Z0-9 ]+-----")
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?")
_KEY_NAME: Final = re.compile(r"organizations/[0-9a-fA-F-]{8,}/apiKeys/[0-9a-fA-F-]*")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
_LONG_CODE: Final = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")

_URL_TOKEN: Final = re.compile(
    r"://[^/\s]*@"
    r"|[?&][a-z_-]*(?:token|key|secret|sig|signature|auth|password|pwd)[a-z_-]*="
    r"|webhook|hooks?[./]|/bot[0-9]+:",
    re.IGNORECASE,
)
_SECRET_NAME: Final = re.compile(
    r"secret|passw|passphrase|token|private_?key|api_?key|webhook|credential|bearer", re.IGNORECASE
)


def secret_kind(text: str) -> str | None:
    """What kind of secret `text` holds, in words that may be shown, or None when it holds none."""
    for kind, found in (
        ("a private key (PEM block)", _PEM.search(text)),
        ("a JSON web token", _JWT.search(text)),
        ("a CDP key name", _KEY_NAME.search(text)),
        ("an address with a token in it", any(_has_token(url) for url in _URL.findall(text))),
        ("a long base64 or hex code", any(map(_is_code, _LONG_CODE.findall(text)))),
    ):
        if found:
            return kind
    return None


def names_a_secret(key: str) -> bool:
    """Whether a key of this name would hold a secret."""
    return _SECRET_NAME.search(key) is not None


def withheld(text: str) -> str:
    """`text` itself, or `(withheld)` when any part of it resembles a secret."""
    return text if secret_kind(text) is None else WITHHELD


def _has_token(url: str) -> bool:
    """A telling word, or a long path segment of mixed letters and digits: capability links look like that."""
    if _URL_TOKEN.search(url):
        return True
    path = url.partition("://")[2].partition("/")[2]
    return any(_is_mixed(part) for part in re.split(r"[/?&=#]", path) if len(part) >= 16)


def _is_code(run: str) -> bool:
    """Folders and sentences-with-hyphens are no codes; 20 mixed characters or 40 hex digits without a break are."""
    longest = max(run.split("/"), key=len).rstrip("=")
    if re.fullmatch(r"[0-9a-fA-F]{40,}", longest):
        return True
    return len(longest) >= 20 and _is_mixed(longest)


def _is_mixed(part: str) -> bool:
    """Capitals, small letters and digits, all three: words and slugs rarely are."""
    return all(re.search(pattern, part) for pattern in ("[a-z]", "[A-Z]", "[0-9]"))
