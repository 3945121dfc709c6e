"""Net liquidation value: every part with its source, unknown rather than defaulted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot.domain.money import Money, Price
from bot.domain.product import Product, ProductId, TradingMode
from bot.domain.snapshot import Balance
from bot.observe.valuation import Mark, pricing, value
from bot.settings.policy import PortfolioPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = timedelta(minutes=5)
BTC = ProductId("BTC-USD")


def product(name: str, alias: str | None = None) -> Product:
    step = Decimal("0.01")
    pid = ProductId(name)
    return Product(
        pid, pid.base, pid.quote, step, Decimal("0.00000001"), step, Decimal(0), Decimal(1000), Decimal(1),
        Decimal(1_000_000), TradingMode.NORMAL, "", NOW, ProductId(alias) if alias else None,
    )  # fmt: skip


MARKETS = pricing((product("BTC-USDC"), product("BTC-USD"), product("ETH-USDC", alias="ETH-USD")), PortfolioPolicy())


def valued(marks: dict[ProductId, Mark], **amounts: str):
    balances = {name: Balance(name, Decimal(amount), Decimal(0)) for name, amount in amounts.items()}
    return value(balances, marks, MARKETS, PortfolioPolicy(), NOW, LIMIT)


def mark(price: str, age_s: int = 0) -> Mark:
    return Mark(Price(Decimal(price)), NOW - timedelta(seconds=age_s))


def test_cash_stable_coins_and_coins_add_up():
    found = valued({BTC: mark("50000")}, USD="100", USDC="50", BTC="0.01")
    assert found.nlv == Money(Decimal(650), "USD")
    assert {part.currency: part.source for part in found.parts} == {"USD": "cash", "USDC": "stable", "BTC": "quote"}


def test_a_coin_without_a_price_makes_the_value_unknown_not_smaller():
    found = valued({}, USD="100", BTC="0.01")
    assert found.nlv is None
    assert "BTC" in found.problem


def test_an_old_price_serves_for_a_while_and_then_no_longer():
    assert valued({BTC: mark("50000", 299)}, BTC="1").nlv == Money(Decimal(50_000), "USD")
    assert valued({BTC: mark("50000", 300)}, BTC="1").nlv is None


def test_a_coin_no_product_prices_is_named_and_left_out():
    found = valued({}, USD="100", XYZ="7")
    assert found.nlv == Money(Decimal(100), "USD")
    assert [part.currency for part in found.parts if part.source == "unpriced"] == ["XYZ"]


def test_empty_wallets_do_not_need_a_price():
    assert valued({}, USD="1", BTC="0").nlv == Money(Decimal(1), "USD")


def test_a_coin_is_priced_in_the_currency_of_the_portfolio_before_a_stable_one_and_an_alias_by_its_one_book():
    assert (MARKETS["BTC"], MARKETS["ETH"], len(MARKETS)) == (BTC, ProductId("ETH-USD"), 2)
