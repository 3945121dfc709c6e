"""Everything a venue must remember over a restart, as one value: orders, fills, wallets, duties and counters."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.product import Product
from bot.domain.value import Value
from bot.venue.agenda import Due
from bot.venue.orders import OrderRecord, VenueFill

VERSION: Final = 1


class KeptWallet(Value):
    """ledger: opening + fills - fees + transfers so far; equals available + hold."""

    currency: str
    available: Decimal
    hold: Decimal
    ledger: Decimal


class KeptOrder(Value):
    """An order and its place in the queue; children: ids of its attached brackets, oldest first."""

    record: OrderRecord
    number: int
    rank: int
    since: datetime
    bars_left: int
    live: bool
    taking: bool
    children: tuple[str, ...]


class KeptVolume(Value):
    at: datetime
    dollars: Decimal


class KeptRelease(Value):
    """Money of a cancelled order that leaves its hold at `due`."""

    due: datetime
    currency: str
    amount: Decimal


class Kept(Value):
    """One venue between two runs. now: time of its last event; seed, order_ids, fill_ids: where its ids go on.

    Market data is not kept: the first slices after a restart bring it.
    """

    version: int
    seed: int
    now: datetime
    order_ids: int
    fill_ids: int
    ranks: int
    events: int
    products: tuple[Product, ...]
    wallets: tuple[KeptWallet, ...]
    orders: tuple[KeptOrder, ...]
    fills: tuple[VenueFill, ...]
    volume: tuple[KeptVolume, ...]
    releases: tuple[KeptRelease, ...]
    ends: tuple[Due, ...]
    arrivals: tuple[Due, ...]
