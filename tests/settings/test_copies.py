"""A changed copy of a section answers from its own fields, whatever the original was asked before."""

from __future__ import annotations

from copy import copy, deepcopy

import pytest

from bot.domain.product import ProductId
from bot.settings.universe import Tier, Universe

BTC, ETH = ProductId("BTC-USD"), ProductId("ETH-USD")


@pytest.mark.parametrize("deep", [False, True])
def test_a_universe_with_other_tiers_has_forgotten_where_products_were_listed(deep: bool) -> None:
    """A coin taken out of its tier kept it, and would have been entered."""
    before = Universe(tiers={1: Tier(products=(BTC, ETH))})
    assert (before.tier_of(BTC), before.tier_of(ETH)) == (1, 1)
    after = before.model_copy(update={"tiers": {2: Tier(products=(ETH,))}}, deep=deep)
    assert (after.tier_of(BTC), after.tier_of(ETH)) == (None, 2)
    assert before.tier_of(BTC) == 1, "the original still knows"


@pytest.mark.parametrize("again", [copy, deepcopy, Universe.model_copy])
def test_a_copy_without_changes_is_the_same_universe(again) -> None:
    before = Universe(tiers={1: Tier(products=(BTC,))})
    assert before.tier_of(BTC) == 1
    assert again(before) == before
    assert again(before).tier_of(BTC) == 1
