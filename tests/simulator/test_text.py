"""Numbers and times as the venue writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import decimal_text
from simulator.text import Texts, at_us, dumps, go_time, moment, number, parse_rfc3339, rfc3339

STEPS = ["1", "0.1", "0.01", "0.00000001", "0.25", "5", "0.0005"]


@given(st.integers(0, 10**15), st.sampled_from(STEPS))
def test_counts_of_a_step_are_written_exactly(count: int, step: str) -> None:
    texts = Texts(Decimal(step), remember=3)
    assert texts[count] == texts[count] == decimal_text(count * Decimal(step))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - zone added
def test_times_come_back_from_their_text(when: datetime) -> None:
    assert parse_rfc3339(rfc3339(when)) == moment(at_us(when)) == when


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-02T14:00:00Z", 0),
        ("2026-11-02T14:00:00.5Z", 500_000),
        ("2026-11-02T15:00:00.123456789+01:00", 123_456),
    ],
)
def test_up_to_nine_digits_and_any_offset_are_read(text: str, microsecond: int) -> None:
    assert parse_rfc3339(text) == datetime(2026, 11, 2, 14, 0, 0, microsecond, UTC)


@pytest.mark.parametrize("text", ["2026-11-02T14:00:00", "2026-11-02", "soon", ""])
def test_a_time_without_a_zone_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|Invalid|month|format"):
        parse_rfc3339(text)


def test_trailing_zeros_are_cut_and_go_times_look_like_gos() -> None:
    when = datetime(2026, 11, 2, 14, 0, 0, 120_000, UTC)
    assert rfc3339(when) == "2026-11-02T14:00:00.12Z"
    assert rfc3339(when.replace(microsecond=0) + timedelta(seconds=1)) == "2026-11-02T14:00:01Z"
    assert go_time(at_us(when), 5_000_007) == "2026-11-02 14:00:00.12 +0000 UTC m=+5.000007001"


def test_whole_amounts_are_whole_json_numbers_and_nan_is_refused() -> None:
    assert dumps({"a": number(Decimal("0")), "b": number(Decimal("1.5"))}) == b'{"a":0,"b":1.5}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps({"a": float("nan")})
