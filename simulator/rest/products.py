"""Products, books, candles and public trades; the public paths answer the same without a token."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from bot.domain.bars import Granularity
from bot.domain.money import EXACT, HUNDRED, ceil_to, decimal_text, floor_to
from bot.domain.product import Product, TradingMode
from simulator.markets.ladder import Side
from simulator.markets.listing import QUOTE_NAMES
from simulator.markets.tape import Tape
from simulator.rest.backend import Backend
from simulator.rest.call import Answer, Call, Query, Refusal, invalid, ok, refusal
from simulator.text import dumps, moment, rfc3339

MOST_CANDLES: Final = 350
MOST_LEVELS: Final = 1000
MOST_TRADES: Final = 100
TRADES_BREAK: Final = 1000
PRODUCT_TYPES: Final = ("UNKNOWN_PRODUCT_TYPE", "SPOT", "FUTURE", "EQUITY", "OPTION_GROUP", "FUTURE_GROUP")
_PLACEHOLDER_LISTED: Final = "2023-01-01T00:00:00Z"


def products(backend: Backend, call: Call) -> Answer:
    """Every spot product, most traded first; with `limit` or `cursor` one page of them."""
    query = call.query
    asked = set(query.many("product_ids"))
    query.enums("product_type", PRODUCT_TYPES)
    if query.one("product_type", "SPOT") not in {"SPOT", "UNKNOWN_PRODUCT_TYPE"}:
        return ok({"products": [], "num_products": 0, "pagination": None})
    shown = [p for p in _by_volume(backend) if not asked or p.id in asked]
    rows, pagination = _paged(shown, query)
    public = call.key is None
    documents = [product_document(backend, product, public) for product in rows]
    return ok({"products": documents, "num_products": len(documents), "pagination": pagination})


def one_product(backend: Backend, call: Call) -> Answer:
    name = call.names["product_id"]
    product = backend.world.product(name)
    if product is None and call.key is None:
        body = {"error": "NOT_FOUND", "message": f"Product {name} not supported"}
        raise Refusal(Answer(404, dumps(body)))
    return ok(product_document(backend, product or backend.product(name), call.key is None))


def product_book(backend: Backend, call: Call) -> Answer:
    name = call.query.one("product_id")
    tape = backend.tape(name)
    limit = min(call.query.number("limit", MOST_LEVELS) or MOST_LEVELS, MOST_LEVELS)
    step = _decimal(call.query.one("aggregation_price_increment"))
    bids, asks = backend.world.shown_book(tape)
    book = {
        "product_id": name,
        "bids": _levels(bids, tape, limit, step, down=True),
        "asks": _levels(asks, tape, limit, step, down=False),
        "time": rfc3339(backend.shown_now),
    }
    return ok({"pricebook": book, **_middle(book)})


def best_bid_ask(backend: Backend, call: Call) -> Answer:
    asked = call.query.many("product_ids") or [str(product.id) for product in _by_volume(backend)]
    books = []
    for name in asked:
        tape = backend.tape(name)
        bids, asks = backend.world.shown_book(tape)
        books.append(
            {
                "product_id": name,
                "bids": _levels(bids, tape, 1, None, down=True),
                "asks": _levels(asks, tape, 1, None, down=False),
                "time": rfc3339(backend.shown_now),
            }
        )
    return ok({"pricebooks": books})


def candles(backend: Backend, call: Call) -> Answer:
    """Rows with start <= t < end, newest first, minutes without a trade left out."""
    query, tape = call.query, backend.tape(call.names["product_id"])
    start, end = query.number("start", 0), query.number("end", 0)
    granularity = Granularity.__members__.get(query.one("granularity"))
    if granularity is None:
        raise invalid("granularity argument is invalid")
    if not start or end < start:
        raise invalid("start and end argument is invalid")
    seconds = granularity.value
    if end - start > MOST_CANDLES * seconds or query.number("limit", MOST_CANDLES) > MOST_CANDLES:
        raise invalid("start and end argument is invalid - number of candles requested should be less than 350")
    first = -(-start // seconds) * seconds
    last = -(-end // seconds) * seconds
    rows = tape.rows(first, last).grouped(seconds).candles()
    price, size = tape.numbers.price, tape.numbers.size
    shown = ",".join(
        f'{{"start":"{row.start}","low":"{price(row.low)}","high":"{price(row.high)}","open":"{price(row.open)}",'
        f'"close":"{price(row.close)}","volume":"{size(row.volume)}"}}'
        for row in reversed(rows[-query.number("limit", MOST_CANDLES) or None :])
    )
    return Answer(200, f'{{"candles":[{shown}]}}'.encode())


def market_trades(backend: Backend, call: Call) -> Answer:
    """The newest trades, newest first; `side` is the maker's."""
    query, name = call.query, call.names["product_id"]
    tape = backend.tape(name)
    limit = query.number("limit", 0)
    if limit == 0:
        raise invalid("limit argument is invalid")
    if limit > TRADES_BREAK:
        raise refusal(500, "INTERNAL", "internal server error")
    first, stop = query.number("start", 0) * 1_000_000, (query.number("end", 0) or 2**40) * 1_000_000
    found = [(number, trade) for number, trade in reversed(tape.recent) if first <= trade.at_us < stop]
    price, size = tape.numbers.price, tape.numbers.size
    bids, asks = backend.world.shown_book(tape)
    return ok(
        {
            "trades": [
                {
                    "trade_id": str(number),
                    "product_id": name,
                    "price": price(trade.ticks),
                    "size": size(trade.lots),
                    "time": rfc3339(moment(trade.at_us)),
                    "side": "SELL" if trade.taker_buys else "BUY",
                    "bid": "",
                    "ask": "",
                    "exchange": "coinbase",
                }
                for number, trade in found[: min(limit, MOST_TRADES)]
            ],
            "best_bid": price(bids[0][0]) if bids else "",
            "best_ask": price(asks[0][0]) if asks else "",
        }
    )


