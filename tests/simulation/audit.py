"""Journal and books of a bot against what the exchange knows: problems in words, each under its invariant."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bot.domain.decision import Reason
from bot.domain.order import TRANSITIONS, OrderState, VenueStatus
from bot.domain.product import Side
from bot.domain.value import Value
from bot.settings.config import Config
from bot.venue.orders import FillBooked, OrderChanged, OrderRecord, Transferred
from simulator.world import World
from tests.simulation.findings import Findings
from tests.simulation.money import Money

ZERO, CENT = Decimal(0), Decimal("0.01")
TOLD_WITHIN = timedelta(seconds=5)
ENDED = {state.value for state in OrderState if state.is_terminal}
ENDS = {
    VenueStatus.FILLED: "FILLED", VenueStatus.CANCELLED: "CANCELED", VenueStatus.EXPIRED: "EXPIRED",
    VenueStatus.FAILED: "REJECTED",
}  # fmt: skip
QUIET_CAUSES = {"shutdown", "storage", "start_halted"}
"""Halts that are told on the way out, or that the journal cannot hold."""

Rows = Sequence[Mapping[str, Any]]
State = Mapping[str, Any]


class Truth(Value):
    """What the venue knows of one bot. accepted: own orders as they stand now; history: each of their changes."""

    world: World
    config: Config
    accepted: Mapping[str, OrderRecord]
    history: Sequence[OrderChanged]
    fills: Sequence[FillBooked]
    transfers: Sequence[Transferred]
    own: frozenset[str]
    money: Money


def compare(findings: Findings, truth: Truth, rows: Rows, state: State) -> None:
    """Every invariant that journal and books at rest can be judged by."""
    findings.found("I10/I37", _bijection(truth, rows))
    findings.found("I2", _intents(truth, rows))
    findings.found("I4", [*_books(truth, state), *_profit(truth, rows, state)])
    findings.found("I6/I40", _orders(truth, state["orders"]))
    findings.found("I13", [*_transitions(rows), *_ends(truth, state["orders"])])
    findings.found("I14", _fills(truth, rows))
    findings.found("I17", _transfers(truth, rows))
    findings.found("I26", _days(truth, rows))
    findings.found("I29", _told(rows))
    findings.found("I30", _numbers(rows, state))
    findings.found("I31", _configs(rows))
    findings.found("I37", _decisions(rows))
    findings.found("I39", _fees(truth, rows))


def nothing_lost(findings: Findings, truth: Truth, state: State, at: datetime) -> None:
    """Right after a complete cycle: what works at the venue works in the books, what it filled before is held there.

    A position may be younger than the cycle that is compared; then it is left for the next one.
    """
    believed = {order["order_id"] for order in state["orders"].values() if order["state"] not in ENDED}
    doubted = {order["client_order_id"] for order in state["orders"].values() if order["state"] == "UNKNOWN"}
    for order in truth.world.venue.working():
        if order.order_id not in truth.own or order.originating_order_id or order.updated_at == at:
            continue
        counted = order.order_id in believed or order.client_order_id in doubted
        findings.check(counted, at, f"I11/I40 {order.client_order_id} works at the venue and not in the books")
    findings.looked.update(["I11", "I40"])


def _bijection(truth: Truth, rows: Rows) -> Iterator[str]:
    recorded = {r["payload"]["client_order_id"] for r in rows if r["topic"] == "intent.recorded"}
    for order in truth.accepted.values():
        if not order.originating_order_id and order.client_order_id not in recorded:
            yield f"{order.client_order_id} is at the venue and not in the journal"


def _intents(truth: Truth, rows: Rows) -> Iterator[str]:
    """Replays the venue's history intent by intent: never two orders at work, never more than was approved."""
    intents = {r["payload"]["client_order_id"]: r["payload"] for r in rows if r["topic"] == "intent.recorded"}
    stands: dict[int, dict[str, OrderRecord]] = defaultdict(dict)
    said: set[int] = set()
    for change in truth.history:
        intent = intents.get(change.order.client_order_id)
        if intent is None:
            continue
        orders = stands[intent["intent_id"]]
        orders[change.order.order_id] = change.order
        problem = _overdone(intent, list(orders.values()), truth.config)
        if problem and intent["intent_id"] not in said:
            said.add(intent["intent_id"])
            yield f"intent {intent['intent_id']} at {change.at:%H:%M:%S}: {problem}"


