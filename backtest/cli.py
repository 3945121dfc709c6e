"""The command line of the backtest: one parser, one verb a function, every failure one plain line and its exit code."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

from backtest.check.verbs import add_check
from backtest.progress import progress
from backtest.verbs import add_compare, add_gate, add_report
from bot.errors import BotError, CandlesCorrupt, ConfigError

FINE, ERROR, USAGE = 0, 1, 2


def entrypoint() -> NoReturn:
    """The console script."""
    # Nothing here multiplies matrices: the threads that do it would begin by looking for work, on the cores that files
    # are read on.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = main(sys.argv[1:], sys.stdout, sys.stderr)
    gc.freeze()  # the process ends: what it leaves behind need not be looked through for garbage first
    sys.exit(code)


def main(arguments: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Run one verb; answers the exit code: 0 fine, 1 error, 2 bad usage, configuration or data, 3 the gate is red."""
    try:
        args = _parser().parse_args(arguments)
    except SystemExit as done:
        return USAGE if done.code else FINE
    try:
        verb: Callable[[argparse.Namespace, TextIO, TextIO], int] = args.run
        code = verb(args, out, err)
        out.flush()
        return code
    except BotError as error:
        for line in str(error).splitlines() or [type(error).__name__]:
            print(f"backtest: {line}", file=err)
        return USAGE if isinstance(error, (ConfigError, CandlesCorrupt)) else ERROR
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return ERROR
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"backtest: {where}{error.strerror or error}", file=err)
        return ERROR
    except KeyboardInterrupt:
        return ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="backtest",
        description="The live trading loop on recorded candles.",
        epilog="example:\n  backtest run --data candles --config-dir config --out out/first",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_run(verbs)
    add_gate(verbs)
    add_report(verbs)
    add_compare(verbs)
    add_check(verbs, _add_market)
    return parser


def _add_run(verbs: Any) -> None:
    text = "trade on recorded candles and write what came of it"
    parser = verbs.add_parser(
        "run", help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "example:\n"
            "  bot fetch-candles BTC-USD ETH-USD --from 2026-01-01 --out candles\n"
            "  backtest run --data candles --from 2026-02-01 --to 2026-03-01 --config-dir config --out out/february"
        ),
    )  # fmt: skip
    _add_market(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="where summary.json, trades.json and all else go, and report.html")  # fmt: skip
    parser.add_argument("--every-cycle", action="store_true", help="skip nothing: slower, and the same artifacts")
    parser.add_argument("--no-report", dest="report", action="store_false",
                        help="no report.html, which `backtest report DIR` makes at any time")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=_run)


def _add_market(parser: argparse.ArgumentParser) -> None:
    """What to trade on, and with which settings."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR",
                        help="PRODUCT_1m.csv[.gz] or PRODUCT.parquet, and products.json if you have it")  # fmt: skip
    parser.add_argument("--from", dest="since", type=_moment, metavar="TIME",
                        help="first bar: 2026-02-01 or 2026-02-01T06:00, UTC; default: the first")  # fmt: skip
    parser.add_argument("--to", dest="until", type=_moment, metavar="TIME", help="first bar left out; default: none")
    parser.add_argument("--config-dir", type=Path, default=Path("config"), metavar="DIR",
                        help="policy.yaml and universe.yaml (default: config)")  # fmt: skip
    parser.add_argument("--products", type=_products, default=(), metavar="A,B",
                        help="only these; default: all there are")  # fmt: skip
    parser.add_argument("--bar", choices=("1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "1d"),
                        help="bar length; default: data.bar_granularity of the policy")  # fmt: skip


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a date or a time such as 2026-11-21T10:00, was {text!r}") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _products(text: str) -> tuple[Any, ...]:
    from bot.domain.product import ProductId
    from bot.errors import UnitError

    try:
        return tuple(dict.fromkeys(ProductId.parse(part) for part in text.split(",") if part.strip()))
    except UnitError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    with _uncollected():
        return _ran(args, out, err)


def _ran(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    began = time.monotonic()
    from backtest import candles, engine, notes, prepare
    from backtest.drive import Drive
    from bot.domain.bars import LENGTHS
    from bot.settings.load import load_config

    _may_be_folder(args.out)
    given = load_config(args.config_dir)
    config = prepare.adapted(given, LENGTHS[args.bar] if args.bar else None)
    wanted = prepare.wish(config, args.data, products=args.products, since=args.since, until=args.until)
    code = engine.code_hash(Path(engine.__file__).parent.parent)
    # Not while modules are loaded: that and the work on columns would wait for each other at every step.
    with progress(err, "files", quiet=args.quiet) as told:
        data = prepare.counted(wanted, told)
    candles.release()
    with ThreadPoolExecutor(1) as aside:
        hashing = aside.submit(engine.data_hashes, args.data, data)
        for line in notes.notes(given, data):
            print(f"backtest: {line}", file=err)
        drive = Drive(config, data, code[:12], every=args.every_cycle)
        with progress(err, "bars", quiet=args.quiet) as told:
            drive.run(lambda k: told(k + 1, data.count))
        run = engine.finish(drive, given.config_hash, code, _command(args))
        figures = engine.write(run, args.data, args.out, hashing.result())
    if args.report:
        from backtest.report import page

        page.bind(args.out)
    _tell(figures, drive.cycles, time.monotonic() - began, _where(args.out, args.report), out)
    return ERROR if drive.recorder.failures else FINE


def _may_be_folder(out: Path) -> None:
    """Raises ConfigError when nothing could be written there: better known before the run than after it."""
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError([f"--out {out}: {there} is a file, a folder is needed"])
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError([f"--out {out}: nothing may be written in {there}"])


@contextmanager
def _uncollected() -> Iterator[None]:
    """A run, the loading of its modules included, makes no garbage in cycles worth looking for: what it drops is freed
    at once, by its count. Nor is what is left looked through as soon as that is over: it counts as old."""
    looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looking:
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _command(args: argparse.Namespace) -> str:
    """What was asked for, without folders: they change no result, and hashes name what was in them."""
    words = ["backtest", "run"]
    words += ["--from", f"{args.since:%Y-%m-%dT%H:%M}"] if args.since is not None else []
    words += ["--to", f"{args.until:%Y-%m-%dT%H:%M}"] if args.until is not None else []
    words += ["--products", ",".join(args.products)] if args.products else []
    words += ["--bar", args.bar] if args.bar else []
    return " ".join(words)


def _where(folder: Path, report: bool) -> str:
    return f"{folder}, look at {folder / 'report.html'}" if report else str(folder)


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _tell(figures: Any, cycles: int, seconds: float, where: str, out: TextIO) -> None:
    trades, returns, drawdown = figures["trades"], figures["returns"], figures["drawdowns"]["max_pct"]
    period = figures["period"]
    print(
        f"{_minute(period['from'])} to {_minute(period['to'])} UTC: {period['bars']} bars of "
        f"{len(period['products'])} products, {cycles} cycles run, {seconds:.1f} s\n"
        f"{trades['closed']} trades closed, {trades['open']} open; equity {figures['equity']['opening']:.2f} -> "
        f"{float(figures['equity']['final']):.2f} ({returns['total_pct']:+.2f} %), deepest fall {drawdown:.2f} %\n"
        f"ledger {'balances' if figures['integrity']['balanced'] else 'DOES NOT BALANCE'}; artifacts in {where}",
        file=out,
    )
