"""WebSocket frames: the envelope, book updates, trades, and the messages we send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from bot.adapters.coinbase.strict_json import Document
from bot.adapters.coinbase.wire.read import PLAIN_AMOUNT, Fields
from bot.domain.money import Price
from bot.domain.product import ProductId, Side
from bot.domain.value import Value

_SIDES: Final[Mapping[str, Side]] = {"bid": Side.BUY, "offer": Side.SELL}


class FeedRefused(Exception):
    """The venue answered with an error frame; the message is its own."""


class Frame(Value):
    """One message of a channel. sequence: its place on the connection; at: the venue's time of sending."""

    channel: str
    sequence: int
    at: datetime
    events: tuple[Fields, ...]


class LevelChange(NamedTuple):
    """Absolute size at one price; zero removes the level. side: BUY for bids."""

    side: Side
    price: Decimal
    size: Decimal


class Trade(Value):
    product: ProductId
    price: Price
    at: datetime


def frame(document: Document) -> Frame:
    """The envelope. Raises FeedRefused for an error frame, CriticalDataUnavailable for one that cannot be read."""
    fields = Fields(document, "frame")
    if fields.raw("type") == "error":
        raise FeedRefused(fields.text_or("message", "no message")[:200])
    return Frame(fields.text("channel"), fields.integer("sequence_num"), fields.time("timestamp"), _events(fields))


def level_changes(event: Fields) -> Iterator[LevelChange]:
    """Every change of one level2 event. Raises CriticalDataUnavailable.

    They come by the thousand a second: plain rows are read at once, and only what is not plain is asked what is wrong.
    """
    for index, row in enumerate(event.listed("updates")):
        yield _plain_change(row) or _change(Fields(row, f"{event.what}.updates[{index}]"))


def _plain_change(row: object) -> LevelChange | None:
    """A change written as the venue writes it; None for everything else."""
    if not isinstance(row, dict):
        return None
    side, price, size = row.get("side"), row.get("price_level"), row.get("new_quantity")
    if not (isinstance(side, str) and isinstance(price, str) and isinstance(size, str)) or side not in _SIDES:
        return None
    if PLAIN_AMOUNT.fullmatch(price) is None or PLAIN_AMOUNT.fullmatch(size) is None:
        return None
    change = LevelChange(_SIDES[side], Decimal(price), Decimal(size))
    return change if change.price else None


def _change(row: Fields) -> LevelChange:
    side = row.text("side")
    if side not in _SIDES:
        raise row.bad("side", f"must be bid or offer, was {side[:20]!r}")
    return LevelChange(_SIDES[side], row.price("price_level").value, row.amount("new_quantity"))


def trades(event: Fields) -> Iterator[Trade]:
    """Every trade of one market_trades event. Raises CriticalDataUnavailable."""
    return (Trade(row.product(), row.price("price"), row.time("time")) for row in event.rows("trades"))


def request(kind: str, channel: str, products: Iterable[ProductId] = (), token: str = "") -> str:
    """A subscribe or unsubscribe message: one channel each, products in a stable order, a token where one is needed."""
    message: dict[str, object] = {"type": kind, "channel": channel}
    ids: Sequence[str] = sorted(products)
    if ids:
        message["product_ids"] = ids
    if token:
        message["jwt"] = token
    return json.dumps(message)


def _events(fields: Fields) -> tuple[Fields, ...]:
    return tuple(fields.rows("events"))
