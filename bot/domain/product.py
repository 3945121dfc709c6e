"""Product: what may be traded, in which steps and minimums, and in which mode the venue has it now."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final, Self

from bot.domain.money import EXACT, Money, Price, Size, ceil_to, floor_to, is_multiple
from bot.domain.value import Value
from bot.errors import UnitError

_CANONICAL: Final = re.compile(r"[A-Z0-9]{1,12}-[A-Z0-9]{2,12}", re.ASCII)
_LOOSE: Final = re.compile(r"([A-Z0-9]{1,12})[-/_ ]([A-Z0-9]{2,12})", re.ASCII)
_JOINED_QUOTES: Final = ("USDC", "USDT", "USD", "EUR", "GBP", "BTC", "ETH")


class ProductId(str):
    """`BASE-QUOTE` in capitals, e.g. `BTC-USD`. `ProductId.parse` is the only maker of ids from text of people."""

    __slots__ = ("base", "quote")

    base: str
    quote: str

    def __new__(cls, text: str) -> Self:
        if _CANONICAL.fullmatch(text) is None:
            raise UnitError(f"product id must look like BTC-USD, was {text[:40]!r}")
        made = super().__new__(cls, text)
        made.base, made.quote = text.split("-")
        return made

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the spellings people use (`BTCUSD`, `btc/usd`, `BTC_USD`); garbage raises UnitError."""
        upper = text.strip().upper()
        if (loose := _LOOSE.fullmatch(upper)) is not None:
            return cls(f"{loose[1]}-{loose[2]}")
        for quote in _JOINED_QUOTES:
            if upper.endswith(quote) and len(upper) > len(quote):
                return cls(f"{upper[: -len(quote)]}-{quote}")
        raise UnitError(f"product id must look like BTC-USD, was {text[:40]!r}")


class Side(Enum):
    BUY = "BUY"
    SELL = "SELL"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot

    @property
    def opposite(self) -> Side:
        return SELL if self is BUY else BUY


BUY: Final = Side.BUY
SELL: Final = Side.SELL
"""To compare with and to name: fetched through its class, a member takes longer than what is done with it."""


class TradingMode(Enum):
    """What the venue's flags permit for new orders of a product, from most to least."""

    NORMAL = "normal"
    LIMIT_ONLY = "limit_only"
    AUCTION = "auction_mode"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    CLOSED = "closed"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


class Product(Value):
    """One tradable pair as the venue described it at `as_of`.

    price_step, size_step, quote_step: increments of prices, base sizes and quote amounts.
    base_min, base_max: bounds of an order's base size; quote_min, quote_max: bounds of price x size.
    alias: the id under which the venue keeps the one book of an alias pair (BTC-USDC -> BTC-USD), else None.
    mode: the strictest of the venue's flags; CLOSED when a flag is missing or the status is unknown.
    mode_reason: which flag or status gave `mode`, for people.
    listed_at: None when the venue gives no usable listing date.
    quote_volume_24h: in quote currency; None when the venue did not say.
    """

    id: ProductId
    base: str
    quote: str
    price_step: Decimal
    size_step: Decimal
    quote_step: Decimal
    base_min: Decimal
    base_max: Decimal
    quote_min: Decimal
    quote_max: Decimal
    mode: TradingMode
    mode_reason: str
    as_of: datetime
    alias: ProductId | None = None
    listed_at: datetime | None = None
    quote_volume_24h: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("price_step", "size_step", "quote_step", "base_max", "quote_max"):
            if getattr(self, name) <= 0:
                raise UnitError(f"{self.id}: {name} must be positive, was {getattr(self, name)}")
        for name in ("base_min", "quote_min"):
            if getattr(self, name) < 0:
                raise UnitError(f"{self.id}: {name} must be >= 0, was {getattr(self, name)}")

    @property
    def market(self) -> ProductId:
        """The id of the one order book: exposure, bars and quotes are keyed by it."""
        return self.alias or self.id

    def notional(self, price: Price, size: Size) -> Money:
        """Quote value of `size` at `price`: the only place where the units cross."""
        return Money(EXACT.multiply(price.value, size.value), self.quote)

    def passive(self, price: Price, side: Side) -> Price:
        """Nearest legal price that is no more aggressive: buys round down, sells round up."""
        step = floor_to if side is BUY else ceil_to
        return Price(step(price.value, self.price_step))

    def aggressive(self, price: Price, side: Side) -> Price:
        """Nearest legal price that is no less aggressive: buys round up, sells round down."""
        return self.passive(price, side.opposite)

    def floor_size(self, size: Size) -> Size:
        """Largest legal multiple of the size step within `size`."""
        return Size(floor_to(size.value, self.size_step))

    def fits(self, price: Price, size: Size) -> bool:
        """Whether whole steps of price and size lie within the venue's bounds."""
        return self.takes(price.value, size.value)

    def takes(self, price: Decimal, base: Decimal) -> bool:
        """`fits`, of plain numbers."""
        if not base or not self.base_min <= base <= self.base_max:
            return False
        return self.quote_min <= EXACT.multiply(price, base) <= self.quote_max

    def illegal(self, price: Price, size: Size) -> str | None:
        """Why this price and size would be refused, or None when they are legal."""
        if not is_multiple(price.value, self.price_step):
            return f"price {price} is not a multiple of {self.price_step}"
        if not is_multiple(size.value, self.size_step):
            return f"size {size} is not a multiple of {self.size_step}"
        if self.fits(price, size):
            return None
        if size.is_zero or not self.base_min <= size.value <= self.base_max:
            return f"size {size} is outside {self.base_min} to {self.base_max} {self.base}"
        value = self.notional(price, size).amount
        return f"notional {value} is outside {self.quote_min} to {self.quote_max} {self.quote}"

    def largest_within(self, budget: Money, price: Price) -> Size | None:
        """Largest legal size `budget` pays for, fees already set aside; None when below the minimums."""
        if not budget.is_positive:
            return None
        room = min(EXACT.divide(budget.amount, price.value), self.base_max)
        size = Size(floor_to(room, self.size_step))
        return size if not size.is_zero and self.illegal(self.passive(price, BUY), size) is None else None
