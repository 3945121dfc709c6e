"""universe.yaml as frozen models: tiers, themes, exclusions, discovery."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field

from bot.domain.money import Percent
from bot.domain.product import ProductId
from bot.settings import spellings
from bot.settings.types import AtLeastOne, Flag, NotNegative, Pct, Positive, Section, Symbol, TierNumber


class Tier(Section):
    """Who belongs to a tier and what a member must show to be traded. Sizes are in percent of NLV.

    min_volume_24h, min_depth: in the quote currency; max_spread_bps: ask minus bid over mid.
    """

    products: tuple[Symbol, ...] = ()
    base_size_pct: Pct = Percent(Decimal(2))
    min_volume_24h: NotNegative = Decimal(250_000)
    max_spread_bps: Positive = Decimal(30)
    min_depth: NotNegative = Decimal(5_000)
    min_listed_days: NotNegative = Decimal(0)


class Flagged(Section):
    """A product flagged by hand in the file."""

    product: Symbol
    kind: str
    note: str = ""


class Exclusions(Section):
    """never_trade: for ever; red_flags: the kinds that ban; flagged: by hand; bans last `temporary_ban_hours`."""

    never_trade: tuple[Symbol, ...] = ()
    red_flags: tuple[str, ...] = ("recent_exploit", "regulatory_action", "delisting_rumors", "team_rug")
    flagged: tuple[Flagged, ...] = ()
    temporary_ban_hours: Positive = Decimal(168)
    watch_file: str | None = None


class Discovery(Section):
    """Products beyond the tiers, taken from the product list by 24 h quote volume into tier `tier`."""

    enabled: Flag = False
    tier: AtLeastOne = 3
    max_products: AtLeastOne = 10
    min_volume_24h: NotNegative = Decimal(20_000_000)


class Hysteresis(Section):
    """Enter the universe after so many eligible cycles in a row, leave after so many ineligible ones."""

    enter_after: AtLeastOne = 2
    leave_after: AtLeastOne = 3


class Universe(Section):
    """The whole of universe.yaml. tiers: keyed 1, 2, 3 (best first)."""

    quote_currencies: tuple[str, ...] = ("USD",)
    tiers: Annotated[Mapping[TierNumber, Tier], BeforeValidator(spellings.tiers)] = Field(default={})
    themes: Mapping[str, Annotated[tuple[Symbol, ...], BeforeValidator(spellings.members)]] = Field(default={})
    exclusions: Annotated[Exclusions, BeforeValidator(spellings.exclusions)] = Field(default_factory=Exclusions)
    discovery: Annotated[Discovery, BeforeValidator(spellings.switched)] = Field(default_factory=Discovery)
    hysteresis: Hysteresis = Field(default_factory=Hysteresis)
    min_eligible_assets: AtLeastOne = 1

    @cached_property
    def places(self) -> Mapping[ProductId, tuple[int, int]]:
        """Where products are listed: id -> (tier, position in it), the best tier when listed twice."""
        found: dict[ProductId, tuple[int, int]] = {}
        for number in sorted(self.tiers):
            for position, product in enumerate(self.tiers[number].products):
                found.setdefault(product, (number, position))
        return found

    def tier_of(self, product: ProductId) -> int | None:
        """The tier a product is listed in, best first; None when in none."""
        place = self.places.get(product)
        return None if place is None else place[0]

    def themes_of(self, product: ProductId) -> tuple[str, ...]:
        return tuple(sorted(name for name, members in self.themes.items() if product in members))
