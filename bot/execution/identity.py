"""Identity of orders: ids that depend on neither clock nor memory, and that tell ours from everybody else's."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from bot.domain.snapshot import Environment, Mode
from bot.errors import UnitError

BOT_MARKER: Final = "b01d"
"""Second group of every client order id this bot makes, whatever the account."""

_TAG: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)
_OURS: Final = re.compile(rf"([0-9a-f]{{8}})-{BOT_MARKER}-4[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}", re.ASCII)


def account_tag(portfolio: str, env: Environment, mode: Mode) -> str:
    """First group of our ids: 8 hex digits of H(portfolio, environment, mode)."""
    return _hash("account", portfolio, env.value, mode.value)[:8]


def generate_client_order_id(tag: str, genesis: str, intent: int, attempt: int) -> str:
    """The id of one attempt at one intent of one journal, shaped as a version 4 UUID.

    Every journal has its own genesis, so an id is never made twice; the same attempt always gets the same id.
    tag: from `account_tag`; intent >= 1, attempt >= 1. Raises UnitError when one of them cannot be.
    """
    if _TAG.fullmatch(tag) is None or not genesis or intent < 1 or attempt < 1:
        raise UnitError(f"no order id from tag {tag!r}, genesis {genesis!r}, intent {intent}, attempt {attempt}")
    rest = _hash("order", genesis, str(intent), str(attempt))
    variant = "89ab"[int(rest[3], 16) % 4]
    return f"{tag}-{BOT_MARKER}-4{rest[:3]}-{variant}{rest[4:7]}-{rest[7:19]}"


def is_ours(client_order_id: str, tag: str) -> bool:
    """Whether an order was placed by this bot on this account, environment and mode."""
    match = _OURS.fullmatch(client_order_id)
    return match is not None and match[1] == tag


def is_bot(client_order_id: str) -> bool:
    """Whether some instance of this bot placed the order, on whatever account, environment or mode."""
    return _OURS.fullmatch(client_order_id) is not None


def _hash(*parts: str) -> str:
    """SHA-256 of the parts, each with its length before it: no two lists of parts give the same text."""
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()
