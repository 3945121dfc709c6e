"""Which markets are watched at all, chosen from the product list: tiers, themes, discovery, and what is held."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, partial

from bot.domain.product import Product, ProductId, TradingMode
from bot.domain.value import Value
from bot.settings.universe import Universe


class Places(Value):
    """Where universe.yaml lists products: id -> (tier, position in it), the best tier when listed twice."""

    by_id: Mapping[ProductId, tuple[int, int]]

    @classmethod
    def of(cls, universe: Universe) -> Places:
        return cls(universe.places)

    def find(self, names: Iterable[ProductId]) -> tuple[int, int] | None:
        """The best place of a market that goes by these names."""
        return min([self.by_id[name] for name in names if name in self.by_id], default=None)


@lru_cache(maxsize=4096)
def twin(product: ProductId) -> ProductId | None:
    """The other name of a book that USD and USDC share: BTC-USD and BTC-USDC. None for other quote currencies."""
    if product.endswith("-USD"):
        return ProductId(f"{product}C")
    return ProductId(product[:-1]) if product.endswith("-USDC") else None


def candidates(
    products: Sequence[Product], universe: Universe, held: Collection[ProductId] = ()
) -> tuple[Product, ...]:
    """The listings to watch, one for each market: members of tiers and themes, discovered products, and held ones.

    Of several listings of one book the first by `quote_currencies` is taken. Order: tier, then place in the file, then
    discovered ones by volume, then theme members of no tier, then held ones, each by id.
    held: market or product ids of open positions; they are watched whatever they have become.
    """
    books = _books(products, universe)
    places = Places.of(universe)
    themed = {name for members in universe.themes.values() for name in members}
    ranked: dict[ProductId, tuple[int, int, int]] = {}
    for market, names in books.items():
        ids = {product.id for product in names} | {market}
        place = places.find(ids)
        if place is not None:
            ranked[market] = (0, *place)
        elif not themed.isdisjoint(ids):
            ranked[market] = (2, 0, 0)
        elif not ids.isdisjoint(held):
            ranked[market] = (3, 0, 0)
    listed = {market for market, rank in ranked.items() if rank[0] == 0}
    loose = [names[0] for market, names in books.items() if market not in listed]
    ranked |= {product.market: (1, 0, rank) for rank, product in enumerate(discovered(loose, universe))}
    order = sorted(ranked, key=lambda market: (ranked[market], market))
    return tuple(books[market][0] for market in order)


def discovered(products: Iterable[Product], universe: Universe) -> tuple[Product, ...]:
    """The products of no tier that discovery takes: by 24 h quote volume, largest first, ties by id, so many at most.

    Only open ones in a configured quote currency, not never_trade, of a volume of at least discovery.min_volume_24h.
    """
    if not universe.discovery.enabled:
        return ()
    never = {product.base for product in universe.exclusions.never_trade}
    found = [
        (volume, product)
        for product in products
        if (volume := product.quote_volume_24h) is not None
        and volume >= universe.discovery.min_volume_24h
        and product.quote in universe.quote_currencies
        and product.mode is TradingMode.NORMAL
        and product.base not in never
    ]
    found.sort(key=_largest_first)
    return tuple(product for _, product in found[: universe.discovery.max_products])


def _largest_first(item: tuple[Decimal, Product]) -> tuple[Decimal, ProductId]:
    return (-item[0], item[1].id)


def _books(products: Sequence[Product], universe: Universe) -> dict[ProductId, list[Product]]:
    """Every market with its listings, the one to trade first."""
    books: dict[ProductId, list[Product]] = {}
    for product in products:
        books.setdefault(product.market, []).append(product)
    for names in books.values():
        names.sort(key=partial(_preference, universe.quote_currencies))
    return books


def _preference(currencies: Sequence[str], product: Product) -> tuple[int, bool, ProductId]:
    wanted = currencies.index(product.quote) if product.quote in currencies else len(currencies)
    return (wanted, product.alias is not None, product.id)
