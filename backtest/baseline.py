"""The committed figures of the gate, and its results: small JSON files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from backtest.gate import Figures, Verdict
from bot.domain.value import replace
from bot.errors import ConfigError

FILE: Final = "baseline.json"


def read(path: Path) -> Mapping[str, Figures] | None:
    """Figures by scenario; None when there is no such file. Raises ConfigError when it is no baseline."""
    try:
        document = json.loads(path.read_bytes())
        return {
            name: {key: _number(value) for key, value in rows.items()} for name, rows in document["figures"].items()
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError([f"{path}: is no baseline of `backtest gate`: {error!r}"]) from error


def document(verdict: Verdict) -> Mapping[str, Any]:
    """What the baseline file holds. config_hash: for people; figures are compared whatever it is."""
    return {
        "config_hash": verdict.config_hash,
        "figures": {outcome.name: dict(outcome.figures) for outcome in verdict.outcomes},
    }


def accepted(verdict: Verdict) -> Verdict:
    """The same result with its own figures as the baseline."""
    return replace(verdict, drift=())


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)
