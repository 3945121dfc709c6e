"""What a decision was made under is told with its numbers: regime, halts, and which cycle it was."""

from __future__ import annotations

import json

from bot.cli.background import regime_numbers, restrictions
from bot.domain.snapshot import Halt
from bot.domain.state import HaltCause
from tests.builders import NOW, config, market, snapshot
from tests.cli.desk import Desk

CONFIG = config()


def test_a_halt_says_since_when_what_it_permits_and_what_ends_it() -> None:
    halts = (
        Halt(HaltCause.KILL_SWITCH, "drill", NOW),
        Halt(HaltCause.DAILY_STOP, "-3.2 % of -3 %", NOW, "daily_stop"),
        Halt(HaltCause.BREAKER, "5 hits in 60 s", NOW, "api_errors"),
    )
    killed, daily, breaker = restrictions(snapshot([market()], halts=halts), CONFIG)
    since = f"since {NOW:%Y-%m-%d %H:%M:%S}"
    assert killed == (
        f"kill_switch {since}: drill; no entries, ours are cancelled, stops at the venue stay, no exit by the bot; "
        "ends with kill file gone and one clean reconcile"
    )
    assert daily.startswith(f"daily_stop {since}: -3.2 % of -3 %; no entries, ours are cancelled")
    assert "exits go on" in daily
    assert breaker.startswith(f"breaker api_errors {since}")


def test_the_regime_shows_what_it_was_read_from_and_where_the_others_begin() -> None:
    assert regime_numbers(snapshot([market()]), config(regime={"enabled": False})).startswith("not read")
    assert "regime unknown: no bars of BTC-USD" in regime_numbers(snapshot([]), CONFIG)


def test_the_page_of_a_halted_cycle_tells_the_halt(copied: Desk) -> None:
    cycle = copied.json("explain")["cycle_id"]
    file = copied.state_dir / "cycles" / f"{cycle}.inputs.json"
    inputs = json.loads(file.read_text())
    inputs["snapshot"]["halts"] = [
        {"cause": "kill_switch", "detail": "drill", "since": "2026-11-02T14:00:00.000000Z", "name": ""}
    ]
    file.write_text(json.dumps(inputs))
    assert copied.run("explain") == 0
    assert "in force: kill_switch since 2026-11-02 14:00:00: drill; no entries" in copied.out
    assert copied.json("explain")["restrictions"][0].startswith("kill_switch since")


def test_a_cycle_in_between_points_at_the_scheduled_one_before_it(copied: Desk) -> None:
    cycles = [name.removesuffix(".inputs.json") for name in _kept(copied)]
    newest, before = cycles[-1], cycles[-2]
    file = copied.state_dir / "cycles" / f"{newest}.inputs.json"
    file.write_text(file.read_text().replace('"service":false', '"service":true'))
    decision = copied.state_dir / "cycles" / f"{newest}.json"
    made = json.loads(decision.read_text()) | {"outcome": "NO_TRADE", "reason": "no_signal", "evaluated": []}
    decision.write_text(json.dumps(made))
    assert copied.run("explain", newest) == 0
    assert f"the one before it is told by `bot explain {before}`" in copied.out
    assert "it takes a trigger firing" not in copied.out


def _kept(desk: Desk) -> list[str]:
    return sorted(file.name for file in (desk.state_dir / "cycles").iterdir() if file.name.endswith(".inputs.json"))
