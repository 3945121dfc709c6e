"""What one row of docs/CONTROLS.md says."""

from __future__ import annotations

from bot.domain.value import Value


class Control(Value):
    """One control: what it does, by which keys, and what proves, counts and announces it.

    keys: of policy.yaml, or `universe.yaml: key`; `*` stands for any name or rule. faults: numbers of the fault list
    that tests/faults replays. tests: `file::function` below tests/. gates, breakers: those of the code it consists of.
    """

    name: str
    does: str
    tests: tuple[str, ...]
    keys: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    breakers: tuple[str, ...] = ()