def _overdone(intent: Mapping[str, Any], orders: Sequence[OrderRecord], config: Config) -> str:
    working = [order for order in orders if not order.status.is_terminal]
    total = sum((o.filled_size + (ZERO if o.status.is_terminal else o.unfilled) for o in orders), ZERO)
    if len(working) > 1:
        return f"{len(working)} orders at once"
    if total > Decimal(intent["intent_size"]):
        return f"{total} filled or open, {intent['intent_size']} approved"
    most = 2 + config.policy.execution.maker_max_reprices
    return f"{len(orders)} orders" if intent["kind"] == "entry" and len(orders) > most else ""


def _books(truth: Truth, state: State) -> Iterator[str]:
    held = truth.money.held()
    positions = {name.split("-")[0]: size_of(position) for name, position in state["positions"].items()}
    for base in held.keys() | positions.keys():
        if held.get(base, ZERO) != positions.get(base, ZERO):
            yield f"{base}: the venue holds {held.get(base, 0)}, the books {positions.get(base, 0)}"
    for balance in truth.world.venue.balances():
        ledger = state["ledgers"].get(balance.currency)
        if ledger is None and balance.total:
            yield f"{balance.currency}: {balance.total} at the venue, no ledger"
        elif ledger is not None and Decimal(ledger["anchor"]) + Decimal(ledger["flows"]) != balance.total:
            yield f"{balance.currency}: ledger residual"


def _profit(truth: Truth, rows: Rows, state: State) -> Iterator[str]:
    """Realised profit by average cost from the venue's own fills, where nobody else's coins are in the game."""
    topics = {row["topic"] for row in rows}
    foreign = any(row["topic"] == "fill.booked" and row["payload"]["foreign"] for row in rows)
    if foreign or topics & {"position.adopted", "transfer.recognised"} or state["cost_method"] != "average":
        return
    realised, size, cost = ZERO, defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for event in truth.fills:
        fill, base = event.fill, event.fill.product.base
        if fill.side is Side.BUY:
            size[base] += fill.size
            cost[base] += fill.value + fill.fee
        elif size[base]:
            part = cost[base] * fill.size / size[base]
            realised += fill.value - fill.fee - part
            size[base] -= fill.size
            cost[base] -= part
    booked = Decimal(state["realised_total"])
    if abs(realised - booked) > CENT:
        yield f"realised {realised:.4f} by the venue's fills, {booked:.4f} in the books"


