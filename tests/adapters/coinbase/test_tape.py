"""Bars stay on an unbroken grid: a quiet minute carries the close, time nobody fetched is never filled."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.tape import Tape, empty, extended, first_change, fitting_scale, prepended, rescaled
from bot.adapters.coinbase.wire import product as listings
from bot.adapters.coinbase.wire.read import Fields
from bot.domain.bars import Bar, Granularity, Scale
from bot.domain.money import Price
from bot.domain.product import Product, ProductId
from bot.domain.value import replace
from bot.errors import CriticalDataUnavailable, UnitError
from tests.adapters.coinbase import payloads

BTC = ProductId("BTC-USD")
MINUTE = Granularity.ONE_MINUTE
SCALE = Scale(Decimal("0.01"), Decimal("0.001"))
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def bar(minute: int, close: str = "10", volume: str = "1") -> Bar:
    price = Price(Decimal(close))
    return Bar(datetime.fromtimestamp(0, UTC) + timedelta(minutes=minute), price, price, price, price, Decimal(volume))


def tape(at: int = 0) -> Tape:
    return empty(BTC, MINUTE, SCALE, at * 60)


def closes(found: Tape) -> list[int]:
    return [int(row[3]) for row in found.rows]


def quiet(found: Tape) -> list[int]:
    return [int(row[5]) for row in found.rows]


def listed(**changes: str) -> Product:
    return listings.product(Fields(payloads.product(**changes), "product"), NOW)


def test_a_minute_without_a_trade_carries_the_close_with_no_volume() -> None:
    found = extended(tape(), [bar(0, "10"), bar(3, "12")], 0, 300)
    assert closes(found) == [1000, 1000, 1000, 1200, 1200]
    assert quiet(found) == [0, 1, 1, 0, 1]
    assert found.rows[1, 4] == 0


def test_time_before_the_first_trade_has_no_bars() -> None:
    found = extended(tape(), [bar(3)], 0, 300)
    assert (found.floor, found.start, found.ceiling) == (0, 180, 300)


def test_an_older_page_bridges_the_quiet_time_before_the_first_known_trade() -> None:
    found = prepended(extended(tape(5), [bar(7, "11")], 300, 480), [bar(3, "9")], 0)
    assert (found.start, closes(found)) == (180, [900, 900, 900, 900, 1100])


def test_an_older_page_without_trades_only_moves_what_was_fetched() -> None:
    found = prepended(extended(tape(5), [bar(7, "11")], 300, 480), [], 0)
    assert (found.floor, found.start, closes(found)) == (0, 420, [1100])


def test_a_bar_published_late_mends_a_minute_taken_for_quiet() -> None:
    early = extended(tape(), [bar(0, "10")], 0, 120)
    mended = extended(early, [bar(0, "10"), bar(1, "11")], 0, 180)
    assert closes(mended) == [1000, 1100, 1100]
    assert quiet(mended) == [0, 0, 1]
    assert first_change(early, mended) == 60


def test_an_answer_that_leaves_out_a_bar_it_gave_before_is_not_complete() -> None:
    with pytest.raises(CriticalDataUnavailable, match="leaves out"):
        extended(extended(tape(), [bar(0), bar(1)], 0, 120), [bar(0), bar(2)], 0, 180)


def test_the_series_is_what_the_domain_expects() -> None:
    series = extended(tape(), [bar(0, "10", "2.5"), bar(2, "12")], 0, 180).series
    assert series is not None
    assert (len(series), series.end, list(series.volume), list(series.quiet)) == (
        3,
        180,
        [2500, 0, 1000],
        [False, True, False],
    )
    assert series.bar(0).volume == Decimal("2.5")
    with pytest.raises(ValueError, match="read-only"):
        series.close[0] = 1
    assert tape().series is None


def test_trimming_keeps_the_newest_bars_and_says_so() -> None:
    found = extended(tape(), [bar(0), bar(1), bar(2, "12")], 0, 180).trimmed(2)
    assert (found.floor, found.start, closes(found)) == (60, 60, [1000, 1200])


@given(
    st.sets(st.integers(0, 59), min_size=1),
    st.lists(st.integers(1, 59), min_size=1, max_size=6, unique=True),
    st.integers(0, 59),
)
def test_however_it_was_fetched_the_tape_is_the_same(traded: set[int], cuts: list[int], first: int) -> None:
    """Pages forward with overlap and pages backward give what one page of everything gives."""
    bars = {minute: bar(minute, str(10 + minute % 7)) for minute in traded}

    def page(start: int, end: int) -> list[Bar]:
        return [bars[minute] for minute in range(start, end) if minute in bars]

    built = tape(first)
    for end in sorted({cut for cut in cuts if cut > first} | {60}):
        start = max(built.floor // 60, built.ceiling // 60 - 5)
        built = extended(built, page(start, end), start * 60, end * 60)
    for start in sorted({cut for cut in cuts if cut < first} | {0}, reverse=True):
        if start < built.floor // 60:
            built = prepended(built, page(start, built.floor // 60), start * 60)
    whole = extended(tape(), page(0, 60), 0, 3600)
    assert (built.floor, built.ceiling, built.start) == (whole.floor, whole.ceiling, whole.start)
    assert np.array_equal(built.rows, whole.rows)


def test_the_scale_takes_the_venues_steps() -> None:
    scale = fitting_scale(listed(), None, [bar(0, "10.01", "3")])
    assert (scale.tick, scale.lot) == (Decimal("0.01"), Decimal("0.00000001"))


def test_a_scale_that_still_fits_is_kept() -> None:
    built = extended(replace(tape(), scale=Scale(Decimal("0.01"), Decimal("0.0001"))), [bar(0)], 0, 60)
    assert fitting_scale(listed(), built, [bar(1, "10.05")]) == built.scale


def test_a_finer_tick_rebases_old_bars_exactly() -> None:
    built = extended(tape(), [bar(0, "10.01")], 0, 60)
    scale = fitting_scale(listed(price_increment="0.001"), built, [bar(1, "10.011")])
    assert scale.tick == Decimal("0.001")
    assert closes(extended(rescaled(built, scale), [bar(1, "10.011")], 60, 120)) == [10010, 10011]


def test_a_coarser_tick_keeps_the_old_one_while_old_bars_need_it() -> None:
    built = extended(tape(), [bar(0, "10.01")], 0, 60)
    assert fitting_scale(listed(price_increment="0.1"), built, [bar(1, "10.1")]).tick == Decimal("0.01")


def test_bars_between_the_venues_ticks_refine_the_scale() -> None:
    scale = fitting_scale(listed(), None, [bar(0, "10.0125")])
    assert scale.tick == Decimal("0.0001")


def test_a_price_no_decimal_tick_fits_is_refused() -> None:
    with pytest.raises(CriticalDataUnavailable, match="tick"):
        fitting_scale(listed(), None, [bar(0, "10." + "1" * 24)])


def test_huge_volumes_coarsen_the_lot_so_that_no_sum_overflows() -> None:
    bars = [bar(0, "0.00001", "900000000000")]
    product = listed(price_increment="0.00000001", base_increment="0.1")
    scale = fitting_scale(product, None, bars)
    assert (scale.lot / product.size_step).log10() % 1 == 0
    assert scale.ticks(Decimal("0.00001")) * scale.lots(Decimal("900000000000")) < 2**62
    built = extended(replace(tape(), scale=scale), bars, 0, 60)
    grown = fitting_scale(product, built, [bar(1, "100", "900000000000")])
    assert grown.lot > scale.lot
    assert rescaled(built, grown).rows[0, 4] == scale.lots(Decimal("900000000000")) * scale.lot // grown.lot


def test_prices_that_do_not_fit_are_never_rounded() -> None:
    built = extended(tape(), [bar(0, "10.01")], 0, 60)
    with pytest.raises(UnitError, match="do not fit"):
        rescaled(built, Scale(Decimal("0.1"), SCALE.lot))


def stored(store: BarStore, found: Tape) -> Path:
    store.put(found, found.start)
    return next(Path(store._folder).glob("*.bars"))


def same(one: Tape | None, other: Tape) -> bool:
    return (
        one is not None
        and one.scale == other.scale
        and one.start == other.start
        and np.array_equal(one.rows, other.rows)
    )


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "bars")


def test_bars_survive_a_restart(store: BarStore) -> None:
    built = extended(tape(), [bar(0, "10"), bar(2, "12")], 0, 180)
    path = stored(store, built)
    grown = extended(built, [bar(3, "13")], 180, 300)
    store.put(grown, first_change(built, grown))
    assert same(BarStore(path.parent).load(BTC, MINUTE), grown)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_growing_tape_is_appended_and_not_rewritten(store: BarStore) -> None:
    built = extended(tape(), [bar(0), bar(1)], 0, 120)
    path = stored(store, built)
    inode = path.stat().st_ino
    grown = extended(built, [bar(2, "12")], 120, 180).trimmed(2)
    store.put(grown, first_change(built, grown))
    assert path.stat().st_ino == inode
    found = BarStore(path.parent).load(BTC, MINUTE)
    assert found is not None
    assert closes(found) == [1000, 1000, 1200]


def test_a_file_that_outgrew_its_tape_is_rewritten(store: BarStore) -> None:
    built = extended(tape(), [bar(0)], 0, 60)
    path = stored(store, built)
    for minute in range(1, 20):
        grown = extended(built, [bar(minute)], minute * 60, (minute + 1) * 60).trimmed(2)
        store.put(grown, first_change(built, grown))
        built = grown
    assert path.stat().st_size < 200 + 8 * 64


@pytest.mark.parametrize("cut", [1, 63, 64, 65, 100])
def test_a_torn_tail_is_cut_and_the_rest_believed(store: BarStore, cut: int) -> None:
    built = extended(tape(), [bar(minute, str(10 + minute)) for minute in range(5)], 0, 300)
    path = stored(store, built)
    os.truncate(path, path.stat().st_size - cut)
    reader = BarStore(path.parent)
    found = reader.load(BTC, MINUTE)
    assert found is not None
    whole = 5 - -(-cut // 64)
    assert closes(found) == [1000, 1100, 1200, 1300, 1400][:whole]
    assert (path.stat().st_size - len(path.read_bytes().partition(b"\n")[0]) - 1) % 64 == 0
    grown = extended(found, [bar(minute, "20") for minute in range(whole, 6)], whole * 60, 360)
    reader.put(grown, first_change(found, grown))
    assert same(BarStore(path.parent).load(BTC, MINUTE), grown)


@pytest.mark.parametrize("word", range(8))
def test_a_bent_row_ends_what_is_believed(store: BarStore, word: int) -> None:
    path = stored(store, extended(tape(), [bar(minute) for minute in range(5)], 0, 300))
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 1 + 2 * 64 + word * 8] ^= 1
    path.write_bytes(bytes(content))
    found = BarStore(path.parent).load(BTC, MINUTE)
    assert found is not None
    assert len(found.rows) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{}\n", b"no json\n" + b"\0" * 64, b'{"version":1,"product":"ETH-USD"}\n', b"\0" * 4096, b'{"version":2}'],
)
def test_a_file_that_is_no_bar_file_is_ignored_and_replaced(store: BarStore, content: bytes) -> None:
    built = extended(tape(), [bar(0)], 0, 60)
    path = stored(store, built)
    path.write_bytes(content)
    reader = BarStore(path.parent)
    assert reader.load(BTC, MINUTE) is None
    reader.put(built, built.start)
    assert same(BarStore(path.parent).load(BTC, MINUTE), built)


def test_a_link_in_place_of_the_file_is_not_followed(store: BarStore, tmp_path: Path) -> None:
    path = stored(store, extended(tape(), [bar(0)], 0, 60))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        BarStore(path.parent).load(BTC, MINUTE)
