"""Events of the market channels as JSON text: rendered once, shared by every subscriber."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from bot.domain.money import EXACT, HUNDRED, decimal_text
from bot.domain.product import Product
from simulator.markets.ladder import Side
from simulator.markets.path import Trade
from simulator.markets.rows import Candle
from simulator.markets.tape import Tape
from simulator.text import dumps, moment, rfc3339

_NO_TIME: Final = "1970-01-01T00:00:00Z"
"""`event_time` of every level in a snapshot."""


class Renderer:
    """Renders one tape's events. `product` is always the market's own id: an alias has no stream of its own."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._product = str(tape.listing.id)
        self._numbers = tape.numbers
        self._year: tuple[int, str, str] | None = None

    def trades(self, kind: str, rows: Iterable[tuple[int, Trade]]) -> str:
        """Newest first; `side` is the maker's."""
        shown = ",".join(
            f'{{"product_id":"{self._product}","trade_id":"{number}","price":"{self._numbers.price(trade.ticks)}",'
            f'"size":"{self._numbers.size(trade.lots)}","time":"{rfc3339(moment(trade.at_us))}",'
            f'"side":"{"SELL" if trade.taker_buys else "BUY"}"}}'
            for number, trade in rows
        )
        return f'{{"type":"{kind}","trades":[{shown}]}}'

    def ticker(self, kind: str, batch: bool, bids: Side, asks: Side) -> str:
        """`ticker_batch` carries no best bid and ask."""
        tape, numbers = self._tape, self._numbers
        day = tape.day()
        forming = tape.forming
        fresh = forming is not None and forming.start == tape.minute_s
        last = tape.last.ticks
        high = max(day.high, forming.high) if fresh and forming is not None else day.high
        low = min(day.low, forming.low) if fresh and forming is not None else day.low
        volume = day.volume + (forming.volume if fresh and forming is not None else 0)
        low_52, high_52 = self._extremes(low, high)
        text = (
            f'{{"type":"{kind}","tickers":[{{"type":"ticker","product_id":"{self._product}",'
            f'"price":"{numbers.price(last)}","volume_24_h":"{numbers.size(volume)}",'
            f'"low_24_h":"{numbers.price(low)}","high_24_h":"{numbers.price(high)}",'
            f'"low_52_w":"{low_52}","high_52_w":"{high_52}",'
            f'"price_percent_chg_24_h":"{_percent(day.open, last)}"'
        )
        return f"{text}}}]}}" if batch else f"{text}{self._touch(bids, asks)}}}]}}"

    def book_snapshot(self, bids: Side, asks: Side) -> str:
        """The full book. Its levels carry no time of their own."""
        levels = [(side, ticks, lots) for side, rows in (("bid", bids), ("offer", asks)) for ticks, lots in rows]
        return self._updates("snapshot", levels, _NO_TIME)

    def book_update(self, before: tuple[Side, Side], after: tuple[Side, Side], at_us: int) -> str:
        """Levels that changed; a quantity of 0 takes one away. Empty when nothing changed."""
        changes = [*_changes("bid", before[0], after[0]), *_changes("offer", before[1], after[1])]
        return self._updates("update", changes, rfc3339(moment(at_us))) if changes else ""

    def candles(self, kind: str, rows: Iterable[Candle]) -> str:
        """Five-minute buckets."""
        n = self._numbers
        shown = ",".join(
            f'{{"start":"{row.start}","high":"{n.price(row.high)}","low":"{n.price(row.low)}",'
            f'"open":"{n.price(row.open)}","close":"{n.price(row.close)}","volume":"{n.size(row.volume)}",'
            f'"product_id":"{self._product}"}}'
            for row in rows
        )
        return f'{{"type":"{kind}","candles":[{shown}]}}'

    def _touch(self, bids: Side, asks: Side) -> str:
        bid, bid_size = (self._numbers.price(bids[0][0]), self._numbers.size(bids[0][1])) if bids else ("0", "0")
        ask, ask_size = (self._numbers.price(asks[0][0]), self._numbers.size(asks[0][1])) if asks else ("0", "0")
        return (
            f',"best_bid":"{bid}","best_ask":"{ask}","best_bid_quantity":"{bid_size}","best_ask_quantity":"{ask_size}"'
        )

    def _updates(self, kind: str, levels: Sequence[tuple[str, int, int]], at: str) -> str:
        price, size = self._numbers.price, self._numbers.size
        shown = ",".join(
            [
                f'{{"side":"{side}","event_time":"{at}","price_level":"{price(ticks)}",'
                f'"new_quantity":"{size(lots) if lots else "0"}"}}'
                for side, ticks, lots in levels
            ]
        )
        return f'{{"type":"{kind}","product_id":"{self._product}","updates":[{shown}]}}'

    def _extremes(self, low: int, high: int) -> tuple[str, str]:
        """A stand-in for the year: the day's own extremes, half and double."""
        key = low * 1_000_003 + high
        if self._year is None or self._year[0] != key:
            self._year = (key, self._numbers.price(max(1, low // 2)), self._numbers.price(high * 2))
        return self._year[1], self._year[2]


def status_event(products: Sequence[Product]) -> str:
    """The `status` channel's snapshot."""
    rows = [
        {
            "product_type": "SPOT",
            "id": product.id,
            "base_currency": product.base,
            "quote_currency": product.quote,
            "base_increment": decimal_text(product.size_step),
            "quote_increment": decimal_text(product.price_step),
            "display_name": f"{product.base}/{product.quote}",
            "status": product.mode_reason if product.mode_reason in {"offline", "delisted"} else "online",
            "status_message": "",
            "min_market_funds": decimal_text(product.quote_min),
        }
        for product in products
    ]
    return dumps({"type": "snapshot", "products": rows}).decode()


def _changes(side: str, before: Side, after: Side) -> list[tuple[str, int, int]]:
    if before == after:
        return []
    old, new = dict(before), dict(after)
    gone = [(side, ticks, 0) for ticks in old if ticks not in new]
    return gone + [(side, ticks, lots) for ticks, lots in after if old.get(ticks) != lots]


def _percent(before: int, after: int) -> str:
    """Change in percent with the venue's long tail."""
    if before in {0, after}:
        return "0"
    ratio = EXACT.divide(EXACT.multiply(Decimal(after - before), HUNDRED), Decimal(before))
    return decimal_text(ratio.quantize(Decimal("1e-14")))