def product_document(backend: Backend, product: Product, public: bool) -> dict[str, Any]:
    """The product object, field for field as recorded in 2026; only the public list carries the day's extremes."""
    tape = backend.tape(product.id)
    listing, scale, day = tape.listing, tape.listing.scale, tape.day()
    last = scale.price(tape.last.ticks).value
    opened = scale.price(day.open).value
    value = EXACT.multiply(EXACT.multiply(Decimal(day.value), scale.tick), scale.lot)
    aliases = [] if product.alias else [str(alias) for alias in listing.aliases]
    document = {
        "product_id": product.id,
        "price": decimal_text(last),
        "price_percentage_change_24h": _change(opened, last),
        "volume_24h": tape.numbers.size(day.volume),
        "volume_percentage_change_24h": _change(Decimal(day.before), Decimal(day.volume)),
        "base_increment": decimal_text(product.size_step),
        "quote_increment": decimal_text(product.quote_step),
        "quote_min_size": decimal_text(product.quote_min),
        "quote_max_size": decimal_text(product.quote_max),
        "base_min_size": decimal_text(product.base_min),
        "base_max_size": decimal_text(product.base_max),
        "base_name": listing.base_name,
        "quote_name": QUOTE_NAMES.get(product.quote, product.quote),
        "watched": False,
        **_flags(product),
        "product_type": "SPOT",
        "quote_currency_id": product.quote,
        "base_currency_id": product.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": product.alias or "",
        "alias_to": aliases,
        "base_display_symbol": product.base,
        "quote_display_symbol": "USD" if product.quote == "USDC" else product.quote,
        "view_only": False,
        "price_increment": decimal_text(product.price_step),
        "display_name": product.id,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": f"{value:.2f}",
        "new_at": _PLACEHOLDER_LISTED if product.listed_at is None else rfc3339(product.listed_at),
        "market_cap": "",
        "base_cbrn": "",
        "quote_cbrn": "",
        "product_cbrn": "",
        "icon_color": "",
        "icon_url": "",
        "display_name_overwrite": "",
        "is_alpha_testing": False,
        "about_description": "",
        "best_bid_price": "",
        "best_ask_price": "",
    }
    if public:
        document |= {"high_24h": tape.numbers.price(day.high), "low_24h": tape.numbers.price(day.low)}
    return document


_MODES: Final[Mapping[TradingMode, str]] = {
    TradingMode.LIMIT_ONLY: "limit_only",
    TradingMode.AUCTION: "auction_mode",
    TradingMode.POST_ONLY: "post_only",
    TradingMode.CANCEL_ONLY: "cancel_only",
}


