"""What execution needs from the rest of the bot, as values and callables it is given; it imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from bot.domain.decision import Approved, Reject
from bot.domain.event import Envelope, Payload
from bot.domain.market import Quote
from bot.domain.money import Size
from bot.domain.product import ProductId
from bot.domain.state import Intent, Order, State
from bot.domain.value import Value
from bot.ports import Clock, Exchange, KillState, MarketData


class Recorder(Protocol):
    """The journal and the state folded from it. Raises StorageFailed when an event cannot be made durable."""

    @property
    def state(self) -> State: ...

    def record(self, payload: Payload, cycle_id: str = "", causation: int = 0) -> Envelope: ...


class Permits(Value):
    """What the halt table allows at this moment; several halts together allow what all of them allow.

    exits covers protective sells too. cancel_entries, cancel_protective: what has to leave the venue.
    flatten: sell everything held, whatever else is forbidden. why: the causes, for people.
    """

    entries: bool = True
    exits: bool = True
    cancel_entries: bool = False
    cancel_protective: bool = False
    flatten: bool = False
    why: str = ""


class Venue(Value):
    """The seams to the world that execution uses."""

    exchange: Exchange
    market: MarketData
    clock: Clock


class Controls(Value):
    """What others decide for execution, asked at the moment it matters.

    kill: look at the switch now. permits: the halt table now. storage_healthy: whether the last write succeeded.
    reapprove: risk's answer to one more order of an intent, for the remaining size at this quote.
    agrees: whether balances and holds fit an order not existing. market_of: the book on which a listing trades.
    spread_limit: widest spread in basis points at which a product may be entered; None: not limited here.
    """

    kill: Callable[[], KillState]
    permits: Callable[[], Permits]
    storage_healthy: Callable[[], bool]
    reapprove: Callable[[Intent, Size, Quote], Approved | Reject]
    agrees: Callable[[Order], bool]
    market_of: Callable[[ProductId], ProductId]
    spread_limit: Callable[[ProductId], Decimal | None]
