"""The status report as every verb sees it: the running daemon's own, or what durable state still tells without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bot.cli.books import document, state_of
from bot.cli.place import is_running, look, pid_of
from bot.errors import StateCorrupt
from bot.ops.status import RunFacts, status_report

if TYPE_CHECKING:
    from bot.adapters.storage import FileStorage
    from bot.domain.state import State
    from bot.settings.environment import Settings

STATUS: Final = "status.json"
HEARTBEAT: Final = "heartbeat.json"
_MEASURED: Final = (
    "currency", "limits", "equity", "equity_problem", "cash", "exposure_pct", "daily_pnl_pct", "weekly_pnl_pct",
    "drawdown_pct",
)  # fmt: skip
"""What only a look at the markets tells; without a daemon the last look stands, dated by its cycle."""


def report_of(settings: Settings) -> dict[str, Any]:
    """The status of one env and mode, in the shape tools read. `problem`: why durable state cannot be read, if so."""
    storage = look(settings)
    running = is_running(settings)
    told = document(storage, STATUS)
    found = told if running and told is not None else _from_state(settings, storage, told or {})
    kill = storage.kill_state() if settings.data_dir.exists() else None
    if kill is not None and kill.active:
        found["halted"] = True
        if "kill_switch" not in found["halt_reason"]:
            found["halt_reason"] = "; ".join(filter(None, (f"kill_switch: {kill.reason}", found["halt_reason"])))
    return {**found, "running": running, "pid": pid_of(settings)}


def _from_state(settings: Settings, storage: FileStorage, told: dict[str, Any]) -> dict[str, Any]:
    """Positions, orders, halts and latches from the books; measures of the market as last written by a daemon."""
    problem = ""
    try:
        state = state_of(storage)
    except StateCorrupt as error:
        state, problem = None, str(error)
    found = status_report(_facts(settings, state, told), state or _empty(), None, None, len(storage.names("outbox")))
    found |= {name: told.get(name, found[name]) for name in _MEASURED}
    found["cycle"] = document(storage, HEARTBEAT) or told.get("cycle")
    found["positions"] = [_marked(row, told) for row in found["positions"]]
    if problem:
        found |= {"halted": True, "halt_reason": f"start_halted: {problem}", "problem": problem}
    return found


def _facts(settings: Settings, state: State | None, told: dict[str, Any]) -> RunFacts:
    config_hash = state.config_hash if state is not None else ""
    return RunFacts(
        settings.environment.value, settings.mode.value, 0, config_hash or str(told.get("config_hash", "")),
        str(told.get("code_version", "")), str(told.get("order_prefix", "")),
    )  # fmt: skip


def _empty() -> State:
    from bot.domain.state import State

    return State()


def _marked(row: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """A position with its last mark, as long as it is still the position that was marked."""
    before: dict[str, Any] = next((p for p in told.get("positions", ()) if p.get("product") == row["product"]), {})
    if (before.get("size"), before.get("cost")) != (row["size"], row["cost"]):
        return row
    return row | {"mark": before.get("mark"), "unrealised_pnl": before.get("unrealised_pnl")}
