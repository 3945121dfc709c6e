"""Whatever answers are lost, late or doubled and whenever the process dies: approved sizes and holdings are kept."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.domain.order import OrderKind, OrderState, VenueStatus
from bot.domain.position import Exits
from bot.domain.product import Side
from bot.errors import Rejected, Transient
from bot.execution.engine import OURS
from tests.builders import d
from tests.execution.world import World, buy, sell


class Killed(BaseException):
    """The process ends here."""


ANSWERS = st.sampled_from(["", "", "", "lost", "dropped", "refused", "unsent", "killed before", "killed after"])


class Account(RuleBasedStateMachine):
    """Random days on a breakable exchange."""

    @initialize(
        style=st.sampled_from(["bracket", "attached_bracket", "stop_limit"]),
        kind=st.sampled_from(["limit_post_only", "limit_ioc"]),
        reprices=st.integers(0, 2),
        fallback=st.booleans(),
    )
    def open_account(self, style: str, kind: str, reprices: int, fallback: bool) -> None:
        execution: dict[str, Any] = {
            "default_order_type": kind, "maker_max_reprices": reprices, "taker_fallback": fallback,
            "post_only_ttl_seconds": 10,
            "governors": {"orders_per_minute": 1000, "same_side_repeats": 1000, "orders_per_day": 1000},
        }  # fmt: skip
        self.world = World(execution=execution, exits={"style": style})
        self.bought_by_id: dict[str, int] = {}

    # ------------------------------------------------------------------------------------------------- the bot

    @rule(answer=ANSWERS, amount=st.sampled_from(["0.1", "1", "2.5"]))
    def want_to_buy(self, answer: str, amount: str) -> None:
        self._arm(answer)
        self._cycle(buy(amount, worst="120", exits=Exits(stop_loss_pct=d(5))))

    @rule(answer=ANSWERS, share=st.sampled_from(["0.5", "1"]))
    @precondition(lambda self: self.world.held > 0)
    def want_to_sell(self, answer: str, share: str) -> None:
        self._arm(answer)
        self._cycle(sell(str(self.world.held * Decimal(share)), worst="50"))

    @rule()
    def idle(self) -> None:
        self._cycle()

    @rule()
    def halt(self) -> None:
        self._run(lambda: self.world.engine.cancel_all(OURS, self.world.clock.now(), "halt"))

    @rule()
    def restart(self) -> None:
        self.world.start()

    @rule(length=st.sampled_from([0.5, 2, 11, 50, 70]))
    def time_passes(self, length: float) -> None:
        self.world.clock.pass_(length)

    # -------------------------------------------------------------------------------------------------- the exchange

    @rule(pick=st.integers(0, 9), share=st.sampled_from(["0.25", "0.5", "1"]))
    def somebody_trades_with_us(self, pick: int, share: str) -> None:
        working = self.world.exchange.working()
        if working:
            record = working[pick % len(working)]
            part = record.left * Decimal(share)
            step = self.world.product.size_step
            self.world.exchange.fill(record.order_id, str(max(part // step * step, step)))

    @rule(pick=st.integers(0, 9), status=st.sampled_from([VenueStatus.CANCELLED, VenueStatus.EXPIRED]))
    def the_exchange_ends_an_order(self, pick: int, status: VenueStatus) -> None:
        working = self.world.exchange.working()
        if working:
            self.world.exchange.end(working[pick % len(working)].order_id, status)

    @rule(bid=st.sampled_from(["90", "98", "100", "103"]))
    def the_price_moves(self, bid: str) -> None:
        self.world.exchange.show("BTC-USD", bid, str(Decimal(bid) + Decimal("0.02")))

    @rule(lag=st.sampled_from([0, 3, 20]), cancel=st.sampled_from([0, 0.4, 3]), hold=st.sampled_from([0, 1, 3]))
    def the_exchange_gets_slow(self, lag: float, cancel: float, hold: float) -> None:
        faults = self.world.exchange.faults
        faults.lag_s, faults.cancel_s, faults.hold_s = lag, cancel, hold

    @rule(down=st.booleans())
    def reads_fail(self, down: bool) -> None:
        self.world.exchange.faults.reads = Transient("down") if down else None

    @rule(hidden=st.booleans())
    def fills_show_late(self, hidden: bool) -> None:
        self.world.exchange.faults.fills_hidden = hidden

    @rule(down=st.booleans())
    def cancels_fail(self, down: bool) -> None:
        self.world.exchange.faults.cancels = Transient("down") if down else None

    # ---------------------------------------------------------------------------------------------------- what holds

    @invariant()
    def approved_sizes_and_holdings_are_kept(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    @invariant()
    def no_buy_is_ever_posted_twice(self) -> None:
        if hasattr(self, "world"):
            ids = [o.client_order_id for _, o in self.world.exchange.posts]
            assert len(ids) == len(set(ids))

    @invariant()
    def amounts_never_shrink_and_never_exceed_what_was_asked(self) -> None:
        if hasattr(self, "world"):
            for order in self.world.orders:
                assert order.filled <= order.size
                assert order.booked <= order.size

    def teardown(self) -> None:
        """Once the faults are over, books and exchange agree, and nothing is in doubt."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.exchange.faults.reads = world.exchange.faults.cancels = None
        world.exchange.faults.place.clear()
        world.exchange.faults.fills_hidden = False
        world.exchange.faults.lag_s = world.exchange.faults.cancel_s = world.exchange.faults.hold_s = 0
        world.exchange.before_place = lambda order: None
        for _ in range(18):
            world.clock.pass_(10)
            self._cycle()
        world.check()
        assert world.held == world.exchange.wallets["BTC"]
        doubtful = [o.client_order_id for o in world.orders if o.state is OrderState.UNKNOWN]
        assert doubtful == []
        working = {o.order_id for o in world.orders if o.state.is_working}
        assert working == {record.order_id for record in world.exchange.working()}
        sells = world.exchange.working(Side.SELL)
        assert len(sells) <= 1
        assert all(i.closed or i.kind is OrderKind.PROTECTIVE for i in world.state.intents.values())

    # ----------------------------------------------------------------------------------------------------- helpers

    def _arm(self, answer: str) -> None:
        faults, exchange = self.world.exchange.faults, self.world.exchange
        faults.place.clear()
        exchange.before_place = lambda order: None
        if answer in ("lost", "dropped"):
            faults.place.append(answer)
        elif answer == "refused":
            faults.place.append(Rejected("INSUFFICIENT_FUND"))
        elif answer == "unsent":
            faults.place.append(Transient("refused by the network"))
        elif answer == "killed before":
            exchange.before_place = self._die
        elif answer == "killed after":
            exchange.after_place = self._die

    def _die(self, order: object) -> None:
        raise Killed

    def _cycle(self, *approved: Any) -> None:
        self._run(lambda: self.world.cycle(*approved))

    def _run(self, action: Any) -> None:
        try:
            action()
        except Killed:
            self.world.exchange.before_place = lambda order: None
            self.world.exchange.after_place = lambda order: None
            self.world.start()


TestAccount = Account.TestCase
TestAccount.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
