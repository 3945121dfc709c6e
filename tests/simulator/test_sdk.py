"""The official SDK, unmodified, does everything spot against the simulated venue."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from coinbase.rest import RESTClient
from requests import HTTPError

from simulator.keys import Algorithm
from simulator.server import Simulator, SimulatorConfig
from tests.simulator.conftest import sdk

_NUMBERS = itertools.count()


def cid() -> str:
    return str(uuid.UUID(int=next(_NUMBERS) + (1 << 100)))


def touch(client: RESTClient, product: str = "BTC-USD") -> tuple[Decimal, Decimal]:
    book = client.get_product_book(product, limit=1).pricebook
    return Decimal(book.bids[0].price), Decimal(book.asks[0].price)


def placed(answer) -> str:
    assert answer.success, answer.to_dict()
    return str(answer.success_response["order_id"])


def refused(answer) -> dict[str, str]:
    assert answer.success is False
    return dict(answer.error_response)


def test_the_environment_alone_points_the_sdk_here(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """REQUESTS_CA_BUNDLE is how the SDK is run without touching a line of its code."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", sim.ca_file)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = RESTClient(api_key=sim.key.name, api_secret=sim.key.secret, base_url=sim.host)
    assert client.get_api_key_permissions().portfolio_uuid == sim.holder.portfolio


def test_a_client_without_the_ca_is_turned_away(sim: Simulator) -> None:
    client = RESTClient(api_key=sim.key.name, api_secret=sim.key.secret, base_url=sim.host)
    client.session.trust_env = False
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get_accounts()


def test_an_ed25519_key_works_as_well() -> None:
    with Simulator(SimulatorConfig(products=1, algorithm=Algorithm.ED25519)) as sim:
        assert sdk(sim).get_accounts().size == 1


def test_time_is_trading_time_in_three_texts(client: RESTClient, calm: Simulator) -> None:
    now = int(calm.now().timestamp())
    time = client.get_unix_time()
    assert (time.epoch_seconds, time.epoch_millis) == (str(now), f"{now}000")


def test_accounts_come_in_pages(client: RESTClient) -> None:
    whole = client.get_accounts(limit=250)
    names = [account.currency for account in whole.accounts]
    assert {"USD", "COMP", "DASH", "ZRX"} <= set(names)
    assert whole.has_next is False
    seen, cursor = [], None
    for _ in names:
        page = client.get_accounts(limit=1, cursor=cursor)
        seen.append(page.accounts[0].currency)
        cursor = page.cursor
        if not page.has_next:
            break
    assert seen == names
    assert client.get_account(whole.accounts[0].uuid).account.currency == names[0]


def test_products_books_and_candles(client: RESTClient, calm: Simulator) -> None:
    products = client.get_products(get_tradability_status=True)
    assert {"BTC-USD", "BTC-USDC", "ETH-USD"} <= {product.product_id for product in products.products}
    assert client.get_products(product_ids=["ETH-USD"]).num_products == 1
    assert client.get_products(product_type="FUTURE").num_products == 0
    with pytest.raises(HTTPError, match="is not a valid value"):
        client.get_products(product_type="STONKS")
    assert client.get_product("BTC-USDC").alias == "BTC-USD"
    book = client.get_product_book("BTC-USDC", limit=3).pricebook
    assert (book.product_id, len(book.bids), len(book.asks)) == ("BTC-USDC", 3, 3)
    assert len(client.get_best_bid_ask(["BTC-USD", "ETH-USD"]).pricebooks) == 2
    end = int(calm.now().timestamp()) // 60 * 60
    rows = client.get_candles("BTC-USD", str(end - 3600), str(end), "ONE_MINUTE").candles
    assert [int(row.start) for row in rows] == list(range(end - 60, end - 3660, -60))
    trades = client.get_market_trades("BTC-USD", 5)
    assert [int(t.trade_id) for t in trades.trades] == sorted((int(t.trade_id) for t in trades.trades), reverse=True)
    assert Decimal(trades.best_bid) < Decimal(trades.best_ask)


def test_public_paths_need_no_key(sim: Simulator) -> None:
    client = RESTClient(base_url=sim.host)
    client.session.verify = sim.ca_file
    client.session.trust_env = False
    end = int(sim.now().timestamp())
    assert client.get_public_products().num_products == 7
    assert client.get_public_product("ETH-USD").product_id == "ETH-USD"
    assert client.get_public_product_book("ETH-USD", limit=1).pricebook.bids
    assert len(client.get_public_candles("ETH-USD", str(end - 600), str(end), "FIVE_MINUTE").candles) == 2
    assert client.get_public_market_trades("ETH-USD", 3).trades
    assert client.get_unix_time().epoch_seconds


