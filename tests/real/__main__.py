"""Runs every check on the recorded market data in BULWARK_DATA: one line each, exit 1 when one fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.real.bad_ticks import a_recorded_fall_is_no_bad_tick
from tests.real.day import a_killed_bot_comes_back_to_the_truth, the_recorded_day_is_traded_live
from tests.real.manifest import recordings_are_what_the_manifest_says
from tests.real.parity import the_day_decides_the_same_without_the_wire
from tests.real.skipping import skipping_cycles_changes_no_byte

# name -> the problems found in the folder; none means passed.
CHECKS: Final[Mapping[str, Callable[[Path], list[str]]]] = {
    "recordings are what the manifest says": recordings_are_what_the_manifest_says,
    "a recorded fall is acted on, a tenfold tick in it is not": a_recorded_fall_is_no_bad_tick,
    "the recorded day is traded live, and the ledger balances": the_recorded_day_is_traded_live,
    "the day decides the same without the wire": the_day_decides_the_same_without_the_wire,
    "skipping cycles changes no byte of a backtest": skipping_cycles_changes_no_byte,
    "a killed bot comes back to the truth, twenty times": a_killed_bot_comes_back_to_the_truth,
}


def main(data: Path) -> int:
    if not (data / "MANIFEST.csv").is_file():
        print(
            f"no recorded data: {data} has no MANIFEST.csv; set BULWARK_DATA to the folder that does", file=sys.stderr
        )
        return 1
    failed = 0
    for name, check in CHECKS.items():
        problems = check(data)
        failed += bool(problems)
        print(f"{'FAILED' if problems else 'passed'}  {name}", *problems, sep="\n        ")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(os.environ.get("BULWARK_DATA", "../shared/data"))))
