"""Portfolio administration: a key sees one portfolio, and this venue has no second one to move money to."""

from __future__ import annotations

from simulator.keys import named_uuid
from simulator.rest.backend import Backend
from simulator.rest.call import Answer, Call, invalid, ok, refusal


def create_portfolio(backend: Backend, call: Call) -> Answer:
    name = call.body.get("name", "")
    if not name:
        raise invalid("portfolio name is required")
    uuid = named_uuid(backend.holder.user, "portfolio", name)
    return ok({"portfolio": {"name": name, "uuid": uuid, "type": "CONSUMER", "deleted": False}})


def edit_portfolio(backend: Backend, call: Call) -> Answer:
    uuid = _own(backend, call)
    return ok({"portfolio": {"name": call.body.get("name", ""), "uuid": uuid, "type": "DEFAULT", "deleted": False}})


def delete_portfolio(backend: Backend, call: Call) -> Answer:
    _own(backend, call)
    raise invalid("cannot delete default portfolio")


def move_funds(backend: Backend, call: Call) -> Answer:
    source, target = call.body.get("source_portfolio_uuid", ""), call.body.get("target_portfolio_uuid", "")
    if source != backend.holder.portfolio:
        raise refusal(404, "NOT_FOUND", "portfolio not found")
    raise invalid(f"portfolio {target or 'None'} cannot receive funds")


def _own(backend: Backend, call: Call) -> str:
    uuid = call.names["uuid"]
    if not backend.sees(call.key) or uuid != backend.holder.portfolio:
        raise refusal(404, "NOT_FOUND", "portfolio not found")
    return uuid
