"""The channels: who subscribed to what, and what each of them is told when the world moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.domain.product import ProductId
from bot.venue.orders import OrderChanged, OrderRecord, VenueEvent
from simulator.channels import Renderer, status_event
from simulator.markets.ladder import Side
from simulator.markets.tape import Tape, Tick
from simulator.session import Session
from simulator.text import at_us, dumps, go_time
from simulator.wire import user_order
from simulator.world import World

MARKET_CHANNELS: Final = ("ticker", "ticker_batch", "candles", "market_trades", "level2", "status")
ALL_CHANNELS: Final = frozenset({*MARKET_CHANNELS, "heartbeats", "user"})
USER_BATCH: Final = 50
CANDLE_S: Final = 300
SNAPSHOT_CANDLES: Final = 100
SNAPSHOT_TRADES: Final = 100
BATCH_S: Final = 5
STATUS_S: Final = 60
IDLE: Final = timedelta(seconds=90)
_UPTIME_S: Final = 41_000
_NO_POSITIONS: Final[dict[str, list[object]]] = {"perpetual_futures_positions": [], "expiring_futures_positions": []}


class Feed:
    """Tells sessions what happens. An Audience of the world; nothing is written until `flush`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[Session, None] = {}
        self._renderers = {str(market): Renderer(tape) for market, tape in world.tapes.items()}
        self._books: dict[str, tuple[Side, Side]] = {}
        self._candled: dict[str, int] = {}
        self._beaten_s = at_us(world.now) // 1_000_000
        self._batched: dict[str, int] = {}

    @property
    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._sessions)

    def join(self, session: Session) -> None:
        self._sessions[session] = None

    def leave(self, session: Session) -> None:
        self._sessions.pop(session, None)

    def flush(self) -> None:
        for session in self._sessions:
            session.flush()

    def subscribe(self, session: Session, channel: str, products: Sequence[str]) -> None:
        """Snapshots first, one message a product, then the acknowledgement; heartbeats begin after it."""
        wanted = session.channels.setdefault(channel, {})
        fresh = [name for name in self._names(channel, products) if name not in wanted]
        wanted.update(dict.fromkeys(fresh))
        if channel == "user":
            self._user_snapshot(session)
        elif channel == "status":
            self._tell_status(session, self._world.now)
        elif channel != "heartbeats":
            for name in fresh:
                self._snapshot(session, channel, name)
        self._acknowledge(session)

    def unsubscribe(self, session: Session, channel: str, products: Sequence[str]) -> None:
        wanted = session.channels.get(channel, {})
        for name in self._names(channel, products) if products else list(wanted):
            wanted.pop(name, None)
        if not wanted:
            session.channels.pop(channel, None)
        self._acknowledge(session)

    def idle(self, now: datetime) -> list[Session]:
        """Sessions the venue would close because they have been told nothing for too long."""
        return [session for session in self._sessions if now - session.last_sent > IDLE]

    # ------------------------------------------------------------------------------------------------- the audience

    def ticked(self, tape: Tape, tick: Tick, now: datetime) -> None:
        name = str(tape.listing.id)
        if name in self._world.conditions.feed.silent_products:
            return
        renderer = self._renderers[name]
        if tick.trades and (listeners := self._listening("market_trades", name)):
            _tell(listeners, "market_trades", renderer.trades("update", reversed(tick.trades)), now)
        if tick.moved and (listeners := self._listening("level2", name)):
            before, after = self._books.get(name, ([], [])), self._shown(tape)
            self._books[name] = after
            text = renderer.book_update(before, after, at_us(now))
            if text:
                _tell(listeners, "l2_data", text, now)
        if tick.trades and (listeners := self._listening("ticker", name)):
            _tell(listeners, "ticker", renderer.ticker("update", False, *self._shown(tape)), now)

    def happened(self, events: Sequence[VenueEvent], now: datetime) -> None:
        for event in events:
            if isinstance(event, OrderChanged):
                self._tell_users(event.order, now)

    def stepped(self, now: datetime) -> None:
        second = at_us(now) // 1_000_000
        for beat in range(self._beaten_s + 1, second + 1):
            self._beat(beat, now)
        self._beaten_s = max(self._beaten_s, second)

    # ------------------------------------------------------------------------------------------------- every second

    def _beat(self, second: int, now: datetime) -> None:
        listeners = [session for session in self._sessions if "heartbeats" in session.channels]
        if listeners and not self._world.conditions.feed.no_heartbeats:
            counter = second - self._world.market.start + _UPTIME_S
            time = go_time(second * 1_000_000, counter * 1_000_000)
            _tell(listeners, "heartbeats", f'{{"current_time":"{time}","heartbeat_counter":{counter}}}', now)
        self._candle_updates(now)
        if second % BATCH_S == 0:
            self._batch_updates(now)
        if second % STATUS_S == 0:
            for session in self._sessions:
                if "status" in session.channels:
                    self._tell_status(session, now)

    def _tell_status(self, session: Session, now: datetime) -> None:
        """The listings asked for; all of them for whoever named none."""
        asked = session.channels["status"]
        session.send("status", status_event([p for p in self._world.products() if not asked or p.id in asked]), now)

    def _candle_updates(self, now: datetime) -> None:
        for name, listeners in self._by_product("candles"):
            tape = self._world.tapes[ProductId(name)]
            if self._is_news(self._candled, name, tape):
                start = tape.minute_s // CANDLE_S * CANDLE_S
                rows = tape.rows(start, start + CANDLE_S).grouped(CANDLE_S).candles()
                if rows:
                    _tell(listeners, "candles", self._renderers[name].candles("update", rows), now)

    def _batch_updates(self, now: datetime) -> None:
        for name, listeners in self._by_product("ticker_batch"):
            if self._is_news(self._batched, name, self._world.tapes[ProductId(name)]):
                _tell(listeners, "ticker_batch", self._renderers[name].ticker("update", True, [], []), now)

    def _is_news(self, told: dict[str, int], name: str, tape: Tape) -> bool:
        """Whether a trade has printed since the last time; nothing is told of a silent product."""
        newest = tape.recent[-1][0]
        if told.get(name) == newest or name in self._world.conditions.feed.silent_products:
            return False
        told[name] = newest
        return True

    # ---------------------------------------------------------------------------------------------------- snapshots

    def _snapshot(self, session: Session, channel: str, name: str) -> None:
        tape, renderer, now = self._world.tapes[ProductId(name)], self._renderers[name], self._world.now
        if channel == "level2":
            self._books[name] = self._shown(tape)
            session.send("l2_data", renderer.book_snapshot(*self._books[name]), now)
        elif channel == "market_trades":
            newest = [*tape.recent][: -SNAPSHOT_TRADES - 1 : -1]
            session.send(channel, renderer.trades("snapshot", newest), now)
        elif channel == "candles":
            stop = tape.minute_s // CANDLE_S * CANDLE_S + CANDLE_S
            rows = tape.rows(stop - SNAPSHOT_CANDLES * CANDLE_S, stop).grouped(CANDLE_S).candles()
            session.send(channel, renderer.candles("snapshot", rows), now)
        else:
            batch = channel == "ticker_batch"
            session.send(channel, renderer.ticker("snapshot", batch, *self._shown(tape)), now)

    def _user_snapshot(self, session: Session) -> None:
        """Working orders in batches; the last one has fewer than a full batch, if need be none."""
        hidden = self._world.conditions.hidden
        working = [order for order in self._world.working() if order.order_id not in hidden]
        for first in range(0, len(working) + 1, USER_BATCH):
            kind = "update" if first else "snapshot"
            session.send("user", self._user_event(kind, working[first : first + USER_BATCH]), self._world.now)

    def _acknowledge(self, session: Session) -> None:
        shown = {channel: self._listed(channel, names) for channel, names in sorted(session.channels.items())}
        session.send("subscriptions", dumps({"subscriptions": shown}).decode(), self._world.now)

    def _listed(self, channel: str, names: Iterable[str]) -> list[str]:
        if channel == "user":
            return [self._world.holder.user]
        return ["heartbeats"] if channel == "heartbeats" else list(names)

    # ------------------------------------------------------------------------------------------------------ telling

    def _tell_users(self, order: OrderRecord, now: datetime) -> None:
        if order.order_id in self._world.conditions.hidden:
            return
        text = ""
        for session in self._sessions:
            asked = session.channels.get("user")
            if asked is not None and (not asked or order.product in asked):
                text = text or self._user_event("update", [order])
                session.send("user", text, now)

    def _user_event(self, kind: str, orders: Sequence[OrderRecord]) -> str:
        shown = [user_order(order, self._world.holder) for order in orders]
        return dumps({"type": kind, "orders": shown, "positions": _NO_POSITIONS}).decode()

    def _names(self, channel: str, products: Sequence[str]) -> list[str]:
        """Product ids as a channel uses them: the market's own id, but the very id on `user` and `status`."""
        if channel == "heartbeats":
            return []
        known = [name for name in products if self._world.tape(name) is not None]
        return (
            known
            if channel in {"user", "status"}
            else list(dict.fromkeys(str(self._world.market_of(n)) for n in known))
        )

    def _listening(self, channel: str, name: str) -> list[Session]:
        return [session for session in self._sessions if session.wants(channel, name)]

    def _by_product(self, channel: str) -> list[tuple[str, list[Session]]]:
        """Each product somebody follows on a channel, with those who do."""
        found: dict[str, list[Session]] = {}
        for session in self._sessions:
            for name in session.channels.get(channel, ()):
                found.setdefault(name, []).append(session)
        return list(found.items())

    def _shown(self, tape: Tape) -> tuple[Side, Side]:
        return self._world.shown_book(tape)


def _tell(listeners: Iterable[Session], channel: str, event: str, now: datetime) -> None:
    for session in listeners:
        session.send(channel, event, now)
