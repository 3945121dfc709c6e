"""How one call can fail, by what it proves. Never leaves this package: `client` and `exchange` translate.

CallFailed
|- NotSent      not one byte of the request left: certainly nothing happened
|- Torn         bytes left and no complete answer came: anything may have happened
|- Unreadable   a complete answer that is not the strict JSON it must be
`- HttpRefused  a complete answer with an error status
"""

from __future__ import annotations

from typing import Final

from bot.adapters.coinbase.strict_json import Document
from bot.ops.redact import without_secrets

BODY_SHOWN: Final = 256
"""Most characters of a refusal's body that may enter a message or a log."""


class CallFailed(Exception):
    """One request did not give a usable answer."""


class NotSent(CallFailed):
    """The request never left: refused connection, name not found, bad certificate, given up while waiting."""


class Torn(CallFailed):
    """The request left at least in part; what the venue made of it is unknown."""


class Unreadable(CallFailed):
    """HTTP said success, but the body is empty, cut, HTML, or JSON we do not accept."""


class HttpRefused(CallFailed):
    """A status of 300 or more. document: the body when it is a JSON object; text: its first characters otherwise."""

    def __init__(self, status: int, text: str, document: Document | None, retry_after: str | None) -> None:
        shown = _shown(text)
        super().__init__(f"HTTP {status} {shown}".rstrip())
        self.status = status
        self.text = shown
        self.document = document
        self.retry_after = retry_after

    @property
    def reason(self) -> str:
        """The venue's own name for the refusal, or the status."""
        found = self.document.get("error") if self.document is not None else None
        return found if isinstance(found, str) and found else f"HTTP_{self.status}"

    @property
    def details(self) -> str:
        """The venue's sentence about it, cut to what a log line may hold."""
        if self.document is None:
            return self.text
        for name in ("error_details", "message"):
            if isinstance(found := self.document.get(name), str) and found:
                return _shown(found)
        return self.text


def _shown(text: str) -> str:
    """Foreign text as a message may carry it: one short line, and no token that the venue may have echoed."""
    return " ".join(without_secrets(text).split())[:BODY_SHOWN]
