"""What the endpoints work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.product import Product
from simulator.faults import Conditions
from simulator.keys import ApiKey
from simulator.markets.tape import Tape
from simulator.rest.call import invalid
from simulator.wire import Holder
from simulator.world import World


@dataclass(slots=True)
class Backend:
    """The world and its switches, as every endpoint gets them. flush: send what the feeds have to say now."""

    world: World
    conditions: Conditions
    flush: Callable[[], None]

    @property
    def now(self) -> datetime:
        return self.world.now

    @property
    def shown_now(self) -> datetime:
        """The venue's clock as it shows it: trading time plus the skew."""
        return self.world.now + timedelta(seconds=self.conditions.skew_s)

    @property
    def holder(self) -> Holder:
        return self.world.holder

    def sees(self, key: ApiKey | None) -> bool:
        """Whether the key's portfolio is the one that holds the account."""
        return key is not None and key.portfolio == self.holder.portfolio

    def product(self, name: str) -> Product:
        """Raises Refusal for a product the venue does not list."""
        found = self.world.product(name)
        if found is None:
            raise invalid("ProductID is invalid")
        return found

    def tape(self, name: str) -> Tape:
        """The book behind a product id. Raises Refusal for an unknown one."""
        found = self.world.tape(name)
        if found is None:
            raise invalid("ProductID is invalid")
        return found
