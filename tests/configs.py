"""Configurations for tests: the shipped files with some keys replaced, written to a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).parent.parent / "config"

LOCAL_VENUE: Mapping[str, Any] = {
    "rate_limits": {"public_per_second": 1000, "private_per_second": 1000, "hourly": 10_000_000},
}
"""A venue on this machine may be asked as often as one likes; how budgets are kept is tested elsewhere."""


def write_config(
    folder: Path, policy: Mapping[str, Any] | None = None, universe: Mapping[str, Any] | None = None
) -> Path:
    """Both shipped files below `folder`, nested keys of the two mappings replaced; answers the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, changes in (("policy.yaml", policy or {}), ("universe.yaml", universe or {})):
        document = yaml.safe_load((SHIPPED / name).read_text())
        _replace(document, changes)
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def _replace(document: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(document.get(key), dict):
            _replace(document[key], value)
        else:
            document[key] = value
