"""What the venue listed, and when: dated `products.json` of the data folder, or listings made from the candles.

`products.json` holds what Coinbase answers to GET /products, `{"products": [...]}`, in force for the whole run; or a
list of such answers, each with `"from": "2024-01-01"` (UTC), in force from that day on.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from bot.adapters.coinbase.wire.product import products as parsed
from bot.adapters.coinbase.wire.read import Fields
from bot.domain.product import Product, ProductId, TradingMode
from bot.domain.value import Value
from bot.errors import ConfigError, CriticalDataUnavailable

FILE: Final = "products.json"
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = Decimal(10) ** 12
_CENT: Final = Decimal("0.01")
_DOLLAR: Final = Decimal(1)


class Listings(Value, dict=True):
    """Products by the time from which they were as they are; times ascend."""

    times: tuple[datetime, ...]
    products: tuple[Mapping[ProductId, Product], ...]

    @cached_property
    def markets(self) -> Mapping[ProductId, ProductId]:
        """The market behind every product that was ever listed."""
        return {product.id: product.market for listed in self.products for product in listed.values()}

    def market(self, product: ProductId) -> ProductId:
        """The market behind a product; of one that no listing names, itself."""
        return self.markets.get(product, product)

    def names(self, market: ProductId) -> frozenset[ProductId]:
        """What a market was ever listed as, and the market itself."""
        return frozenset((market, *(product for product, behind in self.markets.items() if behind == market)))

    def at(self, now: datetime) -> Mapping[ProductId, Product]:
        """The products as they were at `now`; before the first answer, the first one."""
        return self.products[max(0, bisect_right(self.times, now) - 1)]

    def steps(self, product: ProductId) -> tuple[Decimal, ...]:
        """Every price increment the product ever had here."""
        return tuple(listed[product].price_step for listed in self.products if product in listed)

    def size_steps(self, product: ProductId) -> tuple[Decimal, ...]:
        return tuple(listed[product].size_step for listed in self.products if product in listed)

    def with_others(self, others: Iterable[Product]) -> Listings:
        """Together with products that no answer names."""
        known = {product for listed in self.products for product in listed}
        new = {product.id: product for product in others if product.id not in known}
        if not self.products:
            return Listings((_EVER,), (new,))
        return Listings(self.times, tuple({**listed, **new} for listed in self.products))


def read(folder: Path) -> Listings:
    """The listings of a data folder; none when it has no products.json. Raises ConfigError."""
    path = folder / FILE
    if not path.exists():
        return Listings((), ())
    try:
        document = json.loads(path.read_bytes(), parse_float=str, parse_constant=str)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigError([f"{path}: is no JSON: {error}"]) from error
    answers = document if isinstance(document, list) else [document]
    found = [_answer(path, answer, number) for number, answer in enumerate(answers, start=1)]
    if not found:
        raise ConfigError([f"{path}: holds no answer"])
    times = tuple(at for at, _ in found)
    if list(times) != sorted(set(times)):
        raise ConfigError([f"{path}: the answers must be in the order of their `from`, each day once"])
    return Listings(times, tuple(listed for _, listed in found))


def made_from(product: ProductId, price_step: Decimal, size_step: Decimal, at: datetime) -> Product:
    """A listing of a product that no products.json describes: the finest increments seen in its candles."""
    return Product(
        id=product, base=product.base, quote=product.quote, price_step=price_step, size_step=size_step,
        quote_step=_CENT, base_min=size_step, base_max=_LARGEST, quote_min=_DOLLAR, quote_max=_LARGEST,
        mode=TradingMode.NORMAL, mode_reason="", as_of=at,
    )  # fmt: skip


def _answer(path: Path, answer: Any, number: int) -> tuple[datetime, Mapping[ProductId, Product]]:
    try:
        fields = Fields(answer, f"{path.name} answer {number}")
        since = _day(fields.text("from")) if fields.has("from") else _EVER
        readable, unreadable = parsed(fields, since)
    except (CriticalDataUnavailable, ValueError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    if unreadable:
        raise ConfigError([f"{path}: {line}" for line in unreadable])
    return since, {product.id: product for product in readable}


def _day(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`from` must be a day such as 2024-01-01, was {text[:40]!r}") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
