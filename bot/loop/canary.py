"""The first live hours of what was certified, when only `governance.canary_scale_pct` of every cap is in force."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.codec import canonical, parse_time, time_text
from bot.errors import UnitError
from bot.ports import Storage

FILE: Final = "canary.json"
"""When the first live start of which code and configuration was."""


def canary_ends(storage: Storage, certified: str, hours: Decimal, now: datetime) -> datetime | None:
    """When those hours are over; None when they are already, or there are none.

    They begin with the first start of what is `certified` (code and configuration, in any spelling), and go on over
    restarts and over a certificate that is only renewed. A record that cannot be read begins them anew.

    Raises: StorageFailed when their beginning cannot be kept; StateCorrupt when its file must not be read.
    """
    if hours <= 0:
        return None
    began = _began(storage.read(FILE), certified)
    if began is None or began > now:
        began = now
        storage.write(FILE, canonical({"certified": certified, "began": time_text(now)}) + b"\n")
    ends = began + timedelta(seconds=int(hours * 3600))
    return ends if now < ends else None


def _began(content: bytes | None, certified: str) -> datetime | None:
    try:
        found = json.loads(content or b"{}")
        return parse_time(found["began"]) if found["certified"] == certified else None
    except (ValueError, KeyError, TypeError, UnitError):
        return None
