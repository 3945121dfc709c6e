"""`bot explain`: why a cycle did what it did."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Final

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places
from bot.domain.value import replace
from bot.errors import BotError, ConfigError, UnitError

if TYPE_CHECKING:
    from bot.adapters.storage import FileStorage
    from bot.domain.decision import Decision
    from bot.domain.event import DecisionRepeated, Envelope
    from bot.domain.product import ProductId
    from bot.ops.explain import Explained

CYCLES: Final = "cycles"
LAST: Final = "last"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cycle", nargs="?", default=LAST, metavar="CYCLE_ID|last", help="default: the newest cycle")
    parser.add_argument("product", nargs="?", metavar="PRODUCT", help="only what concerns this product")
    add_places(parser)
    add_json(parser)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.listing import storage_of
    from bot.ops.explain import as_json, page

    storage = storage_of(args, terminal)
    cycle, product = _asked(args)
    found = explained(storage, cycle)
    if found.decision is not None:
        found = _with_background(found, found.decision, storage, product)
    if args.json:
        from bot.cli.show import print_json

        print_json(terminal, as_json(found, product))
    else:
        for line in page(found, product):
            print(line, file=terminal.out)
    return Exit.FINE


def _with_background(
    found: Explained, decision: Decision, storage: FileStorage, product: ProductId | None
) -> Explained:
    """With what can be told from the snapshot the cycle had, as long as that is kept."""
    from bot.cli.background import regime_numbers, restrictions
    from bot.cli.lacking import lacking
    from bot.cli.recorded import seen_by

    try:
        snap, config = seen_by(storage, decision.cycle_id)
    except BotError as error:
        return replace(found, lacking=(f"what the cycle saw can no longer be told: {error}",))
    between = f"between two scheduled cycles, the one before it {_scheduled(storage, decision.cycle_id)}"
    return replace(
        found,
        between=between if snap.service else "",
        regime=regime_numbers(snap, config),
        restrictions=tuple(restrictions(snap, config)),
        lacking=lacking(snap, config, decision, product),
    )


def _scheduled(storage: FileStorage, cycle: str) -> str:
    """How to read the newest scheduled cycle before this one."""
    from bot.cli.recorded import was_scheduled

    names = decisions(storage)
    earlier = reversed(names[: names.index(cycle)]) if cycle in names else iter(())
    found = next((name for name in earlier if was_scheduled(storage, name)), None)
    return f"is told by `bot explain {found}`" if found else "is no longer kept"


def _asked(args: argparse.Namespace) -> tuple[str, ProductId | None]:
    """`bot explain BTC-USD` means the newest cycle."""
    from bot.domain.product import ProductId

    cycle, product = args.cycle, args.product
    if product is None and cycle != LAST and not cycle[:8].isdigit():
        cycle, product = LAST, cycle
    try:
        return cycle, ProductId.parse(product) if product is not None else None
    except UnitError as error:
        raise ConfigError([f"{error}; a cycle id looks like 20261121T140000.123-7"]) from error


def explained(storage: FileStorage, cycle: str) -> Explained:
    """Everything kept of a cycle. Raises BotError when nothing is."""
    from bot.cli.books import envelopes
    from bot.ops.explain import Explained

    names, events = decisions(storage), list(envelopes(storage))
    newest, how = _newest(storage)
    wanted = cycle if cycle != LAST else (names[-1] if names else newest)
    if not wanted:
        raise BotError(f"no cycle is known in {storage.folder}: nothing has been decided there yet")
    decision = read_decision(storage, wanted) if wanted in names else None
    mine = tuple(event for event in events if event.cycle_id == wanted)
    undecided = newest not in names and not any(e.cycle_id == newest and e.topic == "decision.made" for e in events)
    note = how if undecided and cycle in (LAST, newest) else ""
    if decision is not None or note or any(event.topic != "decision.repeated" for event in mine):
        return Explained(wanted, decision, mine, note)
    return _repeated(events, wanted)


def _newest(storage: FileStorage) -> tuple[str, str]:
    """The newest cycle of all, and how it ended in case it came to no decision. Empty before the first one."""
    from bot.cli.books import document
    from bot.cli.report import HEARTBEAT
    from bot.domain.decision import Reason
    from bot.ops.remedies import CHANGES

    beat = document(storage, HEARTBEAT)
    if beat is None:
        return "", ""
    outcome, reason = str(beat.get("outcome")), str(beat.get("reason"))
    change = CHANGES.get(Reason(reason)) if reason in Reason._value2member_map_ else None
    takes = f"; it takes {change}" if change else ""
    newest, detail = str(beat.get("cycle_id", "")), str(beat.get("detail") or "")
    why = f": {detail}" if detail else ""
    return newest, f"the newest cycle {newest} ended {outcome} ({reason}) without a decision of its own{why}{takes}"


def decisions(storage: FileStorage) -> list[str]:
    """Ids of the cycles whose whole decision is still kept, oldest first."""
    from bot.record.cycles import INPUTS

    found = (name.removesuffix(".json") for name in storage.names(CYCLES) if not name.endswith(INPUTS))
    return sorted(found, key=order_of_cycles)


def order_of_cycles(cycle: str) -> tuple[str, int]:
    """Cycle ids by time, then by their number."""
    stamp, _, number = cycle.rpartition("-")
    return stamp, int(number) if number.isdigit() else 0


def read_decision(storage: FileStorage, cycle: str) -> Decision:
    """The decision of a cycle in full. Raises UnitError when its file is damaged."""
    from bot.domain.codec import decode
    from bot.domain.decision import Decision

    content = storage.read(f"{CYCLES}/{cycle}.json")
    if content is None:
        raise UnitError(f"the decision of cycle {cycle} is no longer kept")
    try:
        return decode(Decision, json.loads(content))
    except ValueError as error:
        raise UnitError(f"{CYCLES}/{cycle}.json cannot be read: {error}") from error


def _repeated(events: list[Envelope], cycle: str) -> Explained:
    """A cycle that only repeated the one before it is one of a counted row."""
    from bot.domain.event import DecisionRepeated
    from bot.ops.explain import Explained

    last_made: tuple[Envelope, ...] = ()
    for event in events:
        if event.topic == "decision.made":
            last_made = (event,)
        repeated = event.payload
        if isinstance(repeated, DecisionRepeated) and _within(repeated, cycle):
            note = (
                f"cycle {cycle} is one of {repeated.count} that repeated the one below "
                f"({repeated.first_cycle} to {repeated.last_cycle})"
            )
            return Explained(cycle, None, last_made, note)
    raise BotError(f"nothing is known of cycle {cycle!r}: `bot journal tail --topic decision.` lists cycles")


def _within(repeated: DecisionRepeated, cycle: str) -> bool:
    first, last = order_of_cycles(repeated.first_cycle), order_of_cycles(repeated.last_cycle)
    return first <= order_of_cycles(cycle) <= last


VERB = Verb(
    "explain",
    "why a cycle did what it did: every product, trigger, proposal and gate",
    "bot explain\nbot explain last SOL-USD\nbot explain 20261121T140000.123-7 --json",
    _arguments,
    _run,
)
