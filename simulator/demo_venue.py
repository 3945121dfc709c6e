"""What the simulated exchange knows of the demo's account: the truth its closing summary is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from bot.domain.money import EXACT, ZERO
from bot.domain.product import Side
from bot.domain.snapshot import Balance
from bot.domain.value import Value
from bot.venue.orders import OrderRecord, VenueFill
from simulator.control import Controls
from simulator.world import World


class Truth(Value):
    """The exchange's own books. equity: cash plus holdings at the best bid, in dollars."""

    orders: Sequence[OrderRecord]
    working: Sequence[OrderRecord]
    fills: Sequence[VenueFill]
    balances: Mapping[str, Balance]
    equity: Decimal

    @property
    def fees(self) -> Decimal:
        return sum((fill.fee for fill in self.fills), ZERO)

    def open_trades(self) -> list[OrderRecord]:
        """Entry and exit orders that still work: everything but protection."""
        return [order for order in self.working if not is_protective(order)]

    def protection(self) -> list[OrderRecord]:
        """Stops and brackets that still work."""
        return [order for order in self.working if is_protective(order)]


def truth_of(controls: Controls) -> Truth:
    """The books as they are, whatever the account's holder is shown. Call on the simulator's own thread."""
    world = controls.world
    balances = {balance.currency: balance for balance in world.venue.balances()}
    return Truth(
        tuple(world.venue.orders()), tuple(world.working()), tuple(world.venue.fills()), balances,
        sum((_value(world, balance) for balance in balances.values()), ZERO),
    )  # fmt: skip


def is_protective(order: OrderRecord) -> bool:
    """A sell that waits for a stop: it guards a position rather than trading it."""
    return order.request.side is Side.SELL and order.terms.stop_price is not None


def kind_of(order: OrderRecord) -> str:
    """entry, exit or protective."""
    if is_protective(order):
        return "protective"
    return "entry" if order.request.side is Side.BUY else "exit"


def _value(world: World, balance: Balance) -> Decimal:
    if balance.currency == "USD":
        return balance.total
    tape = world.tape(f"{balance.currency}-USD")
    if tape is None or not tape.bids:
        return ZERO
    return EXACT.multiply(balance.total, tape.listing.scale.price(tape.bids[0][0]).value)
