"""Journal lines: exact, chained, and never read for more than they are."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.memory import MemoryStorage
from bot.domain.codec import canonical, encode
from bot.domain.event import Envelope, Payload
from bot.domain.state import State
from bot.domain.value import replace
from bot.errors import StateCorrupt, UnitError
from bot.record.journal import Damage, line, linked, parse, read_day
from bot.record.statefile import dump, load
from tests.record.world import NOON, SAMPLES, enveloped, filled_store, fold


def envelopes() -> list[Envelope]:
    made: list[Envelope] = []
    state = State()
    for count, payload in enumerate(SAMPLES):
        made.append(enveloped(payload, state, NOON + timedelta(seconds=count)))
        state = replace(state, seq=made[-1].seq, head=made[-1].hash)
    return made


@pytest.mark.parametrize("payload", SAMPLES, ids=lambda payload: type(payload).__name__)
def test_an_event_reads_back_as_it_was_written(payload: Payload) -> None:
    envelope = enveloped(payload, State(), NOON)
    assert parse(line(envelope)) == envelope
    assert line(parse(line(envelope))) == line(envelope)


def test_a_line_carries_what_tools_read() -> None:
    text = line(envelopes()[10]).decode()
    for shape in ('"topic":"intent.recorded"', '"client_order_id":"c1.0"', '"size":"0.5"', '"limit_price":"100"'):
        assert shape in text
    assert '"from":"SUBMITTED"' in line(envelopes()[11]).decode()


def test_the_hash_is_of_everything_else_in_canonical_form() -> None:
    envelope = envelopes()[3]
    body = {
        "seq": 4, "ts": "2026-11-18T12:00:03.000000Z", "topic": "run.started", "cycle_id": "cycle", "causation": 0,
        "payload": encode(envelope.payload), "version": 1, "config_hash": "cfg", "code_version": "1.0",
        "prev_hash": envelope.prev_hash,
    }  # fmt: skip
    assert envelope.hash == sha256(canonical(body)).hexdigest()
    assert envelope.prev_hash == envelopes()[2].hash


def test_every_single_bit_of_a_line_is_covered() -> None:
    text = line(envelopes()[13])
    for position in range(len(text)):
        for bit in range(8):
            flipped = bytearray(text)
            flipped[position] ^= 1 << bit
            with pytest.raises((UnitError, StateCorrupt)):
                parse(bytes(flipped))


def test_every_shorter_line_is_torn() -> None:
    text = line(envelopes()[13])
    for length in range(len(text)):
        with pytest.raises(UnitError):
            parse(text[:length])


def test_a_line_of_newer_code_is_not_damage() -> None:
    """Cutting it off would lose what newer code recorded."""
    newer = enveloped(SAMPLES[3], State(), NOON)
    for changed in (replace(newer, version=2), replace(newer, topic="run.paused")):
        data = json.loads(line(changed))
        del data["hash"]
        sealed_again = replace(changed, hash=sha256(canonical(data)).hexdigest())
        with pytest.raises(StateCorrupt, match="newer code"):
            parse(line(sealed_again))


def test_the_same_event_in_another_spelling_is_damage() -> None:
    """Byte for byte means one spelling: whoever rewrote the line may have rewritten more."""
    text = line(envelopes()[13])
    for other in (text.replace(b",", b", "), b" " + text, text.replace(b'"fee":"0.3"', b'"fee":"\\u0030.3"')):
        assert other != text
        with pytest.raises(UnitError, match="canonical"):
            parse(other)


def test_a_chain_shows_a_missing_and_a_foreign_link() -> None:
    chain = envelopes()
    assert list(linked(chain, 0, "")) == chain
    with pytest.raises(StateCorrupt, match="event 3 is missing"):
        list(linked([*chain[:2], *chain[3:]], 0, ""))
    with pytest.raises(StateCorrupt, match="does not follow"):
        list(linked(chain, 0, "elsewhere"))


def test_damage_is_placed_to_the_byte_and_reading_goes_on() -> None:
    storage = MemoryStorage()
    first, second, third = (line(envelope) for envelope in envelopes()[:3])
    storage.append("2026-11-18", first + second[:-9] + b"\n" + third + b'{"seq"', durable=True)
    found = read_day(storage, "2026-11-18")
    assert [item.seq if isinstance(item, Envelope) else item.offset for item in found] == [
        1, len(first), 3, len(first) + len(second) - 8 + len(third),
    ]  # fmt: skip
    assert isinstance(found[3], Damage)
    assert "torn" in str(found[3])


def test_a_state_reads_back_byte_for_byte() -> None:
    state = filled_store().state
    assert load(dump(state)) == state
    assert dump(load(dump(state))) == dump(state)
    assert dump(State()) == dump(load(dump(State())))


def test_every_single_byte_of_a_snapshot_is_covered() -> None:
    content = dump(fold(SAMPLES[5:9]))
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1
        with pytest.raises(UnitError):
            load(bytes(flipped))
    for length in range(len(content)):
        with pytest.raises(UnitError):
            load(content[:length])


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_random_bytes_are_no_snapshot_and_no_event(content: bytes) -> None:
    with pytest.raises(UnitError):
        load(content)
    with pytest.raises(UnitError):
        parse(content)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'{"schema":1}', b"[" * 100_000, b'{"a":NaN}', b'"\\ud800"'])
def test_wrong_shapes_are_no_snapshot_and_no_event(content: bytes) -> None:
    for read in (load, parse):
        with pytest.raises(UnitError):
            read(content + b"\n")
