"""A changed copy is what `replace` makes, and remembers nothing that a change made wrong."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import pytest

from bot.domain.evolving import Evolving
from bot.domain.order import OrderState
from bot.domain.state import State
from bot.domain.value import field_names, replace
from tests.builders import d, order, position, size


class Basket(Evolving):
    apples: int
    pears: int

    leads_to: ClassVar[dict[str, tuple[str, ...]]] = {"apples": ("crates", "fruit"), "pears": ("fruit",)}

    @cached_property
    def crates(self) -> list[int]:
        return [self.apples]

    @cached_property
    def fruit(self) -> int:
        return self.apples + self.pears


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (State(), {"loss_streak": 2, "orders": {"a": order()}}),
        (position(), {"realised": d(5)}),
        (position(), {}),
    ],
)
def test_a_changed_copy_is_what_replacing_the_fields_gives(value, changes):
    copy = value.changed(**changes)
    assert copy == replace(value, **changes)
    assert repr(copy) == repr(replace(value, **changes))
    assert type(copy) is type(value)


def test_what_remains_of_an_order_is_counted_again_after_a_fill():
    fresh = order(amount=3)
    assert fresh.remaining == size(3)
    assert replace(fresh, filled=size(1)).remaining == size(2)
    assert replace(fresh, state=OrderState.CANCELED).remaining == size(0)


def test_a_position_that_grew_is_not_as_large_as_before():
    held = position(amount=1)
    assert (held.size, hash(held)) == (size(1), hash(position(amount=1)))
    assert held.changed(lots=(*held.lots, *held.lots)).size == size(2)


def test_only_what_no_changed_field_leads_to_is_kept():
    basket = Basket(3, 4)
    assert (basket.crates, basket.fruit) == ([3], 7)
    assert basket.changed(pears=1).crates is basket.crates
    assert basket.changed(pears=1).fruit == 4
    assert basket.changed(apples=1).crates == [1]


def test_the_state_says_of_everything_worked_out_of_it_what_makes_it_wrong():
    """What it did not name would be kept for ever, and orders that are long over would count as working."""
    worked_out = {name for name, part in vars(State).items() if isinstance(part, cached_property)}
    assert {name for names in State.leads_to.values() for name in names} == worked_out
    assert set(State.leads_to) <= set(field_names(State))


def test_a_misspelt_field_is_refused():
    with pytest.raises(TypeError, match="`Basket` has no field 'pearls'"):
        Basket(1, 2).changed(pearls=3)
