"""What is written can be read back exactly, has one byte form, and nonsense is refused."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import event as events
from bot.domain.codec import canonical, decode, encode, parse_time, time_text
from bot.domain.decision import Allow, Clamp, GateResult, HysteresisCount, Reason, Reject
from bot.domain.event import Envelope, OrderChanged, Payload
from bot.domain.money import Money, Price, Size
from bot.domain.order import OrderState
from bot.domain.position import Exits, Lot, Origin, Position
from bot.domain.product import ProductId
from bot.domain.state import State
from bot.errors import UnitError

T0 = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
BTC = ProductId("BTC-USD")
decimals = st.decimals(min_value=-(10**12), max_value=10**12, places=12)


def payload_classes() -> list[type[Payload]]:
    return [c for c in vars(events).values() if inspect.isclass(c) and issubclass(c, Payload) and c is not Payload]


def test_every_payload_has_a_topic_of_its_own():
    topics = [c.topic for c in payload_classes()]
    assert all(topics)
    assert len(topics) == len(set(topics))


@given(decimals, decimals.filter(lambda d: d > 0))
def test_a_position_survives_the_journal_to_the_last_digit(cost, size):
    lot = Lot(Size(size), cost, T0, Origin.BOUGHT, "o-1")
    position = Position(BTC, (lot,), T0, rule="breakout", exits=Exits(stop_loss_pct=Decimal("3.0")))
    assert decode(Position, encode(position)) == position


def test_the_wire_names_of_an_order_change_are_from_and_to():
    change = OrderChanged(
        "c", "o", OrderState.OPEN, OrderState.PARTIAL, "fill", Size(Decimal("0.1")), Decimal(5), Decimal(0)
    )
    written = encode(change)
    assert isinstance(written, dict)
    assert (written["from"], written["to"], written["filled"]) == ("OPEN", "PARTIAL", "0.1")
    assert decode(OrderChanged, written) == change


def test_which_verdict_it_was_is_kept():
    for verdict in (Allow(), Clamp(Money(Decimal(5), "USD"), Reason.CASH, "why"), Reject(Reason.COOLDOWN, "why")):
        result = GateResult("cash", verdict)
        assert decode(GateResult, encode(result)) == result


def test_mappings_keep_their_typed_keys():
    state = State(hysteresis={BTC: HysteresisCount(True, 2)}, settle_ms={250: 3})
    assert decode(State, encode(state)) == state


@given(st.floats(0, 10**8), st.integers(-720, 720))
def test_times_are_utc_whatever_zone_they_came_in(seconds, offset):
    at = (T0 + timedelta(seconds=seconds)).astimezone(timezone(timedelta(minutes=offset)))
    assert parse_time(time_text(at)) == at
    assert time_text(at).endswith("Z")


def test_a_time_is_written_to_the_microsecond_even_where_there_are_none():
    assert time_text(datetime(2026, 1, 1, 12, tzinfo=UTC)) == "2026-01-01T12:00:00.000000Z"
    assert time_text(datetime(2026, 1, 1, 12, 0, 0, 100, tzinfo=UTC)) == "2026-01-01T12:00:00.000100Z"


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(UnitError, match="aware UTC"):
        time_text(datetime(2026, 1, 1))  # noqa: DTZ001 (the very mistake)


def test_one_value_has_one_byte_form():
    assert canonical({"b": 1, "a": "\u00e9"}) == '{"a":"\u00e9","b":1}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("nan"))


@pytest.mark.parametrize(
    "data",
    [{"amount": "NaN", "currency": "USD"}, {"amount": 1.5, "currency": "USD"}, {"amount": "1"}, [], None,
     {"amount": "1", "currency": "USD", "extra": 1}, {"amount": "1", "currency": 7}],
)  # fmt: skip
def test_nonsense_is_refused(data):
    with pytest.raises(UnitError):
        decode(Money, data)


def test_a_bool_is_not_a_number():
    with pytest.raises(UnitError):
        decode(HysteresisCount, {"eligible": True, "streak": True})


def test_an_envelope_can_be_written():
    shut = events.RunStopped("asked to", 0)
    envelope = Envelope(1, T0, shut.topic, "c", 0, shut, 1, "h", "v", "p", "x")
    assert envelope.payload is shut


def test_a_price_is_written_as_its_number():
    assert encode(Price(Decimal("1E+2"))) == "100"
