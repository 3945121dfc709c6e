"""Samples of every payload, and stores over memory: what the tests of the record share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from bot.adapters.clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.domain import event as ev
from bot.domain.decision import HysteresisCount
from bot.domain.event import Envelope, Payload
from bot.domain.money import Price, Size
from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.position import CostMethod, Exits, Lot, Origin, Position
from bot.domain.product import ProductId, Side
from bot.domain.state import Approval, Ban, BreakerState, Cooldown, FeeTier, HaltCause, Latch, Period, State
from bot.ports import Storage
from bot.record.fold import apply
from bot.record.journal import sealed
from bot.record.store import StateStore

NOON: Final = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
BTC: Final = ProductId("BTC-USD")
SOL: Final = ProductId("SOL-USD")
ACCOUNT: Final = "portfolio-1/staging/paper"


def intent(number: int = 1, attempt: int = 0, **changes: Any) -> ev.IntentRecorded:
    fields: dict[str, Any] = {
        "intent_id": number, "attempt": attempt, "client_order_id": f"c{number}.{attempt}", "product": BTC,
        "side": Side.BUY, "size": Size(Decimal("0.5")), "limit_price": Price(Decimal(100)), "kind": OrderKind.ENTRY,
        "quote": "USD", "type": OrderType.LIMIT_POST_ONLY, "intent_size": Size(Decimal("0.5")),
        "worst_price": Price(Decimal(101)), "worst_quote": Decimal("50.8"), "reference": Price(Decimal("100.5")),
        "expected_fee_rate": Decimal("0.006"), "rule": "dip", "why": "it fell", "exits": Exits(Decimal(3), Decimal(6)),
    }  # fmt: skip
    return ev.IntentRecorded(**{**fields, **changes})


def changed(cid: str = "c1.0", to: OrderState = OrderState.OPEN, **changes: Any) -> ev.OrderChanged:
    fields: dict[str, Any] = {
        "client_order_id": cid, "order_id": f"o-{cid}", "from_state": OrderState.SUBMITTED, "to_state": to,
        "why": "seen", "filled": Size.zero(), "filled_value": Decimal(0), "fees": Decimal(0),
    }  # fmt: skip
    return ev.OrderChanged(**{**fields, **changes})


def fill(
    entry: str, side: Side = Side.BUY, size: str = "0.5", price: str = "100", fee: str = "0.3", **changes: Any
) -> ev.FillBooked:
    fields: dict[str, Any] = {
        "entry_id": entry, "trade_id": f"t-{entry}", "order_id": "o-c1.0", "client_order_id": "c1.0", "product": BTC,
        "side": side, "price": Price(Decimal(price)), "size": Size(Decimal(size)),
        "value": Decimal(price) * Decimal(size), "fee": Decimal(fee), "at": NOON, "liquidity": "MAKER",
        "foreign": False,
    }  # fmt: skip
    return ev.FillBooked(**{**fields, **changes})


def holding(size: str = "2", cost: str = "200", **changes: Any) -> Position:
    lot = Lot(Size(Decimal(size)), Decimal(cost), NOON, Origin.ADOPTED)
    fields: dict[str, Any] = {"product": BTC, "lots": (lot,), "opened_at": NOON, "managed": False}
    return Position(**{**fields, **changes})


def nothing_done(reason: str = "no_signal", **changes: Any) -> ev.DecisionMade:
    fields: dict[str, Any] = {
        "outcome": "NO_TRADE", "reason": reason, "detail": "", "regime": "chop", "proposals": (), "verdicts": (),
        "eligible": 3,
    }  # fmt: skip
    return ev.DecisionMade(**{**fields, **changes})


DAY: Final = Period("2026-11-18", Decimal(1000), Decimal(5))
WEEK: Final = Period("2026-W47", Decimal(990), Decimal(4))

SAMPLES: Final[tuple[Payload, ...]] = (
    ev.JournalOpened("g1", ACCOUNT, 1),
    ev.GenesisRenewed("g2", "cut"),
    ev.JournalAnchored(7, "ab", State(genesis="g0", account=ACCOUNT, seq=7, head="ab")),
    ev.RunStarted("staging", "paper", "embedded"),
    ev.RunStopped("SIGTERM", 0, ("c9",)),
    ev.ConfigLoaded("cfg", "", CostMethod.FIFO),
    ev.LedgerAnchored("USD", Decimal(1000)),
    ev.LedgerAnchored("BTC", Decimal("0.1")),
    ev.PeriodBegan("day", DAY),
    ev.PeriodBegan("week", WEEK),
    intent(),
    changed(),
    ev.ChildAdopted("child", "o-child", "o-c1.0", 1, BTC, Size(Decimal("0.5")), Price(Decimal(106)),
                    Price(Decimal(97)), OrderType.BRACKET),
    fill("e1"),
    fill("e2", Side.SELL, "0.2", "110"),
    ev.CursorMoved(NOON, timedelta(minutes=5)),
    ev.FillsKnown({"old-entry": ("old-order", "old-trade", NOON)}),
    changed(to=OrderState.CANCEL_PENDING, filled=Size(Decimal("0.5")), filled_value=Decimal(50)),
    ev.IntentClosed(1, "filled"),
    ev.OrderRefused(BTC, Side.BUY, OrderKind.ENTRY, "price_collar", "65800 is 1.2 % from the quote, limit 1 %"),
    ev.ForeignOrderSeen("f1", BTC, "BUY 1 at 90"),
    ev.ForeignOrderGone("f1"),
    ev.LedgerPending("USD", Decimal("-1.5"), 1),
    ev.TransferRecognised("USD", Decimal(100), Decimal(100), Decimal(900)),
    ev.PositionAdopted(holding()),
    ev.PositionMarked(BTC, Price(Decimal(120))),
    ev.Mismatch("order o1", "OPEN", "FILLED"),
    nothing_done(),
    ev.DecisionRepeated("NO_TRADE", "no_signal", "c2", "c9", 8),
    ev.HysteresisMoved({BTC: HysteresisCount(True, 0)}),
    ev.CooldownBegan(Cooldown(BTC, "fill", NOON + timedelta(hours=1))),
    ev.BanBegan(Ban(SOL, "depeg", "policy", NOON, NOON + timedelta(hours=48))),
    ev.BanEnded(SOL, "over"),
    ev.QuarantineBegan(BTC, "deposit"),
    ev.QuarantineEnded(BTC, True, "operator"),
    ev.HaltBegan("kill_switch", "lunch"),
    ev.HaltEnded("kill_switch", "gone"),
    ev.LatchSet(Latch("daily_stop", HaltCause.DAILY_STOP, "-3.1 %", NOON, "2026-11-18", NOON + timedelta(hours=12))),
    ev.LatchCleared("daily_stop", "operator"),
    ev.BreakerChanged(BreakerState("api_errors", True, (NOON,), NOON, NOON + timedelta(minutes=5), "5 in 60 s")),
    ev.PeakMoved(Decimal(1200)),
    ev.FeeTierSeen(FeeTier(Decimal("0.004"), Decimal("0.006"), "Advanced 1", NOON)),
    ev.ApprovalAsked(Approval("a1", BTC, Side.BUY, "dip", Decimal(5000), NOON, NOON + timedelta(minutes=30))),
    ev.ApprovalAnswered("a1", "granted", "operator"),
    ev.ExecutionMeasured("c1.0", Price(Decimal(100)), Price(Decimal("100.1")), Decimal(10), Decimal("0.3"),
                         Decimal("0.31")),
    ev.SettleObserved(500),
    ev.AlertRaised("al1", "fp", "CRITICAL", "firing", "halted", "kill switch"),
    ev.CommandApplied("cmd1", "flag", ("SOL-USD", "depeg"), "banned"),
)  # fmt: skip


def fold(payloads: Iterable[Payload], state: State | None = None, at: datetime = NOON) -> State:
    """The state after these payloads, one second apart."""
    state = state or State()
    for payload in payloads:
        at += timedelta(seconds=1)
        state = apply(state, enveloped(payload, state, at))
    return state


def enveloped(payload: Payload, state: State, at: datetime, cycle_id: str = "cycle") -> Envelope:
    kind = type(payload)
    return sealed(Envelope(state.seq + 1, at, kind.topic, cycle_id, 0, payload, kind.version, "cfg", "1.0", state.head))


class TickingClock(ManualClock):
    """A second passes whenever somebody looks."""

    def now(self) -> datetime:
        self.advance(timedelta(seconds=1))
        return super().now()


def store_on(storage: Storage, at: datetime = NOON, account: str = ACCOUNT, genesis: str = "g1") -> StateStore:
    """An opened store."""
    store = StateStore(storage, TickingClock(at), "cfg", "1.0", account)
    store.open(genesis)
    return store


def filled_store(storage: Storage | None = None) -> StateStore:
    """A store that has seen one event of every kind and saved."""
    store = store_on(storage or MemoryStorage())
    for payload in SAMPLES[3:]:
        store.record(payload)
    store.save()
    return store
