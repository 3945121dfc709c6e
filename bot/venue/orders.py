"""Order requests in every configuration of the venue, the record kept of each order, and the venue's answers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final, Literal

from bot.domain.money import HUNDRED, ZERO
from bot.domain.order import Bracket, Liquidity, VenueStatus
from bot.domain.product import BUY, SELL, ProductId, Side
from bot.domain.value import Value, cached_property, replace
from bot.venue.exact import add, div, mul, sub

StopDirection = Literal["STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"]
UP: Final[StopDirection] = "STOP_DIRECTION_STOP_UP"
DOWN: Final[StopDirection] = "STOP_DIRECTION_STOP_DOWN"


class Terms(Value):
    """Any configuration in one shape. key: its name on the wire. rests: what does not match at once stays on the book.

    stop_price: stop or bracket trigger; stop_direction tells which way the last trade must pass it.
    """

    key: str
    order_type: str
    time_in_force: str
    rests: bool
    base_size: Decimal | None = None
    quote_size: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    stop_direction: StopDirection | None = None
    end_time: datetime | None = None
    post_only: bool = False

    @property
    def is_market(self) -> bool:
        return self.order_type == "MARKET"

    @property
    def is_bracket(self) -> bool:
        return self.order_type == "BRACKET"

    @property
    def all_or_none(self) -> bool:
        return self.time_in_force == "FILL_OR_KILL"


_IOC: Final = "IMMEDIATE_OR_CANCEL"
_GTC: Final = "GOOD_UNTIL_CANCELLED"
_GTD: Final = "GOOD_UNTIL_DATE_TIME"


class MarketIoc(Value):
    """Market order; exactly one size, a sell only in base. A quote size includes the fee."""

    base_size: Decimal | None = None
    quote_size: Decimal | None = None

    def terms(self, _: Side) -> Terms:
        return Terms("market_market_ioc", "MARKET", _IOC, False, self.base_size, self.quote_size)


class LimitIoc(Value):
    base_size: Decimal | None
    limit_price: Decimal
    quote_size: Decimal | None = None

    def terms(self, _: Side) -> Terms:
        return Terms("sor_limit_ioc", "LIMIT", _IOC, False, self.base_size, self.quote_size, self.limit_price)


class LimitFok(Value):
    base_size: Decimal | None
    limit_price: Decimal
    quote_size: Decimal | None = None

    def terms(self, _: Side) -> Terms:
        return Terms(
            "limit_limit_fok", "LIMIT", "FILL_OR_KILL", False, self.base_size, self.quote_size, self.limit_price
        )


class LimitGtc(Value):
    base_size: Decimal | None
    limit_price: Decimal
    post_only: bool = False
    quote_size: Decimal | None = None

    def terms(self, _: Side) -> Terms:
        return Terms(
            "limit_limit_gtc", "LIMIT", _GTC, True, self.base_size, self.quote_size, self.limit_price,
            post_only=self.post_only,
        )  # fmt: skip


class LimitGtd(Value):
    base_size: Decimal | None
    limit_price: Decimal
    post_only: bool = False
    end_time: datetime | None = None
    quote_size: Decimal | None = None

    def terms(self, _: Side) -> Terms:
        return Terms(
            "limit_limit_gtd", "LIMIT", _GTD, True, self.base_size, self.quote_size, self.limit_price,
            end_time=self.end_time, post_only=self.post_only,
        )  # fmt: skip


class StopLimit(Value):
    """A limit order that goes live once the last trade reaches `stop_price`; with `end_time` it is the GTD form."""

    base_size: Decimal
    limit_price: Decimal
    stop_price: Decimal
    direction: StopDirection
    end_time: datetime | None = None

    def terms(self, _: Side) -> Terms:
        key, force = ("stop_limit_stop_limit_gtd", _GTD) if self.end_time else ("stop_limit_stop_limit_gtc", _GTC)
        return Terms(
            key, "STOP_LIMIT", force, True, self.base_size, None, self.limit_price, self.stop_price, self.direction,
            self.end_time,
        )  # fmt: skip


class BracketConfig(Value):
    """Take profit at `limit_price`, stop at `stop_trigger_price`; with `end_time` it is the GTD form."""

    base_size: Decimal
    limit_price: Decimal
    stop_trigger_price: Decimal
    end_time: datetime | None = None

    def terms(self, side: Side) -> Terms:
        """`side` decides which way the stop lies."""
        key, force = ("trigger_bracket_gtd", _GTD) if self.end_time else ("trigger_bracket_gtc", _GTC)
        return Terms(
            key, "BRACKET", force, True, self.base_size, None, self.limit_price, self.stop_trigger_price,
            DOWN if side is SELL else UP, self.end_time,
        )  # fmt: skip


Configuration = MarketIoc | LimitIoc | LimitFok | LimitGtc | LimitGtd | StopLimit | BracketConfig
"""What `terms` makes of each is the configuration flattened, for an order of this side."""


class OrderRequest(Value):
    """One order as a client sends it. owner: `bot`, or `foreign` for a person trading on the same account."""

    client_order_id: str
    product: ProductId
    side: Side
    config: Configuration
    attached: Bracket | None = None
    owner: str = "bot"


class TriggerStatus(Enum):
    """PLAIN is what the venue shows on every order without a stop."""

    PLAIN = "INVALID_ORDER_TYPE"
    PENDING = "STOP_PENDING"
    TRIGGERED = "STOP_TRIGGERED"


class Edit(Value):
    price: Decimal
    size: Decimal
    at: datetime


class OrderRecord(Value, dict=True):
    """Everything the venue knows of one order; replaced by a new value at every change.

    market: id of the order book (an alias pair shares one). config, terms: as last edited, the child's size as grown.
    live_limit: limit now at work; differs from the configuration after a bracket's stop has triggered.
    maker_rate, taker_rate: fee fractions in force when the order was placed.
    filled_size base; filled_value quote before fees; fees quote; hold in quote for a buy, in base for a sell.
    """

    order_id: str
    request: OrderRequest
    market: ProductId
    config: Configuration
    terms: Terms
    live_limit: Decimal | None
    maker_rate: Decimal
    taker_rate: Decimal
    created_at: datetime
    updated_at: datetime
    status: VenueStatus = VenueStatus.PENDING
    trigger: TriggerStatus = TriggerStatus.PLAIN
    filled_size: Decimal = ZERO
    filled_value: Decimal = ZERO
    fees: Decimal = ZERO
    number_of_fills: int = 0
    hold: Decimal = ZERO
    last_fill_at: datetime | None = None
    ended_at: datetime | None = None
    pending_cancel: bool = False
    reject_reason: str = "REJECT_REASON_UNSPECIFIED"
    reject_message: str = ""
    cancel_message: str = ""
    originating_order_id: str = ""
    attached_order_id: str = ""
    edits: tuple[Edit, ...] = ()

    @cached_property
    def levels(self) -> tuple[Decimal | None, Decimal | None]:
        """A price at or below which, and one at or above which, something happens to the order: its stop while that is
        pending, and its limit where it rests on the book."""
        stop, limit = (self.terms.stop_price if self.trigger is TriggerStatus.PENDING else None), self.live_limit
        if stop is not None and not self.terms.is_bracket:
            limit = None  # such a limit does not rest on the book yet
        down, up = (limit, None) if self.request.side is BUY else (None, limit)
        if stop is None:
            return down, up
        return (stop, up) if self.terms.stop_direction == DOWN else (down, stop)

    @property
    def client_order_id(self) -> str:
        return self.request.client_order_id

    @property
    def product(self) -> ProductId:
        return self.request.product

    @property
    def side(self) -> Side:
        return self.request.side

    @property
    def owner(self) -> str:
        return self.request.owner

    @property
    def is_working(self) -> bool:
        return not self.status.is_terminal

    @property
    def hold_currency(self) -> str:
        return self.product.quote if self.side is BUY else self.product.base

    @property
    def size_in_quote(self) -> bool:
        return self.terms.quote_size is not None

    @property
    def size_inclusive_of_fees(self) -> bool:
        """Recorded true on a quote-sized market buy, and only there."""
        return self.size_in_quote and self.terms.is_market and self.side is BUY

    @property
    def quote_done(self) -> Decimal:
        """Quote already used up of a quote-sized order, the fee included where the size includes it."""
        return add(self.filled_value, self.fees) if self.size_inclusive_of_fees else self.filled_value

    @property
    def leaves(self) -> Decimal:
        """What may still fill, in the currency the order was sized in; zero once terminal."""
        if self.status.is_terminal:
            return ZERO
        return self.unfilled

    @property
    def unfilled(self) -> Decimal:
        """What was asked for and not filled, in the currency the order was sized in, whatever the status."""
        if self.terms.quote_size is not None:
            return max(ZERO, sub(self.terms.quote_size, self.quote_done))
        return max(ZERO, sub(self.terms.base_size or ZERO, self.filled_size))

    @property
    def average_price(self) -> Decimal | None:
        return None if self.filled_size == 0 else div(self.filled_value, self.filled_size)

    @property
    def total_value_after_fees(self) -> Decimal:
        """What the fills cost (buy, fees added) or brought (sell, fees taken off)."""
        return (add if self.side is BUY else sub)(self.filled_value, self.fees)

    @property
    def completion_percentage(self) -> Decimal:
        if self.status is VenueStatus.FILLED:
            return HUNDRED
        asked = self.terms.quote_size if self.size_in_quote else self.terms.base_size
        done = self.quote_done if self.size_in_quote else self.filled_size
        return min(HUNDRED, mul(div(done, asked), HUNDRED)) if asked else ZERO

    @property
    def settled(self) -> bool:
        return self.status is VenueStatus.FILLED

    def configured(self, config: Configuration) -> OrderRecord:
        """This order with another configuration: after an edit, or a child grown with its parent's fills."""
        return replace(self, config=config, terms=config.terms(self.side))


