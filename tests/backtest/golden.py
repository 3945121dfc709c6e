"""A small run whose artifacts are kept: three days of one made-up market with two lively rules.

python -m tests.backtest.golden writes them anew; what changed is then for a person to read in the difference.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.backtest import runs
from tests.backtest.markets import write_markets

FOLDER: Final = Path(__file__).parent / "golden" / "run"
KEPT: Final = (
    "summary.json",
    "trades.json",
    "orders.json",
    "fills.json",
    "equity.csv",
    "exposure.csv",
    "decisions.jsonl",
)


def artifacts(folder: Path) -> Mapping[str, bytes]:
    """The artifacts of the run as they come out today; hashes of configuration and code left out."""
    candles = write_markets(folder / "candles", {"BTC-USD": 4}, 3 * 1440)
    files = dict(runs.backtest(candles, runs.settings({}), folder / "out", every=False).files)
    summary = json.loads(files["summary.json"])
    del summary["identity"]
    files["summary.json"] = (json.dumps(summary, indent=2) + "\n").encode()
    return {name: files[name] for name in KEPT}


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in artifacts(Path(scratch)).items():
            (FOLDER / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
