"""What the simulated venue lists: products with Coinbase's increments, and how liquid each is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from bot.domain.bars import Scale
from bot.domain.money import floor_to
from bot.domain.product import Product, ProductId, TradingMode
from bot.domain.value import Value, replace

QUOTE_NAMES: Final = {"USD": "US Dollar", "USDC": "USDC", "EUR": "Euro"}


class Character(Value):
    """How a generated market behaves; all figures are for one minute.

    volatility_bp: usual standard deviation of the return. loading: share of the variance that is the market's.
    value: median traded value in quote currency. burstiness: standard deviation of the logarithm of volume.
    quiet: share of minutes without a trade. spread_bp: usual spread.
    """

    volatility_bp: float = 12.0
    loading: float = 0.33
    value: float = 10_000.0
    burstiness: float = 1.45
    quiet: float = 0.005
    spread_bp: float = 3.0


class Listing(Value):
    """One order book of the venue and the ids it trades under.

    product: increments, bounds and mode. aliases: further ids of the same book (BTC-USDC of BTC-USD).
    opening: price at which a generated history begins.
    """

    product: Product
    base_name: str
    opening: Decimal
    character: Character = Character()
    aliases: tuple[ProductId, ...] = ()

    @property
    def id(self) -> ProductId:
        return self.product.id

    @property
    def scale(self) -> Scale:
        return Scale(self.product.price_step, self.product.size_step)

    def alias_products(self) -> tuple[Product, ...]:
        """The further products on this book, each paid from its own wallet."""
        return tuple(replace(self.product, id=alias, quote=alias.quote, alias=self.id) for alias in self.aliases)


_LISTED_AT: Final = datetime(2023, 1, 1, tzinfo=UTC)

# id, name, opening price, base step, price step, then the character.
_TABLE: Final = (
    ("BTC-USD", "Bitcoin", "65000", "0.00000001", "0.01", 5.5, 0.95, 200_000, 1.05, 0.0, 0.3),
    ("ETH-USD", "Ethereum", "1920", "0.00000001", "0.01", 6.8, 0.84, 95_000, 1.05, 0.0, 0.6),
    ("SOL-USD", "Solana", "77", "0.00000001", "0.01", 12.0, 0.34, 55_000, 1.2, 0.0, 2.0),
    ("XRP-USD", "XRP", "1.04", "0.000001", "0.0001", 8.0, 0.40, 13_000, 1.25, 0.001, 2.0),
    ("DOGE-USD", "Dogecoin", "0.0704", "0.1", "0.00001", 11.0, 0.36, 11_000, 1.5, 0.004, 3.0),
    ("ADA-USD", "Cardano", "0.1978", "0.00000001", "0.00001", 12.5, 0.33, 8_700, 1.5, 0.003, 3.0),
    ("LINK-USD", "Chainlink", "8.326", "0.01", "0.001", 11.0, 0.40, 14_000, 1.25, 0.002, 3.0),
    ("AVAX-USD", "Avalanche", "6.552", "0.00000001", "0.001", 15.0, 0.30, 30_000, 1.4, 0.01, 3.0),
    ("LTC-USD", "Litecoin", "46.09", "0.00000001", "0.01", 7.5, 0.42, 2_700, 1.35, 0.001, 3.0),
    ("BCH-USD", "Bitcoin Cash", "215.65", "0.00000001", "0.01", 9.0, 0.36, 1_400, 1.75, 0.1, 6.0),
    ("DOT-USD", "Polkadot", "0.808", "0.00000001", "0.0001", 12.0, 0.36, 3_000, 1.6, 0.035, 6.0),
    ("XLM-USD", "Stellar Lumens", "0.1638", "0.00000001", "0.000001", 8.0, 0.33, 2_200, 1.5, 0.014, 5.0),
    ("UNI-USD", "Uniswap", "4.053", "0.000001", "0.0001", 12.5, 0.33, 4_000, 1.5, 0.02, 5.0),
    ("NEAR-USD", "NEAR Protocol", "1.627", "0.001", "0.0001", 14.0, 0.33, 5_000, 1.5, 0.02, 5.0),
    ("AAVE-USD", "Aave", "91.4", "0.001", "0.01", 12.0, 0.33, 4_000, 1.5, 0.03, 5.0),
    ("SUI-USD", "SUI", "0.6989", "0.1", "0.0001", 15.0, 0.33, 12_000, 1.4, 0.005, 4.0),
    ("ATOM-USD", "Cosmos", "1.39", "0.01", "0.001", 13.0, 0.30, 2_500, 1.7, 0.06, 8.0),
    ("FIL-USD", "Filecoin", "0.713", "0.001", "0.001", 14.0, 0.30, 1_800, 1.75, 0.1, 14.0),
    ("ETC-USD", "Ethereum Classic", "6.49", "0.00000001", "0.01", 12.0, 0.33, 1_500, 1.7, 0.08, 15.0),
    ("ALGO-USD", "Algorand", "0.08415", "0.1", "0.00001", 12.0, 0.33, 2_500, 1.6, 0.03, 5.0),
    ("HBAR-USD", "Hedera", "0.06933", "0.1", "0.00001", 12.0, 0.33, 4_000, 1.5, 0.02, 5.0),
    ("ICP-USD", "Internet Computer", "2.1949", "0.0001", "0.0001", 13.0, 0.33, 2_500, 1.6, 0.05, 6.0),
    ("INJ-USD", "Injective", "4.421", "0.01", "0.001", 14.0, 0.30, 2_000, 1.6, 0.06, 6.0),
    ("APT-USD", "Aptos", "0.5997", "0.001", "0.0001", 13.0, 0.33, 3_000, 1.6, 0.04, 6.0),
    ("SHIB-USD", "SHIBA INU", "0.00000468", "1", "0.00000001", 10.0, 0.33, 5_000, 1.5, 0.02, 22.0),
    ("VET-USD", "vechain", "0.00475", "1", "0.00001", 15.0, 0.20, 300, 1.75, 0.01, 22.0),
)  # fmt: skip

_BOUNDS: Final = {
    "BTC-USD": ("3400", "150000000"),
    "ETH-USD": ("42000", "150000000"),
    "SOL-USD": ("1274000", "25000000"),
}
_COMMON_QUOTE_MAX: Final = Decimal(10_000_000)
_USDC_BOOKS: Final = frozenset({"BTC-USD"})


def default_listings(count: int = len(_TABLE), as_of: datetime = _LISTED_AT) -> tuple[Listing, ...]:
    """The first `count` USD products of the built-in table, most liquid first, with BTC-USDC as an alias."""
    return tuple(_listing(row, as_of) for row in _TABLE[:count])


def plain_listing(
    product: ProductId, price_step: Decimal, size_step: Decimal, opening: Decimal, as_of: datetime = _LISTED_AT
) -> Listing:
    """A listing with these increments; name, bounds and character from the table where the product is in it."""
    row = {row[0]: row for row in _TABLE}.get(product)
    name, character = (row[1], _character(row)) if row is not None else (product.base, Character())
    bounds = _BOUNDS.get(product)
    base_max, quote_max = (
        (Decimal(bounds[0]), Decimal(bounds[1]))
        if bounds is not None
        else (floor_to(_COMMON_QUOTE_MAX / opening, size_step), _COMMON_QUOTE_MAX)
    )
    listed = Product(
        id=product, base=product.base, quote=product.quote, price_step=price_step, size_step=size_step,
        quote_step=price_step, base_min=size_step, base_max=base_max, quote_min=Decimal(1), quote_max=quote_max,
        mode=TradingMode.NORMAL, mode_reason="", as_of=as_of, listed_at=_LISTED_AT,
    )  # fmt: skip
    return Listing(listed, name, opening, character, _aliases(product))


def all_products(listings: Sequence[Listing]) -> tuple[Product, ...]:
    """Every product id the venue takes orders for, aliases included."""
    return tuple(product for listing in listings for product in (listing.product, *listing.alias_products()))


_Row = tuple[str, str, str, str, str, float, float, float, float, float, float]


def _listing(row: _Row, as_of: datetime) -> Listing:
    name, _, opening, base_step, price_step = row[:5]
    return plain_listing(ProductId(name), Decimal(price_step), Decimal(base_step), Decimal(opening), as_of)


def _character(row: _Row) -> Character:
    return Character(*row[5:])


def _aliases(product: ProductId) -> tuple[ProductId, ...]:
    return (ProductId(f"{product.base}-USDC"),) if product in _USDC_BOOKS else ()