class VenueFill(Value):
    """One row of the venue's fills. seq counts from 1. size base, value and fee quote.

    trade_time: when it matched (the opening of a bar for what met its opening); booked_at: when it was booked.
    spread, slippage: what a taker paid in quote for crossing, as R2 and R8 made its price: from the mid (or the price a
        stop traded from) to the touch, and from there to what it got, ticks included. A maker pays neither.
    """

    seq: int
    entry_id: str
    trade_id: str
    order_id: str
    product: ProductId
    side: Side
    price: Decimal
    size: Decimal
    value: Decimal
    fee: Decimal
    liquidity: Liquidity
    trade_time: datetime
    booked_at: datetime
    size_in_quote: bool = False
    trade_type: str = "FILL"
    spread: Decimal = ZERO
    slippage: Decimal = ZERO


class Accepted(Value):
    """Taken for processing. duplicate: the client id was known, `order_id` is the old order's and nothing was made."""

    order_id: str
    duplicate: bool = False


class Refused(Value):
    """A definite refusal: nothing was placed."""

    error: str
    preview_failure_reason: str
    message: str = ""


class CancelResult(Value):
    """success: the cancel was queued, never that it is done."""

    order_id: str
    success: bool
    failure_reason: str = "UNKNOWN_CANCEL_FAILURE_REASON"


class EditResult(Value):
    success: bool
    edit_failure_reason: str = ""
    preview_failure_reason: str = ""


class PreviewResult(Value):
    """The venue's opinion of an order that was not placed. Amounts in quote but base_size; slippage is a fraction.

    errors: every reason for which it would be refused now. preview_id: empty until somebody gives it a name.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    order_total: Decimal = ZERO
    commission_total: Decimal = ZERO
    base_size: Decimal = ZERO
    quote_size: Decimal = ZERO
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    average_price: Decimal | None = None
    slippage: Decimal = ZERO
    is_max: bool = False
    preview_id: str = ""


class OrderChanged(Value):
    """An order as it stands after a change. seq counts the venue's events from 1."""

    seq: int
    at: datetime
    order: OrderRecord


class FillBooked(Value):
    seq: int
    at: datetime
    fill: VenueFill


class Transferred(Value):
    """A deposit (positive) or withdrawal (negative)."""

    seq: int
    at: datetime
    currency: str
    amount: Decimal


VenueEvent = OrderChanged | FillBooked | Transferred
