"""What the shipped rules earned on the recorded markets: python -m tests.real.backtests, or `make real-backtest`.

Each recorded period is traded by `backtest run` with a configuration folder as it stands. Printed per period: return,
fees, drawdown and trades beside simply buying and holding; per rule: what its trades made after all fees, those still
open at the last close included. With --alone every rule, switched on or not, also runs by itself: together they compete
for cash and places, alone they do not.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

from backtest.cli import main as backtest
from bot.domain.value import Value

HEAD: Final = ("return", "trades", "fees", "of them won", "deepest fall", "BTC held", "all held")
REPORT: Final = "report.html"


class Period(Value):
    """One recorded period. bar: as `backtest run --bar` takes it; products: all that have bars of that length."""

    name: str
    bar: str
    about: str

    def products(self, candles: Path) -> list[str]:
        return sorted(path.name.split("_")[0] for path in candles.glob(f"*_{self.bar}.csv.gz"))


PERIODS: Final = (
    Period("month", "1m", "2023-11-25 to 2023-12-23, one-minute bars"),
    Period("fourteen-months", "15m", "2024-04-18 to 2025-06-30, 15-minute bars"),
)


class Result(Value):
    """A finished run: summary.json, and what every round trip made after fees (open ones at the last close)."""

    figures: Mapping[str, Any]
    trades: Sequence[Mapping[str, Any]]
    folder: Path

    @property
    def row(self) -> tuple[str, ...]:
        figures = self.figures
        held = figures["benchmark"]
        return (
            f"{figures['returns']['total_pct']:+.2f} %",
            str(len(self.trades)),
            f"{figures['costs']['fees']:.2f}",
            _share(sum(Decimal(trade["pnl"]) > 0 for trade in self.trades), len(self.trades)),
            f"{figures['drawdowns']['max_pct']:.2f} %",
            f"{held['btc']['return_pct']:+.2f} %",
            f"{held['equal_weight']['return_pct']:+.2f} %",
        )

    def of_rule(self, name: str) -> tuple[int, Decimal, Decimal]:
        """Trades of a rule, what they made after fees, and their fees."""
        mine = [trade for trade in self.trades if trade["rule"] == name]
        return len(mine), _sum(mine, "pnl"), _sum(mine, "fees")


def run(candles: Path, period: Period, config_dir: Path, out: Path) -> Result:
    """One backtest through its command line. Raises RuntimeError with what it said when it is not fine."""
    said, wrong = io.StringIO(), io.StringIO()
    code = backtest(
        [
            "run", "--data", str(candles), "--bar", period.bar, "--products", ",".join(period.products(candles)),
            "--config-dir", str(config_dir), "--out", str(out), "--quiet",
        ],
        said, wrong,
    )  # fmt: skip
    if code:
        raise RuntimeError(f"backtest run ended with {code}: {said.getvalue()}{wrong.getvalue()}")
    figures = json.loads((out / "summary.json").read_text())
    if not figures["integrity"]["balanced"]:
        raise RuntimeError(f"the ledger of {out} does not balance: {figures['integrity']['ledger_residual']}")
    return Result(figures, _valued(json.loads((out / "trades.json").read_text()), candles, period), out)


def _valued(trades: Sequence[Mapping[str, Any]], candles: Path, period: Period) -> list[dict[str, Any]]:
    """Every trade with a profit; one that is still open is worth the last close, before the fee of selling it."""
    done = []
    for trade in trades:
        if trade["closed_at"] is not None:
            done.append(dict(trade))
            continue
        worth = Decimal(trade["size"]) * _last_close(candles / f"{trade['product']}_{period.bar}.csv.gz")
        done.append({**trade, "pnl": str(worth + Decimal(trade["proceeds"]) - Decimal(trade["cost"]))})
    return done


def _last_close(path: Path) -> Decimal:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        *_, last = text
    return Decimal(last.split(",")[4])


def rules_of(config_dir: Path) -> Mapping[str, bool]:
    """Rule -> whether it is switched on, in the order of the file."""
    document = yaml.safe_load((config_dir / "policy.yaml").read_text())
    return {rule["name"]: rule.get("enabled", True) for rule in document["rules"]}


def alone(config_dir: Path, wanted: str, folder: Path) -> Path:
    """The configuration with this rule on and every other off."""
    shutil.copytree(config_dir, folder)
    document = yaml.safe_load((config_dir / "policy.yaml").read_text())
    for rule in document["rules"]:
        rule["enabled"] = rule["name"] == wanted
    (folder / "policy.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def tell(candles: Path, config_dir: Path, out: Path, *, every_rule: bool) -> Iterator[str]:
    """Line by line, as the runs end."""
    rules = rules_of(config_dir)
    for period in PERIODS:
        yield f"{period.name}: {period.about}, {len(period.products(candles))} products, rules as in {config_dir}"
        result = run(candles, period, config_dir, out / period.name)
        yield from _table(HEAD, [result.row])
        yield from _table(
            ("rule", "", "trades", "after fees", "fees"),
            [(name, "" if on else "off", *_amounts(result.of_rule(name))) for name, on in rules.items()],
        )
        if every_rule:
            yield from _alone(candles, period, config_dir, out)
        report = result.folder / REPORT
        yield f"  {'report' if report.exists() else 'artifacts'} in {report if report.exists() else result.folder}\n"


def _alone(candles: Path, period: Period, config_dir: Path, out: Path) -> Iterator[str]:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in rules_of(config_dir):
            config = alone(config_dir, name, Path(scratch) / name)
            result = run(candles, period, config, out / f"{period.name}-{name}")
            rows.append((name, *_amounts(result.of_rule(name)), *result.row[3:5]))
    yield from _table(("rule alone", "trades", "after fees", "fees", "of them won", "deepest fall"), rows)


def _amounts(found: tuple[int, Decimal, Decimal]) -> tuple[str, str, str]:
    return str(found[0]), f"{found[1]:+.2f}", f"{found[2]:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    for line in (head, *rows):
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _sum(trades: Sequence[Mapping[str, Any]], name: str) -> Decimal:
    return sum((Decimal(trade[name]) for trade in trades), Decimal(0))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make real-backtest", description=__doc__.splitlines()[0])
    parser.add_argument("--alone", action="store_true", help="every rule by itself, too")
    parser.add_argument("--config-dir", type=Path, default=Path("config"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("out/real-backtest"), metavar="DIR")
    args = parser.parse_args(arguments)
    candles = Path(os.environ.get("BULWARK_DATA", "../shared/data")) / "candles"
    missing = [period.bar for period in PERIODS if not period.products(candles)]
    if missing:
        print(f"no recorded {' or '.join(missing)} candles in {candles}: set BULWARK_DATA", file=sys.stderr)
        return 1
    for line in tell(candles, args.config_dir, args.out, every_rule=args.alone):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
