"""Recorded data and payloads, read only where they are present."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

FIXTURES = Path(os.environ.get("BULWARK_FIXTURES", "../shared/fixtures")) / "coinbase"
DATA = Path(os.environ.get("BULWARK_DATA", "../shared/data"))
COMMITTED = Path(__file__).parent.parent / "wire" / "coinbase"


def payload(name: str) -> Any:
    """A recorded payload, or the small committed equivalent of the same name."""
    recorded, committed = FIXTURES / name, COMMITTED / name
    return json.loads((recorded if recorded.exists() else committed).read_text(), parse_float=Decimal)


def candle_paths(limit: int) -> list[Path]:
    """Recorded one-minute candle files; empty where there are none."""
    return sorted((DATA / "candles").glob("*_1m.csv.gz"))[:limit]
