"""`backtest check lookahead|warmup|parity`: the verb's arguments, its answer and its exit code."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bot.domain.value import replace

if TYPE_CHECKING:
    from backtest.check.parity_run import Parity
    from backtest.check.report import Report
    from backtest.dataset import Dataset
    from bot.settings.config import Config

FINE, REFUSED = 0, 3

Arguments = Callable[[argparse.ArgumentParser], None]


def add_check(verbs: Any, market: Arguments) -> None:
    """market: adds the options that name data, period, products and configuration, as those of `run`."""
    text = "whether a backtest may be believed: exit 0 or 3"
    parser = verbs.add_parser(
        "check", help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "A few hours or days of candles do for lookahead and parity, warmup needs weeks of them.\n"
            "`backtest check KIND --help` tells more.\n\n"
            "example:\n"
            "  backtest check lookahead --data candles --config-dir config\n"
            "  backtest check parity --data candles --from 2026-02-01T06:00 --to 2026-02-01T12:00 --out out/parity.json"
        ),
    )  # fmt: skip
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    _add_lookahead(kinds, market)
    _add_warmup(kinds, market)
    _add_parity(kinds, market)


def _kind(kinds: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(
        name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example:\n  {example}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="the findings as JSON")
    return parser


def _add_lookahead(kinds: Any, market: Arguments) -> None:
    parser = _kind(
        kinds, "lookahead", "no decision knows a bar that had not closed",
        "backtest check lookahead --data candles --config-dir config",
    )  # fmt: skip
    market(parser)
    _add_sample(parser)
    parser.add_argument("--cuts", type=_count, default=3, metavar="N",
                        help="moments at which whole runs part from the recorded future (default: 3)")  # fmt: skip
    parser.set_defaults(run=_lookahead)


def _add_warmup(kinds: Any, market: Arguments) -> None:
    parser = _kind(
        kinds, "warmup", "no decision depends on more history than is asked for",
        "backtest check warmup --data candles --from 2026-02-01 --config-dir config",
    )  # fmt: skip
    market(parser)
    _add_sample(parser)
    parser.set_defaults(run=_warmup)


def _add_parity(kinds: Any, market: Arguments) -> None:
    parser = _kind(
        kinds, "parity", "the daemon on a simulated exchange trades a period as the backtest does",
        "backtest check parity --data candles --from 2026-02-01T06:00 --to 2026-02-01T12:00 --config-dir config",
    )  # fmt: skip
    market(parser)
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the daemon's log")
    parser.set_defaults(run=_parity)


def _add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true",
                        help="every decision again (default: all that trade, and ever fewer others)")  # fmt: skip


def _lookahead(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    from backtest.check.bias import lookahead
    from backtest.check.progress import Teller

    config, data, _ = _loaded(args, 1)
    report = lookahead(data, config, every=args.all, cuts=args.cuts, note=Teller(err))
    return _answer(report, args.out, out)


def _warmup(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    from backtest.check.bias import warmup
    from backtest.check.progress import Teller

    config, data, declared = _loaded(args, 3)
    report = warmup(data, config, declared=declared, every=args.all, note=Teller(err))
    return _answer(report, args.out, out)


def _parity(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    from backtest.check.parity_run import parity
    from backtest.check.progress import Teller

    config, data, _ = _loaded(args, 1)
    with tempfile.TemporaryDirectory(prefix="parity-") as scratch:
        path = args.log or Path(scratch) / "bot.log"
        with path.open("w", encoding="utf-8") as log:
            found = parity(config, data, Path(scratch) / "data", log, Teller(err))
    return _answer(found, args.out, out)


def _loaded(args: argparse.Namespace, histories: int) -> tuple[Config, Dataset, int]:
    """Configuration, data with so many times the usual history before --from, and how many bars the usual is."""
    from backtest import engine
    from bot.domain.bars import LENGTHS
    from bot.settings.load import load_config

    config = engine.adapted(load_config(args.config_dir), LENGTHS[args.bar] if args.bar else None)
    wish = engine.wish(config, args.data, products=args.products, since=args.since, until=args.until)
    return config, engine.read(replace(wish, history=histories * wish.history)), wish.history


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"must be 1 to 100, was {text[:20]!r}")
    return int(text)


def _answer(report: Report | Parity, path: Path | None, out: TextIO) -> int:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report.document(), indent=2) + "\n")
    for line in report.text():
        print(line, file=out)
    return FINE if report.passed else REFUSED