def test_a_post_only_order_rests_is_read_back_and_cancelled(client: RESTClient) -> None:
    bid, _ = touch(client)
    name = cid()
    order_id = placed(client.limit_order_gtc_buy(name, "BTC-USD", "0.001", str(bid - 100), post_only=True))
    order = client.get_order(order_id).order
    assert (order.status, order.client_order_id, order.filled_size) == ("OPEN", name, "0")
    assert order.order_configuration.limit_limit_gtc.post_only is True
    assert Decimal(order.outstanding_hold_amount) > Decimal("0.001") * (bid - 100)
    assert order_id in {o.order_id for o in client.list_orders(order_status=["OPEN"]).orders}
    cancelled = client.cancel_orders([order_id]).results[0]
    assert (cancelled.success, cancelled.failure_reason) == (True, "UNKNOWN_CANCEL_FAILURE_REASON")
    ended = client.get_order(order_id).order
    assert (ended.status, ended.cancel_message, ended.outstanding_hold_amount) == (
        "CANCELLED",
        "User requested cancel",
        "0",
    )
    assert client.cancel_orders([order_id]).results[0].failure_reason == "UNKNOWN_CANCEL_ORDER"


def test_a_market_buy_in_dollars_is_booked_in_quote_and_sold_again(client: RESTClient) -> None:
    bought = placed(client.market_order_buy(cid(), "ETH-USD", quote_size="50"))
    order = client.get_order(bought).order
    assert (order.status, order.size_in_quote, order.size_inclusive_of_fees) == ("FILLED", True, True)
    fills = client.get_fills(order_ids=[bought]).fills
    assert [fill.size_in_quote for fill in fills] == [True] * len(fills)
    assert sum(Decimal(fill.size) for fill in fills) == Decimal(order.filled_value)
    held = next(a for a in client.get_accounts().accounts if a.currency == "ETH")
    sellable = Decimal(held.available_balance["value"]).quantize(Decimal("1e-8"), rounding="ROUND_DOWN")
    sold = placed(client.market_order_sell(cid(), "ETH-USD", base_size=str(sellable)))
    assert client.get_order(sold).order.total_value_after_fees == str(
        Decimal(client.get_order(sold).order.filled_value) - Decimal(client.get_order(sold).order.total_fees)
    )


def test_every_kind_of_limit_order_finds_its_end(client: RESTClient, calm: Simulator) -> None:
    bid, ask = touch(client, "SOL-USD")
    ioc = placed(client.limit_order_ioc_buy(cid(), "SOL-USD", "0.5", str(ask)))
    fok = placed(client.limit_order_fok_buy(cid(), "SOL-USD", "0.5", str(bid - 5)))
    end_time = (calm.now() + timedelta(seconds=30)).isoformat()
    gtd = placed(client.limit_order_gtd_buy(cid(), "SOL-USD", "0.5", str(bid - 5), end_time))
    assert client.get_order(ioc).order.status == "FILLED"
    assert client.get_order(fok).order.status == "CANCELLED"
    assert client.get_order(gtd).order.status == "OPEN"
    calm.run_for(31)
    assert client.get_order(gtd).order.status == "EXPIRED"


def test_stops_and_brackets_guard_a_holding(client: RESTClient) -> None:
    _, ask = touch(client, "XRP-USD")
    placed(client.limit_order_ioc_buy(cid(), "XRP-USD", "100", str(ask)))
    stop, limit, target = (
        str((ask * factor).quantize(Decimal("0.0001"))) for factor in map(Decimal, ("0.9", "0.89", "1.2"))
    )
    guard = placed(client.stop_limit_order_gtc_sell(cid(), "XRP-USD", "10", limit, stop, "STOP_DIRECTION_STOP_DOWN"))
    assert client.get_order(guard).order.trigger_status == "STOP_PENDING"
    bracket = placed(client.trigger_bracket_order_gtc_sell(cid(), "XRP-USD", "10", target, stop))
    order = client.get_order(bracket).order
    assert order.order_type == "BRACKET"
    assert client.cancel_orders([guard, bracket]).results[0].success


def test_previews_say_what_would_happen_and_book_nothing(client: RESTClient) -> None:
    before = len(client.list_orders().orders)
    bid, ask = touch(client)
    good = client.preview_limit_order_gtc_buy("BTC-USD", "0.001", str(bid - 1), post_only=True)
    assert (good.errs, good.base_size) == ([], "0.001")
    assert client.preview_limit_order_gtc_buy("BTC-USD", "0.001", str(ask + 10), post_only=True).errs == [
        "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"
    ]
    assert "PREVIEW_INSUFFICIENT_FUND" in client.preview_market_order_buy("BTC-USD", quote_size="1000000").errs
    assert len(client.list_orders().orders) == before


def test_an_order_is_edited_and_an_edit_previewed(client: RESTClient) -> None:
    bid, _ = touch(client)
    order_id = placed(client.limit_order_gtc_buy(cid(), "BTC-USD", "0.001", str(bid - 100)))
    assert client.preview_edit_order(order_id, size="0.002", price=str(bid - 200)).errors == []
    assert client.edit_order(order_id, size="0.002", price=str(bid - 200)).success
    order = client.get_order(order_id).order
    assert order.order_configuration.limit_limit_gtc.limit_price == str(bid - 200)
    failed = client.edit_order(order_id, price=str(bid - 200))
    assert (failed.success, failed.errors[0].edit_failure_reason) == (False, "INVALID_EDITED_SIZE")
    client.cancel_orders([order_id])


