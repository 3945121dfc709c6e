"""What the simulated venue serves has the names, types and enum values of what the real one was recorded to serve.

Every case exists twice: against the small committed document, and against the recording where one is present.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.value import Value
from simulator.server import Simulator
from tests.simulator.conftest import sdk
from tests.simulator.raw import feed
from tests.simulator.recorded import DATA, FIXTURES
from tests.simulator.shapes import differences, unknown_values

COMMITTED = Path(__file__).parent.parent / "wire" / "simulator"
BROKERAGE = "/api/v3/brokerage"
Served = dict[str, Any]


@pytest.fixture(scope="module")
def rest(sim: Simulator) -> Callable[..., Served]:
    """A venue with a past: a resting order, a filled one, a sell, an order sized in quote; then plain GETs of it."""
    client = sdk(sim)
    book = client.get_product_book("BTC-USD", limit=1).pricebook
    low = str(Decimal(book.bids[0].price) - 500)
    client.market_order_buy("p-1", "ETH-USD", quote_size="100")
    client.market_order_sell("p-2", "ETH-USD", base_size="0.01")
    client.limit_order_gtc_buy("p-3", "BTC-USD", "0.001", low, post_only=True)

    def get(path: str, **params: Any) -> Served:
        return dict(client.get(BROKERAGE + path, params=params))

    return get


def window(sim: Simulator) -> dict[str, str]:
    end = int(sim.now().timestamp())
    return {"start": str(end - 7200), "end": str(end), "granularity": "ONE_HOUR"}


def by_client(rest: Callable[..., Served], name: str) -> Served:
    return next(o for o in rest("/orders/historical/batch")["orders"] if o["client_order_id"] == name)


def quote_fill(rest: Callable[..., Served]) -> Served:
    return next(row for row in rest("/orders/historical/fills")["fills"] if row["size_in_quote"])


CASES: dict[str, Callable[[Callable[..., Served], Simulator], Served]] = {
    "product": lambda rest, _: rest("/products/BTC-USD"),
    "products": lambda rest, _: rest("/products"),
    "product_book": lambda rest, _: rest("/product_book", product_id="BTC-USD", limit=5),
    "best_bid_ask": lambda rest, _: rest("/best_bid_ask", product_ids=["BTC-USD"]),
    "candles": lambda rest, sim: rest("/products/BTC-USD/candles", **window(sim)),
    "trades": lambda rest, _: rest("/products/BTC-USD/ticker", limit=3),
    "accounts": lambda rest, _: rest("/accounts"),
    "order_market_sell": lambda rest, _: by_client(rest, "p-2"),
    "order_market_buy_quote": lambda rest, _: by_client(rest, "p-1"),
    "order_limit_open": lambda rest, _: {"order": by_client(rest, "p-3")},
    "orders": lambda rest, _: rest("/orders/historical/batch"),
    "fills": lambda rest, _: rest("/orders/historical/fills"),
    "fill_in_quote": lambda rest, _: quote_fill(rest),
    "transaction_summary": lambda rest, _: rest("/transaction_summary"),
    "key_permissions": lambda rest, _: rest("/key_permissions"),
    "portfolios": lambda rest, _: rest("/portfolios"),
    "portfolio": lambda rest, sim: rest(f"/portfolios/{sim.holder.portfolio}"),
    "time": lambda rest, _: rest("/time"),
}


class Recording(Value):
    """Which case a recording belongs to; `pick` finds the comparable part of it."""

    case: str
    path: Path
    pick: Callable[[Any], Any] = lambda document: document

    def __str__(self) -> str:
        return f"{self.case}<-{self.path.parent.name}/{self.path.name}"


_2026 = DATA / "rest" / "advanced_fixtures_2026"
RECORDINGS = [
    Recording("product", FIXTURES / "nautilus/http_product.json"),
    Recording("products", FIXTURES / "nautilus/http_products.json"),
    Recording("product_book", FIXTURES / "nautilus/http_product_book.json"),
    Recording("product_book", FIXTURES / "coinbase-net/rest_product_book_recorded.json"),
    Recording("best_bid_ask", _2026 / "best_bid_ask.json"),
    Recording("candles", FIXTURES / "nautilus/http_candles.json"),
    Recording("trades", FIXTURES / "nautilus/http_ticker.json"),
    Recording("trades", FIXTURES / "ccxt/rest_ticker_btc_usdc_2024.json"),
    Recording("accounts", _2026 / "accounts.json"),
    Recording("accounts", FIXTURES / "nautilus/http_accounts.json"),
    Recording("order_market_sell", FIXTURES / "ccxt/rest_orders_market_sell_2023.json", lambda d: d["orders"][0]),
    Recording(
        "order_market_buy_quote",
        FIXTURES / "ccxt/rest_orders_market_buy_quote_size_2023.json",
        lambda d: d["orders"][0],
    ),
    Recording("order_limit_open", FIXTURES / "ccxt/rest_order_open_limit_2023.json"),
    Recording("order_limit_open", _2026 / "order.json"),
    Recording("orders", _2026 / "orders.json"),
    Recording("orders", FIXTURES / "nautilus/http_orders_list.json", lambda d: {**d, "orders": d["orders"][:1]}),
    Recording("fills", FIXTURES / "ccxt/rest_fills_market_sell_2023.json"),
    Recording("fills", FIXTURES / "nautilus/http_fills.json"),
    Recording("fill_in_quote", FIXTURES / "logs/rest_fill_size_in_quote_2025.json"),
    Recording("transaction_summary", FIXTURES / "coinbase-net/rest_transaction_summary_recorded.json"),
    Recording("transaction_summary", _2026 / "transaction_summary.json"),
    Recording("key_permissions", _2026 / "key_permissions.json"),
    Recording("portfolios", _2026 / "portfolios.json"),
]


@pytest.mark.parametrize("case", CASES)
def test_answers_have_every_documented_field_in_its_type(case: str, rest, sim: Simulator) -> None:
    expected = json.loads((COMMITTED / f"{case}.json").read_text())
    served = CASES[case](rest, sim)
    assert differences(_market_aside(expected), _market_aside(served)) == []
    assert unknown_values(served) == []


@pytest.mark.parametrize("recording", [r for r in RECORDINGS if r.path.exists()], ids=str)
def test_answers_have_every_recorded_field_in_its_type(recording: Recording, rest, sim: Simulator) -> None:
    expected = recording.pick(json.loads(recording.path.read_text()))
    assert differences(_market_aside(expected), _market_aside(CASES[recording.case](rest, sim))) == []


def _market_aside(document: Any) -> Any:
    """Configurations differ with the order, so only their being there is compared."""
    if isinstance(document, list):
        return [_market_aside(item) for item in document]
    if isinstance(document, dict):
        return {k: {} if k == "order_configuration" else _market_aside(v) for k, v in document.items()}
    return document


# ------------------------------------------------------------------------------------------------------------ frames


@pytest.fixture(scope="module")
def frames(sim: Simulator) -> dict[str, list[Served]]:
    """One frame or more of every channel, by channel."""
    found: dict[str, list[Served]] = {}
    for frame in _heard(sim):
        found.setdefault(frame["channel"], []).append(frame)
    return found


def _heard(sim: Simulator) -> Iterator[Served]:
    with feed(sim) as client:
        for channel in ("heartbeats", "ticker", "ticker_batch", "candles", "market_trades", "level2", "status", "user"):
            client.subscribe(channel, *(() if channel == "user" else ("ETH-USD",)))
            yield from client.rest()
        sdk(sim).market_order_buy("frames-1", "ETH-USD", quote_size="10")
        sim.run_for(70)
        yield from client.rest()


FRAME_FILES = {
    "heartbeats": ("hummingbot/ws_heartbeats_2023.json", "coinbase-net/ws_heartbeat.json"),
    "ticker": ("coinbase-net/ws_ticker.json", "nautilus/ws_ticker.json"),
    "ticker_batch": ("coinbase-net/ws_batchticker.json",),
    "candles": ("coinbase-net/ws_klines.json", "nautilus/ws_candles.json"),
    "market_trades": ("hummingbot/ws_market_trades_2024.json", "coinbase-net/ws_trades.json"),
    "l2_data": ("hummingbot/ws_l2_update_2024.json", "nautilus/ws_l2_data_snapshot.json"),
    "status": ("coinbase-net/ws_symbol.json",),
    "user": ("coinbase-net/ws_user.json", "nautilus/ws_user.json"),
    "subscriptions": ("nautilus/ws_subscriptions.json",),
}


@pytest.mark.parametrize("channel", FRAME_FILES)
def test_frames_have_every_documented_field_in_its_type(channel: str, frames) -> None:
    expected = json.loads((COMMITTED / f"ws_{channel}.json").read_text())
    assert differences(expected, _telling(frames[channel])) == []
    assert [unknown_values(frame) for frame in frames[channel]] == [[]] * len(frames[channel])


@pytest.mark.parametrize(
    ("channel", "name"),
    [(channel, name) for channel, names in FRAME_FILES.items() for name in names if (FIXTURES / name).exists()],
)
def test_frames_have_every_recorded_field_in_its_type(channel: str, name: str, frames) -> None:
    recorded = json.loads((FIXTURES / name).read_text())
    expected = recorded.get("event", recorded)
    for event in expected["events"]:
        event.pop("subscriptions", None)
        event.pop("positions", None)
    assert differences(expected, _telling(frames[channel])) == []


def _telling(frames: list[Served]) -> Served:
    """The newest frame with content: an empty snapshot shows no field of an order."""
    return next(f for f in reversed(frames) if f["events"][0].get("orders", True))


def test_one_connections_frames_are_numbered_without_a_gap(frames) -> None:
    numbers = sorted(frame["sequence_num"] for rows in frames.values() for frame in rows)
    assert numbers == list(range(len(numbers)))
