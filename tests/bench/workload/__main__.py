"""Measures whole backtests of the common workload and prints medians.

    python -m tests.bench.workload S|M|L [--runs N] [--every-cycle | --busy] [--until DAY] [--products A,B]

--every-cycle skips nothing. --busy trades on a rule that holds at nearly every bar: next to nothing can be skipped.

The page is not made: `backtest report` makes it from the artifacts, at any time.
With --busy, --until or --products only a part is run, and its answer is not compared with the right one.

The candles are looked for in $BENCH_DATA (default /tmp/bulwark-bench): SIZE/parquet/PRODUCT.parquet and SIZE/meta.json.
Where they are missing and the generator lies beside the checkout, it is run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import yaml

from bot.domain.value import Value

HERE: Final = Path(__file__).parent
CHECKOUT: Final = HERE.parent.parent.parent
GENERATOR: Final = CHECKOUT.parent / "shared" / "bench" / "gen_data.py"
RIGHT: Final = {"S": (30, 100_742.85), "M": (343, 106_098.67), "L": (1_426, 121_400.21)}
"""Closed trades, and final equity."""
NEAR: Final = 1e-4
FINER: Final = 3
"""Decimals of the listed price increments beyond those of the candles: the workload does not round prices."""


class Measured(Value):
    """One whole process. wall_s: seconds from its start to its end, cpu_s: of the processor; rss_mib: peak of resident
    memory. cycles: how many were run."""

    closed_trades: int
    final_equity: float
    wall_s: float
    cpu_s: float
    rss_mib: float
    cycles: int


def prepared(size: str) -> Path:
    """The folder of candles, with the listings of its products."""
    root = Path(os.environ.get("BENCH_DATA", "/tmp/bulwark-bench"))
    folder = root / size / "parquet"
    if not folder.is_dir():
        if not GENERATOR.exists():
            sys.exit(f"no candles in {folder}, and no generator at {GENERATOR}: set BENCH_DATA")
        subprocess.run([sys.executable, str(GENERATOR), size], check=True, env={**os.environ, "BENCH_DATA": str(root)})
    meta = json.loads((root / size / "meta.json").read_text())
    rows = [_listing(*pair) for pair in zip(meta["products"], meta["price_digits"], strict=True)]
    (folder / "products.json").write_text(json.dumps({"products": rows}, indent=1))
    return folder


def _listing(product: str, digits: int) -> dict[str, object]:
    flags = ("is_disabled", "trading_disabled", "view_only", "cancel_only", "post_only", "auction_mode", "limit_only")
    return {
        "product_id": product,
        "product_type": "SPOT",
        "status": "online",
        "base_currency_id": product.partition("-")[0],
        "quote_currency_id": "USD",
        "price_increment": f"{10.0 ** -(digits + FINER):.{digits + FINER}f}",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "base_min_size": "0.00000001",
        "base_max_size": "1000000000",
        "quote_min_size": "1",
        "quote_max_size": "1000000000",
        **dict.fromkeys(flags, False),
    }


def busy(folder: Path) -> Path:
    """The configuration of the workload into `folder`, its rule asking for nothing but that a price has moved."""
    policy = yaml.safe_load((HERE / "policy.yaml").read_text())
    (rule,) = policy["rules"]
    move = {"enabled": True, "pct_15m": None, "pct_60m": 0.01, "direction": "any"}
    rule["when"] = {"all": [{"price_move": move}]}
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy, sort_keys=False))
    shutil.copy(HERE / "universe.yaml", folder)
    return folder


def measured(folder: Path, settings: Path, extra: Sequence[str]) -> Measured:
    """One run in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "backtest", "run", "--data", str(folder), "--config-dir", str(settings)]
        command += ["--out", out, "--quiet", "--no-report", *extra]
        began = time.perf_counter()
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
            said = process.stdout.read() if process.stdout is not None else ""
            _, status, usage = os.wait4(process.pid, 0)
            wall, process.returncode = time.perf_counter() - began, os.waitstatus_to_exitcode(status)
        if status:
            sys.exit(f"the backtest ended with {os.waitstatus_to_exitcode(status)}")
        figures = json.loads((Path(out) / "summary.json").read_text())
    final, cycles = float(figures["equity"]["final"]), re.search(r"(\d+) cycles run", said)
    cpu = usage.ru_utime + usage.ru_stime
    ran = int(cycles[1]) if cycles is not None else 0
    return Measured(figures["trades"]["closed"], final, wall, cpu, usage.ru_maxrss / 1024, ran)


def main(arguments: Sequence[str]) -> int:
    """0 when the answer is right, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workload", description=__doc__)
    parser.add_argument("size", choices=tuple(RIGHT))
    parser.add_argument("--runs", type=int, default=5)
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--every-cycle", action="store_true")
    rate.add_argument("--busy", action="store_true")
    parser.add_argument("--until", metavar="DAY", help="first day left out")
    parser.add_argument("--products", metavar="A,B")
    args = parser.parse_args(arguments)
    folder, extra = prepared(args.size), ["--every-cycle"] if args.every_cycle else []
    part = ["--to", args.until] if args.until else []
    part += ["--products", args.products] if args.products else []
    extra += part
    with tempfile.TemporaryDirectory() as scratch:
        settings = busy(Path(scratch)) if args.busy else HERE
        runs = [measured(folder, settings, extra) for _ in range(args.runs)]
    closed, final = runs[0].closed_trades, runs[0].final_equity
    print(
        f"closed_trades={closed} final_equity={final:.2f} wall_s={median(run.wall_s for run in runs):.2f} "
        f"rss_mib={median(run.rss_mib for run in runs):.0f}"
    )
    cycles, wall_s = runs[0].cycles, median(run.wall_s for run in runs)
    told = f"cycles={cycles} cycles_per_s={cycles / wall_s:.0f} cpu_s={median(run.cpu_s for run in runs):.2f}"
    print(told, file=sys.stderr)
    if part or args.busy:
        return 0
    trades, equity = RIGHT[args.size]
    same = len({(run.closed_trades, run.final_equity) for run in runs}) == 1
    right = same and closed == trades and abs(final / equity - 1) <= NEAR
    if not right:
        print(f"wrong: {trades} trades and {equity:.2f} are right, the same in every run", file=sys.stderr)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