@pytest.mark.parametrize(
    ("order", "error", "preview", "message"),
    [
        (("BTC-USD", "0.001", "60000.001"), "INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION",
         "Too many decimals in order price"),
        (("BTC-USD", "0.0000000001", "60000"), "INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION",
         "Too many decimals in order amount"),
        (("BTC-USD", "1", "60000"), "INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND",
         "Insufficient balance in source account"),
        (("NOPE-USD", "1", "60000"), "INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID", None),
        (("BTC-USD", "1E-8", "60000"), "UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_NON_NUMERIC_ORDER_SIZE", None),
        (("BTC-USD", "NaN", "60000"), "UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_NON_NUMERIC_ORDER_SIZE", None),
    ],
)  # fmt: skip
def test_a_bad_order_is_refused_by_name_with_http_200(client: RESTClient, order, error, preview, message) -> None:
    answer = refused(client.limit_order_gtc_buy(cid(), *order))
    assert (answer["error"], answer["preview_failure_reason"]) == (error, preview)
    assert message is None or answer["message"] == message


def test_a_market_sell_in_dollars_is_refused_in_the_venues_words(client: RESTClient) -> None:
    answer = refused(client.market_order(cid(), "BTC-USD", "SELL", quote_size="10"))
    assert answer["error"] == "UNSUPPORTED_ORDER_CONFIGURATION"
    assert "Market sells must be parameterized in base currency" in answer["message"]


def test_a_known_client_id_answers_the_old_order_with_the_new_echo(client: RESTClient) -> None:
    """Coinbase creates nothing; two users took the echo for a fill that never came."""
    bid, _ = touch(client)
    name = cid()
    first = client.limit_order_gtc_buy(name, "BTC-USD", "0.001", str(bid - 100))
    again = client.limit_order_gtc_buy(name, "BTC-USD", "0.002", str(bid - 300))
    assert placed(again) == placed(first)
    assert again.order_configuration.limit_limit_gtc.base_size == "0.002"
    assert client.get_order(placed(first)).order.order_configuration.limit_limit_gtc.base_size == "0.001"
    client.cancel_orders([placed(first)])


def test_fees_permissions_and_portfolios(client: RESTClient, calm: Simulator) -> None:
    tier = client.get_transaction_summary(product_type="SPOT").fee_tier
    assert (tier["maker_fee_rate"], tier["taker_fee_rate"]) == ("0.005", "0.009")
    rights = client.get_api_key_permissions()
    assert (rights.can_view, rights.can_trade, rights.can_transfer) == (True, True, False)
    (portfolio,) = client.get_portfolios().portfolios
    breakdown = client.get_portfolio_breakdown(portfolio.uuid).breakdown
    assert portfolio.uuid == calm.holder.portfolio
    assert any(position.asset == "USD" for position in breakdown.spot_positions)


def test_rate_headers_reach_the_sdk(sim: Simulator) -> None:
    answer = sdk(sim, rate_limit_headers=True).get("/api/v3/brokerage/key_permissions")
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer)


def test_an_unknown_body_field_fails_the_order(client: RESTClient) -> None:
    with pytest.raises(HTTPError, match=r'400 .*unknown field \\"max_floor\\"'):
        client.limit_order_gtc_buy(cid(), "BTC-USD", "0.001", "60000", max_floor="1")


def test_lists_are_filtered_by_the_plural_names_only(client: RESTClient) -> None:
    bid, _ = touch(client)
    order_id = placed(client.limit_order_gtc_buy(cid(), "BTC-USD", "0.001", str(bid - 100)))
    placed(client.market_order_buy(cid(), "ETH-USD", quote_size="10"))
    by_product = client.list_orders(product_ids=["BTC-USD"]).orders
    ignored = client.get("/api/v3/brokerage/orders/historical/batch", params={"product_id": "NOPE-USD", "limit": 1000})
    everything = client.list_orders(limit=1000).orders
    assert {order.product_id for order in by_product} == {"BTC-USD"}
    assert len(ignored["orders"]) == len(everything) > len(by_product)
    assert [o.order_id for o in client.list_orders(order_ids=[order_id]).orders] == [order_id]
    client.cancel_orders([order_id])


def test_orders_and_fills_walk_page_by_page(client: RESTClient) -> None:
    for _ in range(3):
        placed(client.market_order_buy(cid(), "ETH-USD", quote_size="10"))
    whole = [order.order_id for order in client.list_orders(limit=1000).orders]
    seen: list[str] = []
    page = SimpleNamespace(cursor=None, has_next=True)
    while page.has_next:
        page = client.list_orders(limit=2, cursor=page.cursor)
        seen += [order.order_id for order in page.orders]
    assert seen == whole
    rows = client.get_fills(limit=1000).fills
    entries: list[str] = []
    cursor: str | None = None
    while cursor != "":
        fills = client.get_fills(limit=1, cursor=cursor)
        entries += [fill.entry_id for fill in fills.fills]
        cursor = fills.cursor
    assert entries == [row.entry_id for row in rows]
