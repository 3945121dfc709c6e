"""`bot fetch-candles`: public candles into the files that `backtest` reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.cli.verb import Exit, Terminal, Verb, add_places
from bot.domain.bars import LENGTHS, Granularity
from bot.errors import BotError, ConfigError

if TYPE_CHECKING:
    from bot.adapters.coinbase.client import ReadClient
    from bot.cli.candle_file import CandleFile
    from bot.domain.bars import Bar
    from bot.domain.product import ProductId

MINUTES_OF_GRACE: Final = 1
"""The newest candle of all is still being made."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.show import moment, product

    add_places(parser, mode=False)
    parser.add_argument("products", nargs="+", type=product, metavar="PRODUCT", help="such as BTC-USD")
    parser.add_argument("--from", dest="since", required=True, type=moment, metavar="TIME", help="first opening, UTC")
    parser.add_argument("--to", dest="until", type=moment, metavar="TIME", help="first opening left out; default: now")
    parser.add_argument("--granularity", choices=LENGTHS, default="1m", help="length of a candle (default 1m)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="one PRODUCT_1m.csv.gz each")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.candle_file import CandleFile

    granularity = LENGTHS[args.granularity]
    with _client(args, terminal) as (client, now):
        start, end = _span(args, granularity, now)
        failed = []
        for product in dict.fromkeys(args.products):
            file = CandleFile(args.out, product, args.granularity)
            try:
                count = _fetch(client, file, (product, granularity, start, end), terminal)
            except BotError as error:
                failed.append(product)
                terminal.say(f"bot: {product}: {error}; what was fetched is kept, the same command goes on from there")
            else:
                print(f"{file.path}: {count} candles", file=terminal.out)
    return Exit.ERROR if failed else Exit.FINE


def _span(args: argparse.Namespace, granularity: Granularity, now: datetime) -> tuple[int, int]:
    """First opening, and the first one left out: whole candles only, none that is still being made."""
    newest = granularity.open_of(now - timedelta(minutes=MINUTES_OF_GRACE))
    start = -(-int(args.since.timestamp()) // granularity.value) * granularity.value
    end = min(newest, granularity.open_of(args.until) if args.until is not None else newest)
    if start >= end:
        shown = datetime.fromtimestamp(end, UTC)
        raise ConfigError([f"--from {args.since:%Y-%m-%d %H:%M} must be before {shown:%Y-%m-%d %H:%M} UTC"])
    return start, end


@contextmanager
def _client(args: argparse.Namespace, terminal: Terminal) -> Iterator[tuple[ReadClient, datetime]]:
    """A client for public data within the configured budgets, and the time there."""
    from bot.adapters.coinbase.build import World, build_reader
    from bot.adapters.rng import SystemRng
    from bot.cli.cancelling import limits_of, trading_clock, venue_of
    from bot.cli.place import config_of, settings_of

    settings = settings_of(args, terminal)
    with trading_clock(settings) as clock:
        limits = limits_of(settings, config_of(settings))
        reader = build_reader(venue_of(settings), None, limits, World(clock, SystemRng()))
        try:
            yield reader.client, clock.now()
        finally:
            reader.close()


def _fetch(
    client: ReadClient, file: CandleFile, wanted: tuple[ProductId, Granularity, int, int], terminal: Terminal
) -> int:
    """Page by page into the file, from where it ends. Raises what the venue or the file refuses."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    product, granularity, start, end = wanted
    at = file.open(start, granularity.value)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.console, transient=True) as progress:
        task = progress.add_task(product, total=end - start, completed=min(at, end) - start)
        while at < end:
            stop = min(end, at + PAGE * granularity.value)
            file.add(_page(client, product, granularity, at, stop))
            at = stop
            progress.update(task, completed=at - start)
    return file.finish()


PAGE: Final = 300


def _page(client: ReadClient, product: ProductId, granularity: Granularity, start: int, end: int) -> list[Bar]:
    """A complete answer for [start, end), asked with a candle more at both ends: which one is left out is open."""
    from bot.adapters.coinbase.budget import Access
    from bot.adapters.coinbase.client import Endpoint
    from bot.adapters.coinbase.wire.product import candles
    from bot.adapters.coinbase.wire.read import Fields

    endpoint = Endpoint(f"/market/products/{product}/candles", "candles", Access.PUBLIC)
    step, what = granularity.value, f"candles {product}"
    params = {"start": str(start - step), "end": str(end + step), "granularity": granularity.name}
    return candles(Fields(client.get(endpoint, params, what), what), granularity, start, end)


VERB = Verb(
    "fetch-candles",
    "download public candles into the files that a backtest reads; goes on where it stopped",
    "bot fetch-candles BTC-USD ETH-USD --from 2026-01-01 --to 2026-07-01 --out candles\n"
    "bot fetch-candles SOL-USD --from 2026-11-01 --granularity 5m --out candles",
    _arguments,
    _run,
)
