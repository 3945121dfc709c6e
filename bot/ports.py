"""The seams: what the loop needs from the world, as small Protocols that live, paper and backtest fill differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Protocol

from bot.domain.bars import Windows
from bot.domain.market import Book, Quote
from bot.domain.money import Price
from bot.domain.order import Ack, CancelAnswer, Fill, OrderReport, PlannedOrder
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Balance, ExchangeStatus
from bot.domain.state import FeeTier
from bot.domain.value import Value


class WakeReason(Enum):
    """Why a wait ended early."""

    USER_EVENT = "user_event"
    PRICE = "price"
    KILL_SWITCH = "kill_switch"
    COMMAND = "command"
    SIGNAL = "signal"


class Clock(Protocol):
    """Trading time. Against a stepped test venue it is the venue's and moves only inside `wait_until`."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of trading time that never step back; for durations."""
        ...

    def stopwatch(self) -> float:
        """Seconds of real time, for measuring how long something takes and for nothing else."""
        ...

    def wait_until(self, when: datetime) -> WakeReason | None:
        """Return at `when` (None), or at once with the reason when woken before or during the wait."""
        ...

    def wake(self, reason: WakeReason) -> None:
        """End the current or next wait; callable from any thread and from a signal handler."""
        ...


class Rng(Protocol):
    """Randomness, only ever for jitter."""

    def uniform(self, low: float, high: float) -> float: ...


class KeyPermissions(Value):
    """What the API key may do and which portfolio it sees."""

    can_view: bool
    can_trade: bool
    can_transfer: bool
    portfolio_uuid: str

    def problems(self, portfolio_id: str | None) -> Iterator[str]:
        """Why nothing may be entered with this key, one line each. portfolio_id: the one expected; None: any."""
        if not self.can_view:
            yield "the API key may not view the account: give it the view permission"
        if not self.can_trade:
            yield "the API key may not trade: give it the trade permission"
        if self.can_transfer:
            yield "the API key may transfer money out: make one without the transfer permission"
        if portfolio_id is not None and self.portfolio_uuid != portfolio_id:
            yield f"the API key sees portfolio {self.portfolio_uuid}, governance.portfolio_id is {portfolio_id}"


class Preview(Value):
    """The venue's opinion of an order that was not placed. errors empty: it would be accepted now."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    commission: Decimal | None
    order_total: Decimal | None


class AccountReader(Protocol):
    """Reads of one account. Each answer is complete (all pages) or an error; a failed read proves nothing.

    Raises (all methods): Transient, RateLimited, AuthRefused; CriticalDataUnavailable for unreadable content.
    """

    def server_time(self) -> datetime: ...

    def key_permissions(self) -> KeyPermissions: ...

    def balances(self) -> Sequence[Balance]:
        """Every wallet of the account."""
        ...

    def products(self) -> Sequence[Product]:
        """Every spot product, with increments, bounds and trading mode."""
        ...

    def working_orders(self) -> Sequence[OrderReport]:
        """Every order in a non-terminal status: ours and others'."""
        ...

    def orders_created(self, since: datetime, until: datetime) -> Sequence[OrderReport]:
        """Every order of any status created in [since, until): resolves UNKNOWN."""
        ...

    def order(self, order_id: str) -> OrderReport:
        """One order. Raises NotFound, which is no evidence that it does not exist."""
        ...

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        """Every fill booked at or after `since`, oldest first."""
        ...

    def fee_tier(self) -> FeeTier: ...

    def status(self) -> ExchangeStatus:
        """The venue's status page; level UNKNOWN instead of an error when it cannot be read."""
        ...


class Exchange(AccountReader, Protocol):
    """Orders on one venue. Reads may retry inside. `place` never does: an unclear answer raises OutcomeUnknown."""

    def preview(self, order: PlannedOrder) -> Preview: ...

    def place(self, order: PlannedOrder) -> Ack:
        """Raises Rejected (definite refusal), OutcomeUnknown, RateLimited or Transient (certainly not sent)."""
        ...

    def cancel(self, order_ids: Sequence[str]) -> Sequence[CancelAnswer]:
        """Ask for cancels (any number; batched inside). Asked, not done: read the orders. Raises Transient."""
        ...


