"""The recorded day without the wire: the same snapshots must give the same Decisions, whichever way they came."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.adapters.memory import MemoryStorage
from bot.domain.bars import Scale
from bot.domain.decision import Reason
from bot.domain.product import ProductId
from bot.record.cycles import CYCLES, INPUTS
from bot.settings.load import load_config
from simulator.markets.replay import ReplayMarket, candle_files
from simulator.server import Simulator
from tests.configs import LOCAL_VENUE, write_config
from tests.real.day import DAY, every_rule, venue_of
from tests.simulation.daemon import Daemon
from tests.simulation.inprocess import InProcess

SPAN = timedelta(hours=3)
EXACT_TIMES: Mapping[str, Any] = {**LOCAL_VENUE, "loop": {"jitter_pct": 0}, "state": {"cycles_kept": 5000}}

Cycle = tuple[dict[str, Any], dict[str, Any]]
"""Decision and inputs of one cycle, as they are kept."""


def the_day_decides_the_same_without_the_wire(data: Path) -> list[str]:
    """Three hours around the flash drop, once through TLS and the SDK and once on the matching core in process."""
    with tempfile.TemporaryDirectory() as folder:
        config_dir = write_config(Path(folder) / "config", {**EXACT_TIMES, "rules": every_rule()})
        wire = _over_the_wire(data, Path(folder), config_dir)
        core = _in_process(data, config_dir, _scales(wire))
    shared = sorted(wire.keys() & core.keys())
    same_input = [at for at in shared if _seen(wire[at]) == _seen(core[at])]
    different = [at for at in same_input if _decided(wire[at]) != _decided(core[at])]
    alike = sum(_decided(wire[at]) == _decided(core[at]) for at in shared)
    print(
        f"        {len(wire)} cycles over the wire, {len(core)} in process, {len(shared)} at the same times, "
        f"{len(same_input)} with the same snapshot, {alike} with the same decision"
    )
    problems = [f"{at}: one snapshot, two decisions" for at in different]
    if len(same_input) < len(wire) // 2:
        problems.append(f"only {len(same_input)} of {len(wire)} snapshots are the same: too few to prove anything")
    return problems


def _over_the_wire(data: Path, folder: Path, config_dir: Path) -> dict[str, Cycle]:
    with Simulator(venue_of(data)) as sim:
        daemon = Daemon(sim, folder / "data", config_dir)
        daemon.start()
        daemon.run_until(DAY + SPAN, within_s=300)
        daemon.terminate()
        kept = daemon.state_dir / CYCLES
        cycles = _cycles({path.name: path.read_bytes() for path in kept.iterdir()})
    # Nobody ended the other run in the middle of a cycle.
    return {at: cycle for at, cycle in cycles.items() if cycle[0]["reason"] != Reason.SHUTTING_DOWN.value}


def _scales(cycles: Mapping[str, Cycle]) -> dict[ProductId, Scale]:
    """Under which units the bars of a run were recorded; they are chosen from the bars at hand and then kept."""
    found = {}
    for _, inputs in cycles.values():
        for name, used in inputs["bars"].items():
            found[ProductId(name)] = Scale(Decimal(used["tick"]), Decimal(used["lot"]))
    return found


def _in_process(data: Path, config_dir: Path, scales: Mapping[ProductId, Scale]) -> dict[str, Cycle]:
    storage = MemoryStorage()
    market = ReplayMarket(candle_files(data / "candles"), DAY)
    world = InProcess(load_config(config_dir), venue_of(data), market, storage)
    world.market.scales = scales
    world.run_until(DAY + SPAN)
    names = storage.names(CYCLES)
    return _cycles({name: storage.read(f"{CYCLES}/{name}") or b"" for name in names})


def _cycles(files: Mapping[str, bytes]) -> dict[str, Cycle]:
    """Cycles by the time of their snapshot."""
    found = {}
    for name, content in files.items():
        inputs = files.get(name.removesuffix(".json") + INPUTS)
        if not name.endswith(INPUTS) and inputs is not None:
            decision = json.loads(content)
            found[decision["at"]] = (decision, json.loads(inputs))
    return found


def _decided(cycle: Cycle) -> dict[str, Any]:
    """All but the name of the cycle and the memory handed on, which also tells of earlier cycles."""
    return {key: value for key, value in cycle[0].items() if key not in {"cycle_id", "hysteresis"}}


def _seen(cycle: Cycle) -> dict[str, Any]:
    """What a decision can look at: prices and books, bars, money; without ids, and times of evidence."""
    snapshot = cycle[1]["snapshot"]
    markets = {name: _market(view) for name, view in snapshot["markets"].items()}
    bars = {name: [used[key] for key in ("newest", "end", "tick", "lot")] for name, used in cycle[1]["bars"].items()}
    balances = {name: wallet for name, wallet in snapshot["balances"].items() if set(wallet.values()) - {name, "0"}}
    return {
        "now": snapshot["now"],
        "markets": markets,
        "bars": bars,
        "balances": balances,
        "service": snapshot["service"],
    }


def _market(view: Mapping[str, Any]) -> dict[str, Any]:
    quote = view["quote"] or {}
    return {
        "quote": [quote.get(name) for name in ("bid", "ask", "bid_size", "ask_size")],
        "book": [view["book"][side] for side in ("bids", "asks")] if view["book"] else None,
        "mode": view["product"]["mode"],
        "problems": (view["quote_problem"], view["bars_problem"]),
    }