def _flags(product: Product) -> dict[str, Any]:
    """The state of a product. CLOSED shows by its reason: a status (`delisted`, `offline`) or a flag."""
    on = _MODES.get(product.mode, "")
    closed = product.mode is TradingMode.CLOSED
    status = product.mode_reason if closed and product.mode_reason in {"offline", "internal", "delisted"} else "online"
    disabled = closed and product.mode_reason == "is_disabled"
    return {
        "is_disabled": disabled,
        "new": False,
        "status": status,
        "cancel_only": on == "cancel_only",
        "limit_only": on == "limit_only",
        "post_only": on == "post_only",
        "trading_disabled": closed and not disabled,
        "auction_mode": on == "auction_mode",
    }


def _by_volume(backend: Backend) -> list[Product]:
    def traded(product: Product) -> Decimal:
        tape = backend.tape(product.id)
        scale = tape.listing.scale
        return EXACT.multiply(Decimal(tape.day().value), EXACT.multiply(scale.tick, scale.lot))

    return sorted(backend.world.products(), key=lambda product: (-traded(product), product.id))


def _paged(rows: list[Product], query: Query) -> tuple[list[Product], dict[str, Any] | None]:
    limit, cursor = query.number("limit", 0), query.one("cursor")
    offset = query.number("offset", 0)
    if cursor:
        names = [str(product.id) for product in rows]
        offset = _after(names, cursor)
    chosen = rows[offset : offset + limit] if limit else rows[offset:]
    if not limit:
        return chosen, None
    more = offset + limit < len(rows)
    return chosen, {
        "prev_cursor": "",
        "next_cursor": base64.b64encode(chosen[-1].id.encode()).decode() if more else "",
        "has_next": more,
        "has_prev": offset > 0,
    }


def _after(names: list[str], cursor: str) -> int:
    """The position behind the product a cursor names. Raises Refusal for a cursor that names none."""
    try:
        return names.index(base64.b64decode(cursor, validate=True).decode()) + 1
    except (binascii.Error, ValueError):
        raise invalid("cursor is invalid") from None


def _levels(side: Side, tape: Tape, limit: int, step: Decimal | None, down: bool) -> list[dict[str, str]]:
    """The first `limit` levels; with a `step`, levels summed up by price, away from the middle."""
    numbers, scale = tape.numbers, tape.listing.scale
    if step is None:
        return [{"price": numbers.price(ticks), "size": numbers.size(lots)} for ticks, lots in side[:limit]]
    sums: dict[Decimal, int] = {}
    rounded = floor_to if down else ceil_to
    for ticks, lots in side:
        price = rounded(scale.price(ticks).value, step)
        sums[price] = sums.get(price, 0) + lots
    return [{"price": decimal_text(p), "size": numbers.size(lots)} for p, lots in list(sums.items())[:limit]]


def _middle(book: Mapping[str, Any]) -> dict[str, str]:
    """Middle and spread, empty when a side is. `last` repeats the middle, as recorded."""
    if not book["bids"] or not book["asks"]:
        return {"last": "", "mid_market": "", "spread_bps": "", "spread_absolute": ""}
    bid, ask = Decimal(book["bids"][0]["price"]), Decimal(book["asks"][0]["price"])
    gap, mid = EXACT.subtract(ask, bid), EXACT.divide(EXACT.add(bid, ask), Decimal(2))
    bps = EXACT.divide(EXACT.multiply(gap, Decimal(10_000)), mid).quantize(Decimal("1e-12"))
    return {
        "last": decimal_text(mid),
        "mid_market": decimal_text(mid),
        "spread_bps": decimal_text(bps),
        "spread_absolute": decimal_text(gap),
    }


def _change(before: Decimal, after: Decimal) -> str:
    """Percent from `before` to `after` with the venue's long tail; `0` without a past."""
    if before == 0:
        return "0"
    ratio = EXACT.divide(EXACT.multiply(EXACT.subtract(after, before), HUNDRED), before)
    return decimal_text(ratio.quantize(Decimal("1e-14")))


def _decimal(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        step = Decimal(text)
    except ArithmeticError:
        raise invalid("aggregation_price_increment is invalid") from None
    if not step.is_finite() or step <= 0:
        raise invalid("aggregation_price_increment is invalid")
    return step
