"""Every endpoint with its path, its scope and the body it takes. The first row that fits wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bot.domain.value import Value
from simulator.keys import Scope
from simulator.rest import accounts, history, orders, portfolios, products, proto
from simulator.rest.backend import Backend
from simulator.rest.call import Answer, Call
from simulator.rest.proto import NOTHING, Schema

PREFIX: Final = "/api/v3/brokerage"
Handler = Callable[[Backend, Call], Answer]


class Endpoint(Value):
    """scope: None on public paths. body: None where a body is read and ignored, as on every GET."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None
    body: Schema | None = None

    @property
    def public(self) -> bool:
        return self.scope is None


VIEW, TRADE, TRANSFER = Scope.VIEW, Scope.TRADE, Scope.TRANSFER

ENDPOINTS: Final = (
    Endpoint("GET", "/time", accounts.server_time, None),
    Endpoint("GET", "/market/products", products.products, None),
    Endpoint("GET", "/market/product_book", products.product_book, None),
    Endpoint("GET", "/market/products/{product_id}", products.one_product, None),
    Endpoint("GET", "/market/products/{product_id}/candles", products.candles, None),
    Endpoint("GET", "/market/products/{product_id}/ticker", products.market_trades, None),
    Endpoint("GET", "/accounts", accounts.accounts, VIEW),
    Endpoint("GET", "/accounts/{uuid}", accounts.one_account, VIEW),
    Endpoint("GET", "/products", products.products, VIEW),
    Endpoint("GET", "/products/{product_id}", products.one_product, VIEW),
    Endpoint("GET", "/products/{product_id}/candles", products.candles, VIEW),
    Endpoint("GET", "/products/{product_id}/ticker", products.market_trades, VIEW),
    Endpoint("GET", "/product_book", products.product_book, VIEW),
    Endpoint("GET", "/best_bid_ask", products.best_bid_ask, VIEW),
    Endpoint("POST", "/orders", orders.create, TRADE, proto.CREATE),
    Endpoint("POST", "/orders/preview", orders.preview, VIEW, proto.PREVIEW),
    Endpoint("POST", "/orders/batch_cancel", orders.batch_cancel, TRADE, proto.CANCEL),
    Endpoint("POST", "/orders/edit", orders.edit, TRADE, proto.EDIT),
    Endpoint("POST", "/orders/edit_preview", orders.edit_preview, VIEW, proto.EDIT),
    Endpoint("GET", "/orders/historical/batch", history.orders, VIEW),
    Endpoint("GET", "/orders/historical/fills", history.fills, VIEW),
    Endpoint("GET", "/orders/historical/{order_id}", history.one_order, VIEW),
    Endpoint("GET", "/transaction_summary", accounts.transaction_summary, VIEW),
    Endpoint("GET", "/key_permissions", accounts.key_permissions, VIEW),
    Endpoint("GET", "/portfolios", accounts.portfolios, VIEW),
    Endpoint("GET", "/portfolios/{uuid}", accounts.portfolio, VIEW),
    Endpoint("POST", "/portfolios", portfolios.create_portfolio, TRADE, proto.PORTFOLIO),
    Endpoint("POST", "/portfolios/move_funds", portfolios.move_funds, TRANSFER, proto.MOVE),
    Endpoint("PUT", "/portfolios/{uuid}", portfolios.edit_portfolio, TRADE, proto.PORTFOLIO),
    Endpoint("DELETE", "/portfolios/{uuid}", portfolios.delete_portfolio, TRADE, NOTHING),
)
