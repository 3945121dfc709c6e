"""Operator commands as events: what `bot flag`, `approve`, `adopt` or `resume --latch` mean for the books."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from bot.domain.event import (
    ApprovalAnswered,
    BanBegan,
    BanEnded,
    BreakerChanged,
    LatchCleared,
    Payload,
    PositionAdopted,
    QuarantineEnded,
)
from bot.domain.money import EXACT, Price, Size, parse_decimal
from bot.domain.position import Lot, Origin, Position
from bot.domain.product import ProductId
from bot.domain.state import Ban, BreakerState, State
from bot.domain.value import Value, replace
from bot.errors import BotError, UnitError
from bot.ports import Command
from bot.settings.universe import Exclusions


class CommandRefused(BotError):
    """The command makes no sense in the present state; the message says why and what would."""


class Books(Value):
    """What a command may look at. held: base on the account per market; marks: newest price per market."""

    state: State
    exclusions: Exclusions
    held: Mapping[ProductId, Size]
    marks: Mapping[ProductId, Price]
    now: datetime


class CommandOutcome(Value):
    """Events to record, and one plain line for the operator."""

    payloads: tuple[Payload, ...]
    result: str


def carry_out(command: Command, books: Books) -> CommandOutcome:
    """What the command does. Raises CommandRefused with the reason and the way out."""
    handler = _HANDLERS.get(command.verb)
    if handler is None:
        raise CommandRefused(f"unknown command {command.verb!r}; known: {', '.join(sorted(_HANDLERS))}")
    try:
        return handler(command, books)
    except UnitError as error:
        raise CommandRefused(str(error)) from error


def _flag(command: Command, books: Books) -> CommandOutcome:
    product, kind = _product(command), _argument(command, 1, "the red flag")
    allowed = books.exclusions.red_flags
    if kind not in allowed:
        raise CommandRefused(f"{kind!r} is no red flag of universe.yaml; known: {', '.join(allowed)}")
    given = command.arguments[2] if len(command.arguments) > 2 else ""
    hours = parse_decimal(given, "hours") if given else books.exclusions.temporary_ban_hours
    if hours <= 0:
        raise CommandRefused(f"hours must be positive, was {hours}")
    until = books.now + timedelta(seconds=int(hours * 3600))
    ban = Ban(product, kind, f"bot flag by {command.by}", books.now, until)
    return CommandOutcome((BanBegan(ban),), f"{product} is banned for {kind} until {until:%Y-%m-%d %H:%M} UTC")


def _unflag(command: Command, books: Books) -> CommandOutcome:
    product = _product(command)
    if product not in books.state.bans:
        raise CommandRefused(f"{product} is not banned; `bot bans` lists the bans")
    return CommandOutcome((BanEnded(product, f"bot unflag by {command.by}"),), f"the ban of {product} is lifted")


def _answer(command: Command, books: Books, answer: str) -> CommandOutcome:
    wanted = _argument(command, 0, "the approval id")
    approval = books.state.approvals.get(wanted)
    if approval is None:
        waiting = ", ".join(sorted(books.state.approvals)) or "none"
        raise CommandRefused(f"no approval {wanted!r} waits; waiting: {waiting}")
    if approval.expires_at <= books.now:
        raise CommandRefused(f"approval {wanted} expired at {approval.expires_at:%H:%M:%S} UTC")
    return CommandOutcome((ApprovalAnswered(wanted, answer, command.by),), f"{wanted} ({approval.product}) {answer}")


def _approve(command: Command, books: Books) -> CommandOutcome:
    return _answer(command, books, "granted")


def _reject(command: Command, books: Books) -> CommandOutcome:
    return _answer(command, books, "rejected")


def _adopt(command: Command, books: Books) -> CommandOutcome:
    """From now on the whole holding is the bot's: it may sell it, and it counts in profit and loss from this mark."""
    market = _product(command)
    held = books.held.get(market, Size.zero())
    if held.is_zero:
        raise CommandRefused(f"the account holds no {market.base}")
    mark = books.marks.get(market)
    if mark is None:
        raise CommandRefused(f"{market} has no price now; try again when it has one")
    position = books.state.positions.get(market) or Position(market, (), books.now)
    extra = EXACT.subtract(held.value, position.whole.value)
    lots = (*position.lots, *position.others)
    if extra > 0:
        lots = (*lots, Lot(Size(extra), EXACT.multiply(extra, mark.value), books.now, Origin.ADOPTED))
    adopted = replace(position, lots=lots, managed=True, others=())
    events = (PositionAdopted(adopted), *_released(market, books, command))
    return CommandOutcome(events, f"{held} {market.base} is managed by the bot from now on")


def _ignore(command: Command, books: Books) -> CommandOutcome:
    """What a person did stays a person's: never sold by the bot, always counted."""
    market = _product(command)
    held = books.state.positions.get(market)
    unmanaged = held is not None and not held.managed
    if market not in books.state.quarantined and not unmanaged:
        raise CommandRefused(f"{market} is not quarantined, and no coins of others are held alone")
    ended = QuarantineEnded(market, ignored=True, by=command.by)
    return CommandOutcome((ended,), f"{market} trades again; the coins of others are not ours")


def _resume_latch(command: Command, books: Books) -> CommandOutcome:
    name = _argument(command, 0, "the latch")
    if name in books.state.latches:
        return CommandOutcome((LatchCleared(name, command.by),), f"latch {name} is cleared")
    latched = {breaker.name for breaker in books.state.breakers.values() if breaker.open and breaker.until is None}
    if name not in latched:
        set_now = ", ".join(sorted({*books.state.latches, *latched})) or "none"
        raise CommandRefused(f"no latch {name!r} is set; set: {set_now}")
    closed = BreakerState(name, open=False, detail=f"reset by {command.by}")
    return CommandOutcome((BreakerChanged(closed),), f"breaker {name} is reset")


def _released(market: ProductId, books: Books, command: Command) -> tuple[Payload, ...]:
    if market not in books.state.quarantined and market not in books.state.ignored:
        return ()
    return (QuarantineEnded(market, ignored=False, by=command.by),)


def _argument(command: Command, index: int, what: str) -> str:
    if len(command.arguments) <= index:
        raise CommandRefused(f"{command.verb} needs {what}")
    return command.arguments[index]


def _product(command: Command) -> ProductId:
    return ProductId.parse(_argument(command, 0, "a product such as BTC-USD"))


_HANDLERS: Final[Mapping[str, Callable[[Command, Books], CommandOutcome]]] = {
    "flag": _flag,
    "unflag": _unflag,
    "approve": _approve,
    "reject": _reject,
    "adopt": _adopt,
    "ignore": _ignore,
    "resume-latch": _resume_latch,
}
KNOWN: Final = frozenset(_HANDLERS)
"""Every command there is."""
