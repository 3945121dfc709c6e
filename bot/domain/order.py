"""The life of an order as a table, orders as values, and fills."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from bot.domain.money import EXACT, ZERO, Money, Price, Size
from bot.domain.product import BUY, ProductId, Side
from bot.domain.value import Value
from bot.errors import IllegalTransition


class OrderState(Enum):
    """Where we believe an order stands.

    is_working: whether the venue may still hold or match it; is_terminal: that it does not.
    """

    NEW = "NEW"  # intent recorded, nothing sent
    SUBMITTED = "SUBMITTED"  # sent, or about to be: the answer has not been recorded
    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    CANCEL_PENDING = "CANCEL_PENDING"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"  # no usable answer: full exposure until proven otherwise

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot

    def __init__(self, name: str) -> None:
        self.is_terminal = name in {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}
        self.is_working = not self.is_terminal


RESTING: Final = frozenset({OrderState.OPEN, OrderState.PARTIAL})
"""States in which the venue is known to hold it, and nothing was asked of it since."""


class OrderEvent(Enum):
    """What may happen to an order, from any source."""

    SEND = "send"
    ACK = "ack"  # seen on the venue, nothing filled
    REFUSED = "refused"  # definite refusal, at create or later (venue FAILED)
    SILENCE = "silence"  # no usable answer
    ABSENT = "absent"  # proven not placed by the complete-listing rule
    PART_FILL = "part_fill"
    FILL = "fill"
    CANCEL_ASKED = "cancel_asked"
    CANCEL_FAILED = "cancel_failed"  # the venue still works it after our cancel
    CANCELED = "canceled"
    EXPIRED = "expired"
    LATE_FILL = "late_fill"  # a fill after a terminal state: quantity moves, the state stays

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


_S, _E = OrderState, OrderEvent

TRANSITIONS: Final[Mapping[OrderState, Mapping[OrderEvent, OrderState]]] = {
    _S.NEW: {_E.SEND: _S.SUBMITTED},
    _S.SUBMITTED: {
        _E.ACK: _S.OPEN, _E.PART_FILL: _S.PARTIAL, _E.FILL: _S.FILLED, _E.REFUSED: _S.REJECTED,
        _E.CANCELED: _S.CANCELED, _E.EXPIRED: _S.EXPIRED, _E.SILENCE: _S.UNKNOWN,
    },
    _S.OPEN: {
        _E.ACK: _S.OPEN, _E.PART_FILL: _S.PARTIAL, _E.FILL: _S.FILLED, _E.REFUSED: _S.REJECTED,
        _E.CANCEL_ASKED: _S.CANCEL_PENDING, _E.CANCELED: _S.CANCELED, _E.EXPIRED: _S.EXPIRED,
    },
    _S.PARTIAL: {
        _E.ACK: _S.PARTIAL, _E.PART_FILL: _S.PARTIAL, _E.FILL: _S.FILLED,
        _E.CANCEL_ASKED: _S.CANCEL_PENDING, _E.CANCELED: _S.CANCELED, _E.EXPIRED: _S.EXPIRED,
    },
    _S.CANCEL_PENDING: {
        _E.ACK: _S.CANCEL_PENDING, _E.PART_FILL: _S.CANCEL_PENDING, _E.FILL: _S.FILLED,
        _E.CANCEL_ASKED: _S.CANCEL_PENDING, _E.CANCELED: _S.CANCELED, _E.EXPIRED: _S.EXPIRED,
        _E.CANCEL_FAILED: _S.OPEN,
    },
    _S.UNKNOWN: {
        _E.ACK: _S.OPEN, _E.PART_FILL: _S.PARTIAL, _E.FILL: _S.FILLED, _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED, _E.REFUSED: _S.REJECTED, _E.ABSENT: _S.REJECTED, _E.SILENCE: _S.UNKNOWN,
        _E.CANCEL_ASKED: _S.UNKNOWN,
    },
    _S.FILLED: {_E.LATE_FILL: _S.FILLED},
    _S.CANCELED: {_E.LATE_FILL: _S.CANCELED},
    _S.EXPIRED: {_E.LATE_FILL: _S.EXPIRED},
    _S.REJECTED: {_E.LATE_FILL: _S.REJECTED},
}  # fmt: skip


def advance(state: OrderState, event: OrderEvent) -> OrderState:
    """The state after `event`. Raises IllegalTransition for a pair the table does not hold."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"{event.name} while {state.name}") from None


