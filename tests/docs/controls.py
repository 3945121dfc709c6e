"""docs/CONTROLS.md, one row a control, and the digest that binds a launch certificate to it.

`python -m tests.docs.controls` writes both anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.docs.control import Control
from tests.docs.controls_execution import EXECUTION
from tests.docs.controls_market import MARKET
from tests.docs.controls_operation import OPERATION
from tests.docs.controls_risk import RISK
from tests.docs.reference import table

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs" / "CONTROLS.md"
DIGEST: Final = ROOT / "bot" / "settings" / "controls.py"

SECTIONS: Final = {
    "What may be traded, and how much": RISK,
    "Between a permission and the venue, and in the books": EXECUTION,
    "What is believed of account and markets": MARKET,
    "The process and its operator": OPERATION,
}
CONTROLS: Final = tuple(control for section in SECTIONS.values() for control in section)
COLUMNS: Final = (
    "control", "what it does", "policy keys", "gates and breakers", "faults", "proven by", "metrics", "alerts"
)  # fmt: skip

_HEAD: Final = """\
# Controls

What keeps the bot from losing money it was not told to risk: one row a control, made by
`python -m tests.docs.controls` from what the tests name. A test sees to it that every key, gate, breaker, metric, alert
and test exists, and that no gate and no breaker goes without a row; `tests/loop/test_controls_seen.py` drives every
control of the loop into its situation, sees the figures and alerts of its row move, and `bot status` or `bot explain`
say so. `make sabotage` breaks each control and sees its tests turn red. The digest of this page is part of the code and
of every launch certificate.

Faults are the numbers of the list that `tests/faults` replays. Keys are those of policy.yaml unless a file is named.
Meaning of keys, metrics and alerts: [REFERENCE](REFERENCE.md); what to do: [RUNBOOK](RUNBOOK.md).
"""

_MODULE: Final = '''\
"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "{digest}"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
'''


def page() -> str:
    """The whole document."""
    parts = [_HEAD]
    for heading, controls in SECTIONS.items():
        parts += [f"## {heading}\n", table(COLUMNS, [_row(control) for control in controls])]
    return "\n".join(parts)


def module(content: bytes) -> str:
    """The source that carries the digest of the document."""
    return _MODULE.format(digest=sha256(content).hexdigest())


def _row(control: Control) -> Sequence[str]:
    stages = [f"gate `{gate}`" for gate in control.gates] + [f"breaker `{name}`" for name in control.breakers]
    return (
        f"**{control.name}**", control.does, _codes(control.keys), ", ".join(stages) or "-",
        ", ".join(control.faults) or "-", "; ".join(_by_file(control.tests)), _codes(control.metrics),
        _codes(control.alerts),
    )  # fmt: skip


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def _by_file(tests: Sequence[str]) -> Iterable[str]:
    """Each file once, its functions behind it."""
    for file, mine in groupby(tests, key=lambda test: test.partition("::")[0]):
        yield f"`tests/{file}`: " + ", ".join(f"`{test.partition('::')[2]}`" for test in mine)


def key_pattern(key: str) -> re.Pattern[str]:
    """Keys of the models that a row's key names: itself, what lies below it, any name for `*`."""
    return re.compile(re.escape(key).replace(r"\*", "[^.]+") + r"(\..*)?")


def main() -> None:
    content = page().encode()
    DOCUMENT.write_bytes(content)
    DIGEST.write_text(module(content))


if __name__ == "__main__":
    main()
