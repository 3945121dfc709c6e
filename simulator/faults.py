"""Faults on demand: rules on requests, conditions of the whole venue, and what the feeds do wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from bot.domain.codec import decode
from bot.domain.value import Value, replace
from bot.errors import UnitError


class When(Enum):
    """On which side of the venue's work a fault strikes: `after` means the request has taken effect."""

    BEFORE = "before"
    AFTER = "after"


class Drop(Value):
    """Close the connection without a byte of answer; `reset` sends RST instead of FIN."""

    when: When = When.AFTER
    reset: bool = False


class Delay(Value):
    """Answer `seconds` of real time late; the venue's work is done before or after the wait."""

    seconds: float
    when: When = When.AFTER


class Hang(Value):
    """Take the request and never answer."""

    when: When = When.AFTER


class Answer(Value):
    """Answer with this status instead. body: `empty`, `html`, `json`, `text`, or the body itself."""

    status: int
    body: str = "empty"
    when: When = When.BEFORE
    retry_after: str = ""


class Damage(Enum):
    """How the bytes of a good answer are spoilt. TORN ends early with a close, and no length was announced."""

    TORN = "torn"
    SHORT = "short"
    HTML = "html"
    EMPTY = "empty"
    NO_CONTENT = "no_content"
    BOM = "bom"
    LATIN = "latin"
    NAN = "nan"
    HUGE = "huge"


class Garble(Value):
    """Spoil the bytes of the answer; the request has taken effect."""

    damage: Damage


class Rewrite(Value):
    """Change the decoded answer. at: dotted path, `*` for every element; json: the new value, empty removes the key."""

    at: str
    json: str = ""


RequestFault = Drop | Delay | Hang | Answer | Garble | Rewrite


class Rule(Value):
    """Which requests a fault strikes.

    method, path: `*` and `?` are wild; path is the part after /api/v3/brokerage, without the query.
    contains: text that the query or body must hold, such as `cursor=`. skip: matching requests let pass first.
    times: how often it strikes, None for ever. probability: of each matching request, drawn from the seed.
    """

    fault: RequestFault
    method: str = "*"
    path: str = "*"
    contains: str = ""
    skip: int = 0
    times: int | None = 1
    probability: float = 1.0

    def fits(self, method: str, path: str, text: str) -> bool:
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path) and self.contains in text


def rule_from(data: Any) -> Rule:
    """A rule from a control request, e.g. `{"fault": {"is": "Drop"}, "path": "/orders"}`. Raises UnitError."""
    return decode(Rule, data)


