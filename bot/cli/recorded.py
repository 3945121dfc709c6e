"""A recorded cycle with everything its decision was made from: out of the state folder, or out of one bundle file."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.storage import FileStorage
from bot.cli.books import envelopes
from bot.decide import decide
from bot.domain.bars import BarSeries, Granularity, Scale, Windows
from bot.domain.codec import canonical, decode, encode
from bot.domain.money import decimal_text, parse_decimal
from bot.domain.product import ProductId
from bot.domain.snapshot import Snapshot
from bot.domain.state import State
from bot.domain.value import Value
from bot.errors import BotError, UnitError
from bot.record.cycles import (
    CONFIGS,
    CYCLES,
    INPUTS,
    BarsUsed,
    CycleInputs,
    read_config,
    read_inputs,
    remade,
    state_at,
)
from bot.record.replay import base_of, replayed
from bot.settings.config import Config
from bot.triggers.indicators import LiveWindows

COLUMNS: Final = ("open", "high", "low", "close", "volume")
BUNDLE: Final = 1


class Recorded(Value):
    """One cycle, whole. decision: as it was written down, in canonical JSON."""

    inputs: CycleInputs
    state: State
    series: Mapping[ProductId, BarSeries]
    config: Config
    decision: bytes

    @property
    def cycle_id(self) -> str:
        return self.inputs.snapshot.cycle_id

    def decided_again(self) -> bytes:
        """The decision of this code on these inputs. Raises UnitError when a window is not what it was."""
        snapshot = remade(self.inputs, self.state, self._windows)
        return canonical(encode(decide(snapshot, self.config)))

    def bundle(self) -> bytes:
        """Everything in one file that needs nothing else."""
        config = {"policy": self.config.policy.model_dump(mode="json"),
                  "universe": self.config.universe.model_dump(mode="json")}  # fmt: skip
        return canonical(
            {
                "bundle": BUNDLE,
                "inputs": encode(self.inputs),
                "state": encode(self.state),
                "bars": {product: _written(series) for product, series in self.series.items()},
                "config": config,
                "decision": json.loads(self.decision),
            }
        )

    def _windows(self, product: ProductId, _wanted: BarsUsed) -> Windows:
        return LiveWindows(self.series[product])


def from_storage(storage: FileStorage, cycle_id: str) -> Recorded:
    """A kept cycle. Raises BotError when a part of it is no longer there, UnitError when one is damaged."""
    inputs = read_inputs(_kept(storage, f"{CYCLES}/{cycle_id}{INPUTS}", "the inputs"))
    config = read_config(_kept(storage, f"{CONFIGS}/{inputs.config_hash}.json", "the configuration"))
    decision = _kept(storage, f"{CYCLES}/{cycle_id}.json", "the decision")
    events = list(envelopes(storage))
    state = state_at(replayed(base_of(events), events), inputs)
    return Recorded(inputs, state, dict(_series(storage, inputs)), config, decision)


def seen_by(storage: FileStorage, cycle_id: str) -> tuple[Snapshot, Config]:
    """What a kept cycle saw of the markets and the configuration it decided by, without folding the journal.

    The state of the snapshot is empty. Raises BotError when a part of it is no longer there, UnitError when one is
    damaged or has changed since.
    """
    inputs = read_inputs(_kept(storage, f"{CYCLES}/{cycle_id}{INPUTS}", "the inputs"))
    config = read_config(_kept(storage, f"{CONFIGS}/{inputs.config_hash}.json", "the configuration"))
    series = dict(_series(storage, inputs))
    return remade(inputs, State(), lambda market, _wanted: LiveWindows(series[market])), config


def was_scheduled(storage: FileStorage, cycle_id: str) -> bool:
    """Whether a kept cycle was one of the schedule's, and not one in between that serves orders and exits alone."""
    content = storage.read(f"{CYCLES}/{cycle_id}{INPUTS}")
    return content is not None and not json.loads(content)["snapshot"]["service"]


def from_bundle(content: bytes) -> Recorded:
    """A cycle from its bundle. Raises UnitError when it is none."""
    try:
        data = json.loads(content)
        if data["bundle"] != BUNDLE:
            raise UnitError(f"the bundle has version {data['bundle']}, this code reads {BUNDLE}")
        series = {ProductId(name): _read(ProductId(name), bars) for name, bars in data["bars"].items()}
        return Recorded(
            decode(CycleInputs, data["inputs"]), decode(State, data["state"]), series,
            read_config(canonical(data["config"])), canonical(data["decision"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UnitError):
            raise
        raise UnitError(f"this is no bundle of `bot replay --bundle`: {error!r}") from error


def differences(was: bytes, now: bytes) -> list[str]:
    """Every place at which two JSON documents differ."""
    return list(_differing(json.loads(was), json.loads(now), ""))


def _kept(storage: FileStorage, name: str, what: str) -> bytes:
    content = storage.read(name)
    if content is None:
        raise BotError(f"no longer kept: {what} of this cycle ({name}); state.cycles_kept says for how many it is")
    return content


def _series(storage: FileStorage, inputs: CycleInputs) -> Iterator[tuple[ProductId, BarSeries]]:
    """Each window from the bars store. Reads copies: loading mends a torn file, and a daemon may be writing it."""
    with tempfile.TemporaryDirectory() as folder:
        store = BarStore(Path(folder))
        for product, wanted in inputs.bars.items():
            for file in (storage.folder / "bars").glob(f"{product}.*"):
                shutil.copy(file, folder)
            tape = store.load(product, wanted.granularity)
            series = tape.series if tape is not None else None
            found = series.until(datetime.fromtimestamp(wanted.end, UTC)).last(wanted.length) if series else None
            if found is None or (len(found), found.end) != (wanted.length, wanted.end):
                raise BotError(f"the bars of {product} up to this cycle are no longer kept")
            yield product, found


def _written(series: BarSeries) -> dict[str, Any]:
    columns = {name: getattr(series, name).tolist() for name in COLUMNS}
    return {
        "granularity": series.granularity.name,
        "tick": decimal_text(series.scale.tick),
        "lot": decimal_text(series.scale.lot),
        "start": series.start,
        "quiet": [int(quiet) for quiet in series.quiet.tolist()],
        **columns,
    }


def _read(product: ProductId, data: dict[str, Any]) -> BarSeries:
    scale = Scale(parse_decimal(data["tick"], "tick"), parse_decimal(data["lot"], "lot"))
    first, high, low, close, volume = (np.array(data[name], np.int64) for name in COLUMNS)
    quiet = np.array(data["quiet"], np.int64).astype(np.bool_)
    granularity = Granularity[data["granularity"]]
    return BarSeries(product, granularity, scale, int(data["start"]), first, high, low, close, volume, quiet)


def _differing(was: Any, now: Any, where: str) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            yield from _differing(was.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (before, after) in enumerate(zip(was, now, strict=True)):
            yield from _differing(before, after, f"{where}[{number}]")
    elif was != now:
        yield f"{where}: was {_brief(was)}, is {_brief(now)}"


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:159]}…"
