"""The market of the other venue: products, books and candles that follow from the time alone, in its own spelling."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from bot.domain.value import Value

TICK, STEP = Decimal("0.01"), Decimal("0.00001")
BASES = {"BTC": 64000.0, "ETH": 3100.0}

Query = dict[str, list[str]]


class Oddities(Value):
    """What this venue does that another may not; every one is allowed by what is known of Coinbase."""

    feed: str = "absent"  # absent: refuses; mute: accepts and says nothing; ticker: no level2, a counter a product
    host: str = "127.0.0.1"
    tls: bool = True
    chunked: bool = False
    close_each: bool = False
    delay_s: float = 0.0
    refusals: tuple[int, ...] = ()  # statuses of the first private answers
    history_h: float = 72
    oldest_first: bool = False
    quiet_rows: bool = False
    end_inclusive: bool = False
    numbers: bool = False  # JSON numbers where text is usual, and the reverse
    spare: bool = False  # optional fields left out, null or empty
    order_id: str = "{}"
    zone: str = "Z"
    digits: int = 6
    alias: bool = False
    brackets: bool = True
    portfolio: str = "b2329b9b-def2-57b8-b52e-f2666695ef0c"
    levels: int = 25
    size: float = 4000.0  # quote currency a level
    fills_after_s: float | None = None


class Spelling:
    """How this venue writes numbers and times."""

    def __init__(self, odd: Oddities) -> None:
        self.odd = odd

    def text(self, value: Decimal | float) -> Any:
        return float(value) if self.odd.numbers else format(value, "f")

    def stamp(self, at: float) -> str:
        moment = datetime.fromtimestamp(at, UTC)
        fraction = f".{moment.microsecond:06d}000"[: self.odd.digits + 1] if self.odd.digits else ""
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{self.odd.zone}"


class Market:
    """Prices rise by themselves; nothing that is ordered here moves them."""

    def __init__(self, odd: Oddities) -> None:
        self.odd = odd
        self.spelling = Spelling(odd)
        self.began = time.time()
        self.text, self.stamp = self.spelling.text, self.spelling.stamp

    def time(self, _: Query) -> dict[str, Any]:
        now = time.time()
        whole: dict[str, Any] = {"iso": self.stamp(now), "epochSeconds": str(int(now))}
        if not self.odd.spare:
            whole["epochMillis"] = str(int(now * 1000))
        return whole

    def products(self, _: Query) -> dict[str, Any]:
        rows = [self.product(f"{base}-USD") for base in BASES]
        if self.odd.alias:
            rows.insert(0, self.product("BTC-USDC") | {"alias": "BTC-USD"})
        return {"products": rows, "num_products": len(rows)}

    def product(self, name: str) -> dict[str, Any]:
        base, quote = name.split("-")
        price = self.price(base, time.time())
        row: dict[str, Any] = {
            "product_id": name, "price": self.text(price), "base_currency_id": base, "quote_currency_id": quote,
            "base_increment": self.text(STEP), "quote_increment": self.text(TICK), "price_increment": self.text(TICK),
            "base_min_size": self.text(STEP), "base_max_size": "10000", "quote_min_size": "1",
            "quote_max_size": "1000000", "status": "online", "product_type": "SPOT", "volume_24h": "40000",
            "fcm_trading_session_details": None, "a_field_of_tomorrow": {"x": 1},
        }  # fmt: skip
        row |= dict.fromkeys(("is_disabled", "cancel_only", "limit_only", "post_only", "trading_disabled"), False)
        row |= dict.fromkeys(("auction_mode", "view_only", "new"), False)
        if not self.odd.spare:
            row |= {"approximate_quote_24h_volume": "758506771.41", "alias": "", "new_at": "2023-01-01T00:00:00Z",
                    "mid_market_price": "", "alias_to": []}  # fmt: skip
        return row

    def candles(self, name: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        start, end = int(query["start"][0]), int(query["end"][0])
        step = {"ONE_MINUTE": 60, "FIVE_MINUTE": 300, "ONE_HOUR": 3600}[query["granularity"][0]]
        if (end - start) / step > 350:
            return 400, {"error": "INVALID_ARGUMENT", "error_details": "start and end argument is invalid"}
        first = max(start, int(self.began - self.odd.history_h * 3600))
        last = min(end + (1 if self.odd.end_inclusive else 0), int(time.time()))
        opens = range(-(-first // step) * step, last, step)
        base = name.partition("-")[0]
        rows = [row for opened in opens for row in self.candle(base, opened, step)]
        return 200, {"candles": rows if self.odd.oldest_first else rows[::-1]}

    def candle(self, base: str, opened: int, step: int) -> Iterator[dict[str, Any]]:
        quiet = opened // step % 7 == 3
        if quiet and not self.odd.quiet_rows:
            return
        first, last = self.price(base, opened), self.price(base, opened if quiet else opened + step - 1)
        volume = Decimal(0) if quiet else Decimal("12.5")
        prices = {"open": first, "close": last, "high": max(first, last), "low": min(first, last), "volume": volume}
        started = opened if self.odd.numbers else str(opened)
        yield {"start": started, **{name: self.text(value) for name, value in prices.items()}}

    def book(self, query: Query) -> dict[str, Any]:
        name, limit = query["product_id"][0], int(query.get("limit", ["50"])[0])
        mid = self.price(name.partition("-")[0], time.time())
        bids, asks = ([self.level(mid, sign, rank) for rank in range(self.odd.levels)][:limit] for sign in (-1, 1))
        inside = {"product_id": name, "bids": bids, "asks": asks, "time": self.stamp(time.time())}
        if self.odd.spare:
            return {"pricebook": inside}
        return {"pricebook": inside, "last": str(mid), "mid_market": str(mid), "spread_bps": "1", "spread_absolute": ""}

    def level(self, mid: Decimal, sign: int, rank: int) -> dict[str, Any]:
        gap = max(TICK, (mid / 20000).quantize(TICK, ROUND_FLOOR))
        price = mid + sign * gap * (1 + rank)
        size = (Decimal(self.odd.size) / price).quantize(STEP, ROUND_FLOOR)
        return {"price": self.text(price), "size": self.text(size)}

    def price(self, base: str, at: float) -> Decimal:
        """Rising about half a percent a quarter of an hour, with a little swing; a function of time alone."""
        hours = (at - self.began) / 3600
        value = BASES[base] * (1 + 0.02 * max(hours, -0.5) + 0.0004 * math.sin(at / 40))
        return Decimal(value).quantize(TICK, ROUND_FLOOR)
