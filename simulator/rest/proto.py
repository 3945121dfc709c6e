"""Request bodies as a protobuf JSON reader takes them: an unknown field or a wrong type is a 400 that says where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from simulator.rest.call import unparsable

TEXT: Final = "string"
FLAG: Final = "bool"
TEXTS: Final = "strings"
ANY: Final = "any"

Schema = Mapping[str, "str | Schema"]


def read_body(raw: bytes, schema: Schema) -> dict[str, Any]:
    """The object in a request body; fields that are null are as good as absent. Raises Refusal."""
    text = raw.decode("utf-8", "replace").strip()
    if not text:
        return {}
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        raise unparsable(f"proto: syntax error (line 1:1): unexpected token {text[:20]}") from None
    if not isinstance(document, dict):
        raise unparsable(f"proto: syntax error (line 1:1): unexpected token {text[:1]}")
    return _checked(document, schema, text)


def _checked(document: dict[str, Any], schema: Schema, text: str) -> dict[str, Any]:
    kept = {}
    for name, value in document.items():
        kind = schema.get(name)
        if kind is None:
            raise unparsable(f'proto: {_place(text, name)}: unknown field "{name}"')
        if value is not None:
            kept[name] = _value(name, value, kind, text)
    return kept


def _value(name: str, value: Any, kind: str | Schema, text: str) -> Any:
    if isinstance(kind, Mapping):
        if not isinstance(value, dict):
            raise unparsable(f"proto: syntax error {_place(text, name)}: unexpected token {json.dumps(value)[:20]}")
        return _checked(value, kind, text)
    fits = {
        TEXT: isinstance(value, str),
        FLAG: isinstance(value, bool),
        TEXTS: isinstance(value, list) and all(isinstance(item, str) for item in value),
        ANY: True,
    }[kind]
    if not fits:
        raise unparsable(f"proto: {_place(text, name)}: invalid value for {kind} type: {json.dumps(value)[:40]}")
    return value


def _place(text: str, name: str) -> str:
    return f"(line 1:{text.find(json.dumps(name)) + 1})"


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_SIZES: Final[Schema] = {"base_size": TEXT, "quote_size": TEXT}
_EXTRAS: Final[Schema] = {"rfq_disabled": FLAG, "rfq_enabled": FLAG, "reduce_only": FLAG}
_LIMIT: Final[Schema] = {**_SIZES, "limit_price": TEXT, **_EXTRAS}
_STOP: Final[Schema] = {"base_size": TEXT, "limit_price": TEXT, "stop_price": TEXT, "stop_direction": TEXT, **_EXTRAS}
_BRACKET: Final[Schema] = {"base_size": TEXT, "limit_price": TEXT, "stop_trigger_price": TEXT, **_EXTRAS}

CONFIGURATION: Final[Schema] = {
    "market_market_ioc": {**_SIZES, **_EXTRAS},
    "market_market_fok": {**_SIZES, **_EXTRAS},
    "sor_limit_ioc": _LIMIT,
    "limit_limit_gtc": {**_LIMIT, "post_only": FLAG},
    "limit_limit_gtd": {**_LIMIT, "post_only": FLAG, "end_time": TEXT},
    "limit_limit_fok": _LIMIT,
    "stop_limit_stop_limit_gtc": _STOP,
    "stop_limit_stop_limit_gtd": {**_STOP, "end_time": TEXT},
    "trigger_bracket_gtc": _BRACKET,
    "trigger_bracket_gtd": {**_BRACKET, "end_time": TEXT},
    "twap_limit_gtd": {
        **_LIMIT, "start_time": TEXT, "end_time": TEXT, "number_buckets": TEXT, "bucket_size": TEXT,
        "bucket_duration": TEXT,
    },
    "scaled_limit_gtc": {
        **_SIZES, "orders": ANY, "num_orders": ANY, "min_price": TEXT, "max_price": TEXT,
        "price_distribution": TEXT, "size_distribution": TEXT, "size_diff": TEXT, "size_ratio": TEXT,
    },
}  # fmt: skip

ATTACHED: Final[Schema] = {"trigger_bracket_gtc": _BRACKET, "trigger_bracket_gtd": {**_BRACKET, "end_time": TEXT}}

PREVIEW: Final[Schema] = {
    "product_id": TEXT,
    "side": TEXT,
    "order_configuration": CONFIGURATION,
    "attached_order_configuration": ATTACHED,
    "sor_preference": TEXT,
    "leverage": TEXT,
    "margin_type": TEXT,
    "retail_portfolio_id": TEXT,
    "prediction_metadata": ANY,
    "equity_order_metadata": ANY,
    "cost_basis_method": TEXT,
}

CREATE: Final[Schema] = {**PREVIEW, "client_order_id": TEXT, "preview_id": TEXT}
CANCEL: Final[Schema] = {"order_ids": TEXTS}
EDIT: Final[Schema] = {
    "order_id": TEXT,
    "price": TEXT,
    "size": TEXT,
    "stop_price": TEXT,
    "attached_order_configuration": ATTACHED,
    "cancel_attached_order": FLAG,
}
PORTFOLIO: Final[Schema] = {"name": TEXT}
MOVE: Final[Schema] = {
    "funds": {"value": TEXT, "currency": TEXT},
    "source_portfolio_uuid": TEXT,
    "target_portfolio_uuid": TEXT,
}
NOTHING: Final[Schema] = {}
