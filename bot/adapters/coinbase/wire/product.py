"""Products with their trading mode, order books, and candles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from bot.adapters.coinbase.wire.read import PLAIN_AMOUNT, Fields
from bot.domain.bars import Bar, Granularity
from bot.domain.market import Book, Level
from bot.domain.money import EXACT, Price
from bot.domain.product import Product, ProductId, TradingMode
from bot.errors import CriticalDataUnavailable, UnitError

_CLOSING_FLAGS: Final = ("is_disabled", "trading_disabled", "view_only")
_LIMITING_FLAGS: Final = (
    ("cancel_only", TradingMode.CANCEL_ONLY),
    ("post_only", TradingMode.POST_ONLY),
    ("auction_mode", TradingMode.AUCTION),
    ("limit_only", TradingMode.LIMIT_ONLY),
)
_COLUMNS: Final = ("open", "high", "low", "close", "volume")
_LISTING_PLACEHOLDER: Final = datetime(2023, 1, 1, tzinfo=UTC)


def products(answer: Fields, now: datetime) -> tuple[list[Product], list[str]]:
    """Every readable spot product, and one line for each row that is not.

    A row that cannot be read makes that product unknown and so untradable; it must not take the others with it.

    Raises: CriticalDataUnavailable when there is no list, or no row of it can be read.
    """
    readable: list[Product] = []
    unreadable: list[str] = []
    for row in answer.rows("products"):
        try:
            if row.text_or("product_type", "SPOT") == "SPOT":
                readable.append(product(row, now))
        except (CriticalDataUnavailable, UnitError) as error:
            unreadable.append(f"{str(row.raw('product_id'))[:30]}: {error}")
    if not readable:
        raise CriticalDataUnavailable("products", f"no readable product among {len(unreadable)} rows")
    return readable, unreadable


def product(row: Fields, now: datetime) -> Product:
    """One product. Raises CriticalDataUnavailable or UnitError when a step or bound is missing or nonsense."""
    mode, reason = trading_mode(row)
    alias = row.product("alias") if row.has("alias") else None
    listing = row.product()
    return Product(
        id=listing,
        base=row.text_or("base_currency_id", listing.base),
        quote=row.text_or("quote_currency_id", listing.quote),
        price_step=row.amount("price_increment"),
        size_step=row.amount("base_increment"),
        quote_step=row.amount("quote_increment"),
        base_min=row.amount("base_min_size"),
        base_max=row.amount("base_max_size"),
        quote_min=row.amount("quote_min_size"),
        quote_max=row.amount("quote_max_size"),
        mode=mode,
        mode_reason=reason,
        as_of=now,
        alias=alias,
        listed_at=_listed_at(row),
        quote_volume_24h=_quote_volume(row),
    )


def _quote_volume(row: Fields) -> Decimal | None:
    """24 h volume in the quote currency; where the venue tells only the base volume, that at the last price."""
    told = row.amount_or_none("approximate_quote_24h_volume")
    if told is not None:
        return told
    volume, price = row.amount_or_none("volume_24h"), row.amount_or_none("price")
    return None if volume is None or price is None else EXACT.multiply(volume, price)


def trading_mode(row: Fields) -> tuple[TradingMode, str]:
    """The strictest of status and flags, and which one it was. A missing flag or unknown status closes the product."""
    status = row.raw("status")
    if status != "online":
        return TradingMode.CLOSED, f"status {str(status)[:40]!r}"
    flags = [*_CLOSING_FLAGS, *(name for name, _ in _LIMITING_FLAGS)]
    for name in flags:
        if not isinstance(row.raw(name), bool):
            return TradingMode.CLOSED, f"flag {name} is missing"
    for name in _CLOSING_FLAGS:
        if row.flag(name):
            return TradingMode.CLOSED, name
    for name, mode in _LIMITING_FLAGS:
        if row.flag(name):
            return mode, name
    return TradingMode.NORMAL, ""


def book(answer: Fields, market: ProductId, not_after: datetime) -> Book:
    """One REST order book, best first. Its evidence is its own `time`, never later than `not_after`.

    Raises: CriticalDataUnavailable for levels out of order, a foreign product or a bad number.
    """
    part = answer.object("pricebook")
    if part.product() != market:
        raise CriticalDataUnavailable(part.what, f"answers for {part.product()} where {market} was asked")
    bids, asks = tuple(_levels(part, "bids")), tuple(_levels(part, "asks"))
    for name, levels, descending in (("bids", bids, True), ("asks", asks, False)):
        prices = [level.price.value for level in levels]
        if prices != sorted(set(prices), reverse=descending):
            raise CriticalDataUnavailable(part.what, f"{name} are not sorted by price")
    return Book(market, bids, asks, min(part.time("time"), not_after))


def candles(answer: Fields, granularity: Granularity, start: int, end: int) -> list[Bar]:
    """The bars that open in [start, end), oldest first; others in the answer are ignored.

    Raises: CriticalDataUnavailable for a bar off the grid, impossible, or given twice with two values.
    """
    found: dict[int, Bar] = {}
    for row in answer.rows("candles"):
        opened = row.integer("start")
        if opened % granularity.value:
            raise row.bad("start", f"{opened} is not on the {granularity.name} grid")
        if not start <= opened < end:
            continue
        bar = _bar(row, opened)
        if found.setdefault(opened, bar) != bar:
            raise row.bad("start", f"{opened} comes twice with different values")
    return [found[opened] for opened in sorted(found)]


def _bar(row: Fields, opened: int) -> Bar:
    """Every answer repeats bars of the one before: those are not read again."""
    texts = tuple(row.raw(name) for name in _COLUMNS)
    known = _plain_bar(opened, texts) if all(isinstance(text, str) for text in texts) else None
    return known or _any_bar(row, opened)


@lru_cache(maxsize=1024)
def _plain_bar(opened: int, texts: tuple[str, ...]) -> Bar | None:
    """A bar written as the venue writes it; None for everything else."""
    if any(PLAIN_AMOUNT.fullmatch(text) is None for text in texts):
        return None
    first, high, low, last, volume = map(Decimal, texts)
    if not low:
        return None
    try:
        return Bar(_opening(opened), Price(first), Price(high), Price(low), Price(last), volume)
    except UnitError:
        return None


def _any_bar(row: Fields, opened: int) -> Bar:
    """Asks for field after field, and names what is wrong."""
    try:
        return Bar(
            start=_opening(opened),
            open=row.price("open"),
            high=row.price("high"),
            low=row.price("low"),
            close=row.price("close"),
            volume=row.amount("volume"),
        )
    except UnitError as error:
        raise CriticalDataUnavailable(row.what, str(error)) from error


def _opening(seconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def _levels(part: Fields, name: str) -> Iterator[Level]:
    return (Level(row.price("price"), row.size("size")) for row in _sized(part.rows(name)))


def _sized(rows: Iterable[Fields]) -> Iterator[Fields]:
    return (row for row in rows if row.amount("size") > 0)


def _listed_at(row: Fields) -> datetime | None:
    """The listing date, unless it is the placeholder every old product carries."""
    listed = row.time_or_none("new_at")
    return None if listed is None or listed == _LISTING_PLACEHOLDER else listed