class MarketFacts(Value):
    """What MarketData knows of one market, unjudged: observe decides whether it may be used.

    quote.at and book.at carry the evidence time. quote_error / windows_error say why a part is None.
    gapless: no bar inside the window is missing. last_trade: newest trade and its time.
    """

    quote: Quote | None
    book: Book | None
    windows: Windows | None
    last_trade: Price | None = None
    last_trade_at: datetime | None = None
    quote_error: str = ""
    windows_error: str = ""


class MarketData(Protocol):
    """Quotes, books and bars of the watched markets, from a feed with REST behind it, or from recorded data."""

    def watch(self, needed_bars: Mapping[ProductId, int]) -> None:
        """The markets to follow from now on, and how many closed bars each must have (0: quotes only)."""
        ...

    def refresh(self, now: datetime) -> None:
        """Bring bars and quotes up to `now` within the request budget, product by product.

        Never raises for one product: what could not be had is said in `facts`. Raises AuthRefused only.
        """
        ...

    def facts(self, market: ProductId) -> MarketFacts: ...

    def requote(self, market: ProductId) -> Quote | None:
        """The freshest quote of one market right now, for the check at send; None when there is none."""
        ...

    def guard(self, levels: Mapping[ProductId, tuple[Price | None, Price | None]]) -> None:
        """Wake the loop once when the bid of a market leaves (low, high); each call arms all anew."""
        ...

    def user_events(self) -> bool:
        """Whether the user feed hinted at a change of orders since the last call."""
        ...


class KillProbe(Enum):
    """What the kill switch path is; anything but ABSENT halts."""

    ABSENT = "absent"
    PRESENT = "present"
    UNREADABLE = "unreadable"


class KillState(Value):
    probe: KillProbe
    reason: str = ""

    @property
    def active(self) -> bool:
        return self.probe is not KillProbe.ABSENT


class Command(Value):
    """One operator command from the inbox: `verb` with plain text arguments."""

    id: str
    verb: str
    arguments: tuple[str, ...]
    at: datetime
    by: str


class Storage(Protocol):
    """Durable files below one `<env>-<mode>/` folder, and the kill switch above it.

    Raises StorageFailed when a write or fsync fails; a failed append leaves the journal a valid prefix.
    """

    def append(self, day: str, line: bytes, durable: bool) -> None:
        """Append one journal line (newline included) to the day's file; fsync before returning when `durable`."""
        ...

    def journal_days(self) -> Sequence[str]:
        """Days that have a journal file, ascending."""
        ...

    def journal(self, day: str) -> bytes: ...

    def cut_journal(self, day: str, length: int) -> None:
        """Cut a torn tail: keep the first `length` bytes; the cut part is kept beside it."""
        ...

    def save_state(self, content: bytes) -> None:
        """Replace state.json atomically, keeping two older generations."""
        ...

    def state_generations(self) -> Sequence[bytes]:
        """state.json, state.json.1, state.json.2: those that exist, newest first."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Replace a small file (launch.json, outbox/...) atomically; it is on the disk when this returns."""
        ...

    def post(self, name: str, content: bytes) -> None:
        """Replace a small file that only tells how things stand (heartbeat.json, status.json, cycles/...) atomically.

        The disk is not waited for: readers always find a whole file, but a power cut may leave an old, an empty or no
        one. Nothing that is decided may depend on it.
        """
        ...

    def read(self, name: str) -> bytes | None: ...

    def remove(self, name: str) -> None: ...

    def drop(self, name: str) -> None:
        """Remove what was posted; the disk is not waited for."""
        ...

    def names(self, folder: str) -> Sequence[str]:
        """File names in a sub-folder (inbox, outbox, cycles, bars), sorted; empty when there is none."""
        ...

    def kill_state(self) -> KillState:
        """Look at the kill switch path now; bounded in time even on a dead mount."""
        ...

    def lock_held(self) -> bool:
        """Whether this process still holds the instance lock."""
        ...