def _orders(truth: Truth, orders: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    ours = {order["order_id"] for order in orders.values() if order["state"] not in ENDED}
    theirs = {o.order_id for o in truth.world.venue.working() if o.order_id in truth.own}
    if ours != theirs:
        yield f"working: books {sorted(ours)}, venue {sorted(theirs)}"


def _transitions(rows: Rows) -> Iterator[str]:
    allowed = {(old.value, new.value) for old, events in TRANSITIONS.items() for new in events.values()}
    for row in rows:
        if row["topic"] == "order.changed":
            step = (row["payload"]["from"], row["payload"]["to"])
            if step not in allowed:
                yield f"{row['payload']['client_order_id']}: {step[0]} -> {step[1]} is no listed transition"


def _ends(truth: Truth, orders: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    by_id = {order["order_id"]: order for order in orders.values() if order["order_id"]}
    for order in truth.accepted.values():
        known = by_id.get(order.order_id)
        if known is not None and known["state"] in ENDED and order.status.is_terminal:
            wanted = ENDS[order.status]
            if known["state"] != wanted:
                yield f"{order.client_order_id} is {known['state']} in the books and {wanted} at the venue"


def _fills(truth: Truth, rows: Rows) -> Iterator[str]:
    booked = [row["payload"] for row in rows if row["topic"] == "fill.booked"]
    for name, count in Counter(fill["entry_id"] for fill in booked).items():
        if count > 1:
            yield f"entry {name} was booked {count} times"
    trades = Counter((f["order_id"], f["trade_id"]) for f in booked if not f["adjustment"] and f["trade_id"])
    yield from (f"trade {trade} was booked {count} times" for trade, count in trades.items() if count > 1)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for fill in booked:
        sums[fill["order_id"]] += Decimal(fill["size"])
    for order in truth.accepted.values():
        if sums[order.order_id] != order.filled_size:
            yield f"{order.client_order_id}: {sums[order.order_id]} booked, {order.filled_size} filled at the venue"


def _transfers(truth: Truth, rows: Rows) -> Iterator[str]:
    """Every transfer of the venue is in the books as one, and nothing else is."""
    ours: dict[str, Decimal] = defaultdict(Decimal)
    theirs: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["topic"] == "transfer.recognised":
            ours[row["payload"]["currency"]] += Decimal(row["payload"]["amount"])
    for event in truth.transfers:
        theirs[event.currency] += event.amount
    for currency in ours.keys() | theirs.keys():
        if ours[currency] != theirs[currency]:
            yield f"{currency}: transfers of {ours[currency]} in the books, {theirs[currency]} at the venue"


def _days(truth: Truth, rows: Rows) -> Iterator[str]:
    """No fill moves to another UTC day than the venue's, and no event steps back in time."""
    at = {event.fill.entry_id: event.fill.trade_time for event in truth.fills}
    for row in rows:
        if row["topic"] == "fill.booked" and row["payload"]["entry_id"] in at:
            day = at[row["payload"]["entry_id"]].date().isoformat()
            if not row["payload"]["at"].startswith(day):
                yield f"fill {row['payload']['entry_id']} of {day} is booked at {row['payload']['at']}"
    seqs = [row["seq"] for row in rows]
    if seqs != sorted(set(seqs)):
        yield "the journal's sequence repeats or steps back"


def _told(rows: Rows) -> Iterator[str]:
    """Every halt has an alert of its own within moments, and the same one is said only once.

    A process that dies between the two leaves it to the next one, which tells it as soon as it runs, be it over or not.
    """
    raised = [row for row in rows if row["topic"] == "alert.raised"]
    starts = [datetime.fromisoformat(row["ts"]) for row in rows if row["topic"] == "run.started"]
    for row in rows:
        if row["topic"] == "halt.began" and row["payload"]["cause"] not in QUIET_CAUSES:
            print_of = f"halt.{row['payload']['cause']}"
            began = datetime.fromisoformat(row["ts"])
            due = [began, *_latched(rows, row), *(start for start in starts if start >= began)]
            if not any(
                alert["payload"]["fingerprint"].startswith(print_of)
                and any(abs(datetime.fromisoformat(alert["ts"]) - moment) <= TOLD_WITHIN for moment in due)
                for alert in raised
            ):
                yield f"{print_of} began at {row['ts']} without an alert within {TOLD_WITHIN}"
    seen: dict[tuple[str, str, str], datetime] = {}
    for row in raised:
        key = (row["payload"]["fingerprint"], row["payload"]["state"], row["payload"]["title"])
        at = datetime.fromisoformat(row["ts"])
        if key in seen and key[1] == "firing" and at - seen[key] < timedelta(seconds=59) and not _reset(rows, row):
            yield f"{key[0]} was said twice within a minute, at {row['ts']}"
        seen[key] = at


def _latched(rows: Rows, halt: Mapping[str, Any]) -> list[datetime]:
    """When the latch was set behind a halt: it is told at once, and the halt is recorded by the cycle that follows."""
    latches = [row for row in rows if row["topic"] == "latch.set" and row["seq"] < halt["seq"]]
    of_cause = [row["ts"] for row in latches if row["payload"]["latch"]["cause"] == halt["payload"]["cause"]]
    return [datetime.fromisoformat(of_cause[-1])] if of_cause else []


def _reset(rows: Rows, alert: Mapping[str, Any]) -> bool:
    """Whether the alert had been resolved, or the process was a new one, since it was last said."""
    last = max(
        (r["seq"] for r in rows if r["topic"] == "alert.raised" and r["seq"] < alert["seq"]
         and r["payload"]["fingerprint"] == alert["payload"]["fingerprint"] and r["payload"]["state"] == "firing"),
        default=0,
    )  # fmt: skip
    return any(
        last < r["seq"] < alert["seq"]
        and (
            r["topic"] in {"run.started", "journal.genesis_renewed"}
            or (
                r["topic"] == "alert.raised"
                and r["payload"]["state"] == "resolved"
                and r["payload"]["fingerprint"] == alert["payload"]["fingerprint"]
            )
        )
        for r in rows
    )


_ABSURD = re.compile(
    r'"-?(nan|snan|inf|infinity)"|NaN|Infinity|"(?![0-9a-f]{16}")-?[0-9.]*E[+-]?[0-9]+"', re.IGNORECASE
)
"""Texts that are no plain numbers. A hash of sixteen digits may look like one with an exponent."""
_NEVER_NEGATIVE = ("size", "limit_price", "price", "filled", "filled_value", "fee", "fees", "cost")


def _numbers(rows: Rows, state: State) -> Iterator[str]:
    for source, document in (("state", state), *((f"journal {row['seq']}", row["payload"]) for row in rows)):
        if found := _ABSURD.search(json.dumps(_without_words(document))):
            yield f"{source} holds {found[0]}"
        yield from (f"{source}: {path} is {value}" for path, value in _negative(document, ""))


def _without_words(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document without the sentence that quotes what somebody else said."""
    return {key: value for key, value in document.items() if key != "detail"}


def _negative(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Numbers below zero under names that never are; adjustments of fills excepted."""
    if isinstance(node, Mapping):
        if node.get("adjustment"):
            return
        for key, value in node.items():
            if key in _NEVER_NEGATIVE and isinstance(value, str) and value.startswith("-"):
                yield f"{path}.{key}", value
            else:
                yield from _negative(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from _negative(value, path)


def _configs(rows: Rows) -> Iterator[str]:
    """The configuration named on an event is the one last taken up, and every event names one."""
    running = ""
    for row in rows:
        if row["topic"] == "config.loaded":
            running = row["payload"]["config_hash"]
        elif not row["config_hash"] or (running and row["config_hash"] != running):
            yield f"event {row['seq']} names {row['config_hash'][:8]}, in force is {running[:8]}"


def _decisions(rows: Rows) -> Iterator[str]:
    """At most one decision a cycle, each with a reason from the closed list."""
    reasons = {reason.value for reason in Reason} | {""}
    made = [row for row in rows if row["topic"] in {"decision.made", "decision.repeated"}]
    for row in made:
        if row["payload"]["reason"] not in reasons:
            yield f"unknown reason {row['payload']['reason']!r}"
        for verdict in row["payload"].get("verdicts", ()):
            if verdict.get("reason", "") not in reasons:
                yield f"unknown reason {verdict['reason']!r} of gate {verdict.get('gate')}"
    cycles = Counter(row["cycle_id"] for row in made if row["topic"] == "decision.made" and row["cycle_id"])
    yield from (f"cycle {name} has {count} decisions" for name, count in cycles.items() if count > 1)


def _fees(truth: Truth, rows: Rows) -> Iterator[str]:
    """No fill costs more than was assumed at sizing, unless a breaker says so before the next entry."""
    assumed = truth.config.policy.fees.worst_taker_pct.fraction
    breakers = [
        datetime.fromisoformat(row["ts"])
        for row in rows
        if row["topic"] == "breaker.changed" and row["payload"]["breaker"]["name"] == "fee_above_assumed"
    ]
    buys = [order.created_at for order in truth.accepted.values() if order.side is Side.BUY]
    for event in truth.fills:
        fill = event.fill
        if fill.fee <= fill.value * assumed + CENT:
            continue
        later = min((at for at in buys if at > event.at), default=None)
        if later is not None and not any(event.at <= at <= later for at in breakers):
            yield f"fill {fill.entry_id} cost {fill.fee}, and an entry followed without a word"


def size_of(position: Mapping[str, Any]) -> Decimal:
    """Whole holding of a market: the bot's own coins and those of others beside them."""
    return sum((Decimal(lot["size"]) for lot in (*position["lots"], *position.get("others", ()))), ZERO)
