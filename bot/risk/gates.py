"""The gates, one row each, in the order in which they are asked; the first rejection ends it.

An exit passes only the rows marked so, because each of them may be the reason why it cannot or must not be sent:
kill_switch and halts (a sell is not permitted, but under `flatten` it is), product_status (the venue takes no type of
order an exit could be), circuit_breakers (one declares that exits wait), quarantine (the base is not ours by our own
books), min_notional (nothing to sell, or less than the venue takes). Every other limit is about taking on risk and must
never keep a position from being closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bot.domain.decision import Verdict
from bot.domain.value import Value
from bot.risk import gates_limits as limits
from bot.risk import gates_permission as may
from bot.risk.approval import human_approval
from bot.risk.context import Candidate, RiskContext
from bot.risk.exposure import ExposureBook

Gate = Callable[[Candidate, ExposureBook, RiskContext], Verdict]


class Row(Value):
    """One gate: its name in records, its function, and whether exits are asked too.

    of_cycle: it looks at the cycle alone. What it says of one entry it says of all, and of one exit of all.
    """

    name: str
    gate: Gate
    exits: bool = False
    of_cycle: bool = False


GATES: Final[tuple[Row, ...]] = (
    Row("kill_switch", may.kill_switch, exits=True, of_cycle=True),
    Row("halts", may.halts, exits=True, of_cycle=True),
    Row("environment", may.environment, of_cycle=True),
    Row("data_freshness", may.data_freshness),
    Row("exchange_status", may.exchange_status, of_cycle=True),
    Row("product_status", may.product_status, exits=True),
    Row("clock", may.clock, of_cycle=True),
    Row("circuit_breakers", may.circuit_breakers, exits=True),
    Row("loss_stops", may.loss_stops, of_cycle=True),
    Row("trade_pacing", limits.trade_pacing),
    Row("cooldowns", limits.cooldowns),
    Row("bans", limits.bans),
    Row("quarantine", limits.quarantine, exits=True),
    Row("rule_budget", limits.rule_budget),
    Row("position_count", limits.position_count),
    Row("per_asset_cap", limits.per_asset_cap),
    Row("theme_cap", limits.theme_cap),
    Row("total_cap", limits.total_cap),
    Row("cash", limits.cash),
    Row("min_notional", limits.min_notional, exits=True),
    Row("exit_guarantee", limits.exit_guarantee),
    Row("human_approval", human_approval),
)

EXIT_GATES: Final = tuple(row for row in GATES if row.exits)
"""What an exit is asked."""
