"""What forbids a start: powers of the key, request budgets, and an account too small for a legal order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from bot.adapters.coinbase.gates import plan_reasons, size_reasons
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Balance
from bot.domain.value import replace
from bot.errors import Transient
from bot.ports import KeyPermissions
from bot.settings.config import Config
from bot.settings.load import load_config
from tests.builders import product
from tests.configs import SHIPPED, write_config

GOOD = KeyPermissions(can_view=True, can_trade=True, can_transfer=False, portfolio_uuid="p-1")


@dataclass
class Account:
    """A venue with a few wallets; `broken` answers nothing."""

    wallets: Sequence[Balance] = ()
    broken: bool = False

    def balances(self) -> Sequence[Balance]:
        if self.broken:
            raise Transient("no answer")
        return self.wallets

    def products(self) -> Sequence[Product]:
        names = (name for tier in config().universe.tiers.values() for name in tier.products)
        return [replace(product(name), id=ProductId(name)) for name in names]


def config() -> Config:
    return load_config(SHIPPED)


def cash(amount: str, currency: str = "USD") -> Balance:
    return Balance(currency, Decimal(amount), Decimal(0))


@pytest.mark.parametrize(
    ("change", "word"),
    [({"can_view": False}, "view"), ({"can_trade": False}, "trade"), ({"can_transfer": True}, "transfer money out")],
)
def test_a_key_with_the_wrong_powers_is_refused(change, word):
    (reason,) = replace(GOOD, **change).problems(None)
    assert word in reason


def test_a_key_of_another_portfolio_is_refused_when_one_is_expected():
    assert list(GOOD.problems("p-1")) == []
    assert list(GOOD.problems(None)) == []
    assert "p-2" in next(GOOD.problems("p-2"))


def test_the_shipped_universe_fits_the_shipped_budgets_and_a_tiny_budget_does_not():
    shipped = config()
    assert plan_reasons(shipped) == ()
    limits = shipped.policy.rate_limits.model_copy(update={"public_per_second": Decimal("0.1")})
    tight = Config(shipped.policy.model_copy(update={"rate_limits": limits}), shipped.universe)
    assert "public requests" in plan_reasons(tight)[0]


def test_an_account_too_small_for_any_legal_order_is_refused_with_the_numbers():
    found = size_reasons(Account([cash("20")]), config(), has_account=True)  # type: ignore[arg-type]
    assert found
    assert "tier 1" in found[0]


@pytest.mark.parametrize(
    "account",
    [Account([cash("10000")]), Account([cash("100"), cash("9900", "USDC")]), Account([cash("20"), cash("1", "BTC")]),
     Account(broken=True)],
    ids=["enough", "enough in stable coins", "coins have no price yet", "unreachable"],
)  # fmt: skip
def test_nothing_is_refused_that_is_enough_or_cannot_be_judged(account):
    assert size_reasons(account, config(), has_account=True) == []


def test_a_tier_the_venue_does_not_list_is_no_reason_to_stay_away():
    class Small(Account):
        def products(self) -> Sequence[Product]:
            return super().products()[:2]

    account = Small([cash("10000")])
    assert size_reasons(account, config(), has_account=True) == []  # type: ignore[arg-type]


def test_the_paper_account_is_judged_by_its_opening(tmp_path: Path):
    assert size_reasons(Account(), config(), has_account=False) == []  # type: ignore[arg-type]
    poor = write_config(tmp_path, {"paper": {"starting_cash": {"USD": 15}}})
    assert size_reasons(Account(), load_config(poor), has_account=False)  # type: ignore[arg-type]
