"""Other ways people write the same thing, each turned into the one the models know; nothing is guessed.

What is no known spelling goes on as it is, for the model to refuse by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from bot.domain.bars import Granularity
from bot.domain.decision import TriggerKind

_TIER: Final = re.compile(r"(?:tier[ _-]?|t)?([1-9][0-9]{0,2})", re.ASCII | re.IGNORECASE)
_LENGTHS: Final[Mapping[str, Granularity]] = {
    text: length
    for length in Granularity
    for text in (str(length.value), f"{length.value}s", f"{length.minutes}m", f"{length.minutes // 60}h")
    if not text.startswith("0")
} | {"1d": Granularity.ONE_DAY}
_PARAMETERS: Final = ("overrides", "params", "parameters")
_SIZES: Final[Mapping[str, str]] = {
    "tier": "tier_base", "base": "tier_base",
    "nlv_pct": "pct_of_nlv", "pct_nlv": "pct_of_nlv", "pct": "pct_of_nlv",
    "size_usd": "usd", "amount_usd": "usd", "quote_usd": "usd",
}  # fmt: skip
_KINDS: Final = ("kind", "type", "mode")
_SWITCHES: Final = {"ioc": True, "limit_ioc": True, "none": False, "nothing": False, "off": False}


def whole(value: object) -> object:
    """A whole number written as 5, 5.0 or "5"."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value


def tier(value: object) -> object:
    """A tier's number, also as the text a JSON key must be, or as `tier1`."""
    found = _TIER.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else value


def listed(value: object) -> object:
    """One where a list is due."""
    return [value] if isinstance(value, str | int | Mapping) and not isinstance(value, bool) else value


def granularity(value: object) -> object:
    """`1m` and 60 are ONE_MINUTE."""
    found = _LENGTHS.get(str(value).lower()) if isinstance(value, str | int) else None
    return found.name if found is not None else value


def taker_fallback(value: object) -> object:
    """`ioc` is true, `none` is false: an IOC limit or nothing."""
    return _SWITCHES.get(value, value) if isinstance(value, str) else value


def tiers(value: object) -> object:
    """A list of tiers counts from 1; a tier may be the list of its products alone."""
    if isinstance(value, list):
        value = dict(enumerate(value, start=1))
    if not isinstance(value, Mapping):
        return value
    return {number: {"products": found} if isinstance(found, list) else found for number, found in value.items()}


def members(value: object) -> object:
    """A theme's products, also below `products` or `members`."""
    if isinstance(value, Mapping) and len(value) == 1:
        return value.get("products", value.get("members", value))
    return value


def switched(value: object) -> object:
    """A section that is only switched on or off."""
    return {"enabled": value} if isinstance(value, bool) else value


def exclusions(value: object) -> object:
    """Products flagged by hand as `PRODUCT: kind`, as `PRODUCT kind`, or with another word for the kind.

    A flag that names no kind counts as the first of `red_flags`: it stands there to ban.
    """
    if not isinstance(value, Mapping) or "flagged" not in value:
        return value
    found, kinds = value["flagged"], value.get("red_flags")
    if isinstance(found, Mapping):
        found = [{"product": product, "kind": kind} for product, kind in found.items()]
    if not isinstance(found, list):
        return value
    first = kinds[0] if isinstance(kinds, list) and kinds else "recent_exploit"
    return {**value, "flagged": [_flagged(item, first) for item in found]}


def _flagged(item: object, first: object) -> object:
    if isinstance(item, str):
        product, _, kind = item.strip().partition(" ")
        return {"product": product, "kind": kind.strip() or first}
    if not isinstance(item, Mapping) or "kind" in item:
        return item
    rest = dict(item)
    named = next((rest.pop(name) for name in ("red_flag", "flag") if name in rest), first)
    return {**rest, "kind": named}


def condition(value: object) -> object:
    """A condition that only lists what must all hold."""
    return {"all": listed(value)} if isinstance(value, list | str) else value


def nodes(value: object) -> object:
    """Triggers of one `all`, `any` or `none`: a list, one alone, or a mapping from each to its parameters."""
    if isinstance(value, Mapping) and value and all(name in TriggerKind._value2member_map_ for name in value):
        return [{name: parameters} for name, parameters in value.items()]
    return listed(value) if isinstance(value, str | Mapping) else value


def node(value: object) -> object:
    """One trigger: `breakout`, `{breakout: {lookback_minutes: 60}}`, `{trigger: breakout, lookback_minutes: 60}`."""
    if isinstance(value, str):
        return {"trigger": value}
    if not isinstance(value, Mapping):
        return value
    first = next(iter(value), None)
    if len(value) == 1 and first in TriggerKind._value2member_map_:
        return _leaf(str(first), value[first])
    name = value.get("trigger", value.get("kind"))
    if name is None or {"trigger", "kind"} <= value.keys():
        return value
    rest = {key: found for key, found in value.items() if key not in ("trigger", "kind")}
    inner = [rest.pop(key) for key in _PARAMETERS if key in rest]
    if not all(isinstance(found, Mapping) for found in inner) or len(inner) > 1:
        return value
    return _parted(name, {**rest, **(inner[0] if inner else {})})


def _leaf(name: str, parameters: object) -> object:
    if parameters is None or parameters is True:
        return {"trigger": name}
    if not isinstance(parameters, Mapping):
        raise ValueError(f"{name} takes a mapping of its parameters, was {parameters!r}")
    return _parted(name, dict(parameters))


def _parted(name: object, given: dict[Any, Any]) -> dict[str, Any]:
    direction = {"direction": given.pop("direction")} if "direction" in given else {}
    return {"trigger": name, "overrides": given, **direction}


def size(value: object) -> object:
    """How much to buy: `tier`, `{pct_of_nlv: 2}` or `{usd: 100}`; also `{kind: usd, value: 100}`."""
    if isinstance(value, str):
        if value in {"tier", "tier_base", "base"}:
            return {"tier_base": True}
        raise ValueError(f"must be `tier`, `{{pct_of_nlv: 2}}` or `{{usd: 100}}`, was {value!r}")
    if not isinstance(value, Mapping):
        return value
    found = {_SIZES.get(str(key), key): amount for key, amount in value.items()}
    named = [key for key in _KINDS if key in found]
    if len(named) != 1:
        return found
    name = _SIZES.get(str(found[named[0]]), found[named[0]])
    if name == "tier_base" and len(found) == 1:
        return {"tier_base": True}
    return {name: found["value"]} if len(found) == 2 and "value" in found else found