class OrderKind(Enum):
    """Why the order exists: to open, to close now, or to rest at the venue as a stop."""

    ENTRY = "entry"
    EXIT = "exit"
    PROTECTIVE = "protective"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


ENTRY: Final = OrderKind.ENTRY
EXIT: Final = OrderKind.EXIT
PROTECTIVE: Final = OrderKind.PROTECTIVE
"""As with the sides: of their own, since they are asked for all the time."""


class OrderType(Enum):
    """The order configurations this bot sends or may find on its account."""

    LIMIT_POST_ONLY = "limit_post_only"  # GTD with an exchange-side expiry
    LIMIT_GTC = "limit_gtc"
    LIMIT_IOC = "limit_ioc"
    LIMIT_FOK = "limit_fok"
    MARKET = "market"
    STOP_LIMIT = "stop_limit"
    BRACKET = "bracket"
    OTHER = "other"  # something a person placed that this bot never sends

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


class Bracket(Value):
    """Protective legs: take profit rests at `limit_price`, the stop fires at `stop_trigger_price`."""

    limit_price: Price
    stop_trigger_price: Price


class PlannedOrder(Value):
    """One order ready to be sent: legal under the product's steps, approved, and with its durable identity.

    size: base. limit_price: None only for MARKET. stop_price: STOP_LIMIT and BRACKET (stop trigger).
    end_time: exchange-side expiry of LIMIT_POST_ONLY. attached: bracket the venue opens with the entry's fills.
    """

    client_order_id: str
    product: ProductId
    side: Side
    kind: OrderKind
    type: OrderType
    size: Size
    limit_price: Price | None
    stop_price: Price | None = None
    end_time: datetime | None = None
    attached: Bracket | None = None


class Ack(Value):
    """The venue took the order for processing; not yet proof that it works or will not be refused."""

    client_order_id: str
    order_id: str


class CancelAnswer(Value):
    """The venue's answer to one cancel: `asked` means queued, never done; read the order."""

    order_id: str
    asked: bool
    reason: str


class VenueStatus(Enum):
    """Order status as the venue reports it; a name we do not know is UNKNOWN and counts as working."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    QUEUED = "QUEUED"
    CANCEL_QUEUED = "CANCEL_QUEUED"
    EDIT_QUEUED = "EDIT_QUEUED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot

    def __init__(self, name: str) -> None:
        self.is_terminal = name in {"FILLED", "CANCELLED", "EXPIRED", "FAILED"}


class OrderReport(Value):
    """One order as the venue shows it at one moment.

    size: base size asked for; None for a quote-sized order (never ours), whose `quote_size` is then set.
    filled, average_price, filled_value, fees: cumulative; average_price None when nothing is filled.
    parent_id: order whose attached bracket this is. hold: outstanding hold, quote on a buy, base on a sell.
    """

    order_id: str
    client_order_id: str
    product: ProductId
    side: Side
    type: OrderType
    status: VenueStatus
    size: Size | None
    limit_price: Price | None
    stop_price: Price | None
    filled: Size
    filled_value: Decimal
    fees: Decimal
    average_price: Price | None
    created_at: datetime
    end_time: datetime | None = None
    quote_size: Decimal | None = None
    hold: Decimal | None = None
    parent_id: str = ""
    reject_reason: str = ""
    number_of_fills: int = 0

    @property
    def remaining(self) -> Size | None:
        """Base still to be filled; None for a quote-sized order."""
        return None if self.size is None else Size(max(ZERO, EXACT.subtract(self.size.value, self.filled.value)))


class Liquidity(Enum):
    MAKER = "MAKER"
    TAKER = "TAKER"
    UNKNOWN = "UNKNOWN"


class Fill(Value):
    """One row of the venue's fills, in base units.

    entry_id: unique per row, the key of deduplication together with (order_id, trade_id).
    size: base; for a row the venue gave in quote it is None until the order's filled size tells the base amount,
        and `value` holds the quote amount.
    value: price x size in quote before the fee; fee: quote.
    adjustment: True for REVERSAL, CORRECTION, SYNTHETIC rows, which may repeat a trade id.
    """

    entry_id: str
    trade_id: str
    order_id: str
    product: ProductId
    side: Side
    price: Price
    size: Size | None
    value: Decimal
    fee: Decimal
    at: datetime
    liquidity: Liquidity
    adjustment: str = ""

    @property
    def cash(self) -> Money:
        """Signed effect on the quote wallet, fee included."""
        signed = -self.value if self.side is BUY else self.value
        return Money(EXACT.subtract(signed, self.fee), self.product.quote)
