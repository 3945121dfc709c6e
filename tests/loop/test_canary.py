"""The first live hours trade with a share of every cap, and only they do."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from bot.adapters.memory import MemoryStorage
from bot.loop.canary import FILE, canary_ends
from tests.builders import NOW
from tests.loop.markets import RISE
from tests.loop.stage import Stage, config_of, steady

DAY = Decimal(24)


def ends(storage: MemoryStorage, certified: str = "1.0 abc", hours: Decimal = DAY, later: float = 0) -> datetime | None:
    return canary_ends(storage, certified, hours, NOW + timedelta(hours=later))


def test_the_hours_count_from_the_first_start_and_go_on_over_restarts():
    storage = MemoryStorage()
    assert ends(storage) == ends(storage, later=5) == ends(storage, later=23.9) == NOW + timedelta(hours=24)
    assert ends(storage, later=24) is None
    assert ends(storage, later=9000) is None, "a certificate that is only renewed begins nothing"


def test_other_code_or_another_configuration_is_careful_again():
    storage = MemoryStorage()
    ends(storage)
    assert ends(storage, "1.1 abc", later=30) == NOW + timedelta(hours=54)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"certified": "1.0 abc"}', b'{"certified": "1.0 abc", "began": "soon"}',
     b'{"certified": "1.0 abc", "began": "2999-01-01T00:00:00.000000Z"}'],
)  # fmt: skip
def test_a_record_that_cannot_be_believed_begins_the_hours_anew(content):
    storage = MemoryStorage()
    storage.write(FILE, content)
    assert ends(storage) == NOW + timedelta(hours=24)


def test_no_hours_are_no_canary_and_leave_no_trace():
    storage = MemoryStorage()
    assert ends(storage, hours=Decimal(0)) is None
    assert storage.read(FILE) is None


@pytest.mark.parametrize(("minutes", "share"), [(60, Decimal("0.25")), (-1, Decimal(1)), (None, Decimal(1))])
def test_an_entry_fits_its_share_of_the_cap_until_the_hours_are_over(minutes, share):
    """A tier's entry of 200 under a cap per asset of 2 %: 200 of 10 000, and 50 in the first hours."""
    tight = config_of(risk={"max_per_asset_pct": 2, "max_per_theme_pct": 2})
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], tight)
    stage.idle(62)
    if minutes is not None:
        stage.loop.guard.flags.canary_until = stage.clock.now() + timedelta(minutes=minutes)
    stage.cycle()
    (placed,) = stage.wire.placed
    assert placed.limit_price is not None
    spent = placed.size.value * placed.limit_price.value
    assert spent <= 200 * share
    assert spent > 200 * share * Decimal("0.95")