class Rules:
    """The active rules; the first one that fits a request strikes it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._active: list[Rule] = []

    def add(self, rule: Rule) -> None:
        self._active.append(rule)

    def clear(self) -> None:
        self._active.clear()

    def active(self) -> Sequence[Rule]:
        return tuple(self._active)

    def strike(self, method: str, path: str, text: str) -> RequestFault | None:
        """The fault of this request, and one use of its rule."""
        for number, rule in enumerate(self._active):
            if not rule.fits(method, path, text):
                continue
            if rule.skip > 0:
                self._active[number] = replace(rule, skip=rule.skip - 1)
            elif rule.probability >= 1.0 or self._random.random() < rule.probability:
                self._use(number, rule)
                return rule.fault
        return None

    def _use(self, number: int, rule: Rule) -> None:
        if rule.times is None:
            return
        if rule.times <= 1:
            del self._active[number]
        else:
            self._active[number] = replace(rule, times=rule.times - 1)


class Duplicates(Enum):
    """What a known client order id gets: the old order, a refusal by name, or a second order."""

    OLD_ORDER = "old_order"
    REFUSED = "refused"
    BOOKED = "booked"


class Cancels(Enum):
    """What happens to a cancel: done, refused, answered as taken and then forgotten."""

    TAKEN = "taken"
    REFUSED = "refused"
    LOST = "lost"


class Gate(Enum):
    """How private requests and streams fare: normally, or refused as if the key were dead or the door shut."""

    OPEN = "open"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TOO_MANY_ERRORS = "too_many_errors"


@dataclass(slots=True)
class FeedFaults:
    """What the feeds do wrong. The counters are used up by the next frames of any connection.

    silent: no frames at all, the connection stays. drop, repeat, swap: frames lost with their number used, sent
    twice, or sent in the wrong order. silent_products: no data for these. Of the books everybody is shown, on both
    wires: crossed: all of them cross; empty: those of these products have no level; spikes: those of these products
    stand at a multiple of the true price.
    """

    silent: bool = False
    no_heartbeats: bool = False
    drop: int = 0
    repeat: int = 0
    swap: int = 0
    silent_products: set[str] = field(default_factory=set)
    crossed: bool = False
    empty: set[str] = field(default_factory=set)
    spikes: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Conditions:
    """Switches of the venue as a whole; lags in seconds of trading time.

    hide_next: the next so many orders never show in any answer though they work. hidden: those that do not.
    unlisted: products the venue has never heard of from now on; what is held of them stays held.
    zero_balances: every wallet reads 0. double_fills: every fill is listed twice, the second time with another id.
    skew_s: added to the venue's clock, in `/time` and in judging tokens. client_ids_in_feed: envelopes carry
    `client_id`. only_open_filter: OPEN may not be combined with other statuses. proof_token: lists ask for one.
    """

    orders_lag_s: float = 0.0
    fills_lag_s: float = 0.0
    balances_lag_s: float = 0.0
    unlisted: set[str] = field(default_factory=set)
    zero_balances: bool = False
    double_fills: bool = False
    hide_next: int = 0
    hidden: set[str] = field(default_factory=set)
    duplicates: Duplicates = Duplicates.OLD_ORDER
    cancels: Cancels = Cancels.TAKEN
    gate: Gate = Gate.OPEN
    outage: bool = False
    skew_s: float = 0.0
    client_ids_in_feed: bool = True
    only_open_filter: bool = True
    proof_token: bool = False
    feed: FeedFaults = field(default_factory=FeedFaults)

    def change(self, data: Any) -> None:
        """Set switches by name, those of `feed` as a nested object. Raises UnitError naming one that is unknown."""
        _change(self, data)


def _change(target: Conditions | FeedFaults, data: Any) -> None:
    if not isinstance(data, dict):
        raise UnitError(f"switches must be a JSON object, was {str(data)[:80]!r}")
    for name, value in data.items():
        present = getattr(target, name, None) if name in target.__slots__ else None
        if present is None:
            raise UnitError(f"there is no switch {name!r}")
        if isinstance(present, FeedFaults):
            _change(present, value)
        else:
            setattr(target, name, _like(present, value, name))


def _like(present: Any, value: Any, name: str) -> Any:
    """`value` in the type the switch has now."""
    if isinstance(present, set) and isinstance(value, list):
        return {str(item) for item in value}
    if isinstance(present, dict) and isinstance(value, dict):
        return {str(key): float(factor) for key, factor in value.items()}
    if isinstance(present, Enum):
        try:
            return type(present)(value)
        except ValueError as error:
            raise UnitError(f"{name} is one of {[item.value for item in type(present)]}, was {value!r}") from error
    if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(present):
        raise UnitError(f"{name} must be {type(present).__name__}, was {value!r}")
    return value


def rewritten(document: Any, fault: Rewrite) -> Any:
    """The decoded answer after the change; paths that lead nowhere change nothing."""
    parts = fault.at.split(".")
    _rewrite(document, parts, fault.json)
    return document


def _rewrite(node: Any, parts: list[str], text: str) -> None:
    head, rest = parts[0], parts[1:]
    if isinstance(node, list):
        chosen = range(len(node)) if head == "*" else [int(head)] if head.isdigit() and int(head) < len(node) else []
        keys: list[Any] = list(chosen)
    elif isinstance(node, dict):
        keys = list(node) if head == "*" else [head]
    else:
        return
    for key in keys:
        if rest:
            inner = node.get(key) if isinstance(node, dict) else node[key]
            _rewrite(inner, rest, text)
        elif text:
            node[key] = json.loads(text)
        elif isinstance(node, list) or key in node:
            del node[key]
