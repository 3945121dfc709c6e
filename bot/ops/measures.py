"""What a gate that allowed has seen, worded for people: value against limit, in percent where both are shares."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from bot.domain.decision import Allow, Measure
from bot.domain.money import EXACT, HUNDRED, decimal_text

CENT, FINE, FINEST = Decimal("0.01"), Decimal("0.0001"), Decimal("0.00000001")
PERCENT: Final = "%"


def seen(verdict: Allow) -> str:
    """Everything the gate compared, or what it saw where nothing has a number."""
    told = "; ".join(_worded(measure) for measure in verdict.measured)
    return "; ".join(filter(None, (verdict.note, told))) or "nothing speaks against it"


def measured(verdict: Allow) -> dict[str, Any]:
    """The same as data, numbers exact; empty when nothing has a number."""
    rows = [_row(measure) for measure in verdict.measured]
    return {"measured": rows} if rows else {}


def _worded(item: Measure) -> str:
    if item.limit is None:
        return f"{item.what} {_amount(item.value, item.unit)}, no limit{_of(item)}"
    bound = "at least" if item.floor else "at most"
    if item.whole is None:
        return f"{item.what} {_amount(item.value, item.unit)}, {bound} {_amount(item.limit, item.unit)}{_of(item)}"
    shares = f"{_share(item.value, item.whole)} % of {_share(item.limit, item.whole)} % of equity"
    amounts = f"{_amount(item.value, '')} of {_amount(item.limit, item.unit)}"
    return f"{item.what} {shares} with it ({amounts}){_of(item)}"


def _of(item: Measure) -> str:
    return f" ({item.key})" if item.key else ""


def _amount(value: Decimal, unit: str) -> str:
    """In cents from one unit on; below that a size of a dear coin keeps its digits, and a percent four of them."""
    step = CENT if abs(value) >= 1 else FINE if unit == PERCENT else FINEST
    return " ".join(filter(None, (decimal_text(value.quantize(step, ROUND_HALF_EVEN)), unit)))


def _share(part: Decimal, whole: Decimal) -> str:
    return decimal_text(EXACT.divide(EXACT.multiply(part, HUNDRED), whole).quantize(CENT, ROUND_HALF_EVEN))


def _row(item: Measure) -> dict[str, Any]:
    row = {"what": item.what, "value": decimal_text(item.value), "unit": item.unit, "key": item.key}
    limit = None if item.limit is None else decimal_text(item.limit)
    return {**row, "limit": limit, "bound": "least" if item.floor else "most"}
