"""Runs every measurement in this package and prints one table, with the machine it was taken on.

A measurement is a module here with `run()`, which gives Results.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.result import Result


def modules(wanted: Iterable[str]) -> Iterator[str]:
    """Names of the measurements, in alphabetical order."""
    chosen = tuple(wanted)
    for item in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if item.name not in {"__main__", "result"} and (not chosen or any(part in item.name for part in chosen)):
            yield item.name


def machine() -> str:
    """Processor, cores, what else they were doing, and Python, in one line."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f} before"
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores ({load}), {platform.system()}, {python}"
    )


def results(names: Iterable[str]) -> Iterator[tuple[str, Result]]:
    """Each module's results; one without `run` is no measurement."""
    for name in names:
        module = importlib.import_module(f"tests.bench.{name}")
        for result in module.run() if hasattr(module, "run") else ():
            yield name, result


def main(arguments: list[str]) -> int:
    """Print the table; 1 when a limit was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure speed and memory.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only areas named so: {', '.join(modules(()))}")
    names = parser.parse_args(arguments).names
    table = Table("area", "what", "measured", "limit", "", title=machine())
    missed = False
    for name, result in results(modules(names)):
        missed |= result.missed
        table.add_row(name, result.what, result.value_text, result.limit_text, "missed" if result.missed else "")
    Console(width=140).print(table)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
