"""What the sources say to operators, read from the syntax tree: alerts, log events, environment variables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

BOT: Final = Path(__file__).resolve().parents[2] / "bot"
VARIABLE: Final = re.compile(
    r"ENV|BOT_[A-Z_]+|COINBASE_(API|REST|WS|STATUS|CA)_[A-Z_]+|ALERT_WEBHOOK_URL|CREDENTIALS_DIRECTORY"
    r"|NOTIFY_SOCKET|WATCHDOG_(PID|USEC)"
)
_ALARMS: Final = {"notice", "fire", "tell", "_alert", "_alarm"}
_LEVELS: Final = {"debug", "info", "warning", "error", "critical"}
_EVENT: Final = re.compile(r"[a-z]+(\.[a-z_]+)+")


def fingerprints() -> set[str]:
    """Families of alert fingerprints; what varies in one is written `*`."""
    return set(severities())


def severities() -> dict[str, set[str]]:
    """Families of alert fingerprints with the severities they are raised at; none where a table decides."""
    found: dict[str, set[str]] = {}
    trees = list(_trees())
    shared = dict(pair for tree in trees for pair in _constants(tree) if not pair[0].startswith("_"))
    for tree in trees:
        constants = {**shared, **dict(_constants(tree))}
        for node in ast.walk(tree):
            parts = _alarm(node)
            for name in _fingerprint(parts, constants):
                named = (inner for part in parts[1:2] for inner in ast.walk(part) if isinstance(inner, ast.Attribute))
                found.setdefault(name, set()).update(inner.attr for inner in named if inner.attr.isupper())
    return found


def log_events() -> set[str]:
    """Names of log events."""
    calls = (node for node in _nodes() if isinstance(node, ast.Call) and _name(node) in _LEVELS and node.args)
    texts = (_text(call.args[0]) for call in calls)
    return {text for text in texts if text is not None and _EVENT.fullmatch(text)}


def variables() -> set[str]:
    """Environment variables named anywhere in the sources."""
    texts = {node.value for node in _nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if VARIABLE.fullmatch(text)}


def _alarm(node: ast.AST) -> list[ast.expr]:
    """The arguments of a call that raises an alert, or the parts of a (fingerprint, Severity, ...) tuple."""
    if isinstance(node, ast.Call) and _name(node) in _ALARMS:
        return node.args
    if isinstance(node, ast.Tuple) and len(node.elts) == 4 and _is_severity(node.elts[1]):
        return node.elts
    return []


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names of a module that stand for one text."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            text = _text(node.value)
            if text is not None:
                yield node.target.id, text


def _fingerprint(parts: list[ast.expr], constants: Mapping[str, str]) -> Iterator[str]:
    """The first text among them, also under the name of a constant."""
    texts = (constants.get(part.id) if isinstance(part, ast.Name) else _text(part, constants) for part in parts)
    yield from [text for text in texts if text is not None and re.fullmatch(r"[a-z-]+(\.[a-z_*]+)*", text)][:1]


def _trees() -> Iterator[ast.Module]:
    for path in sorted(BOT.rglob("*.py")):
        yield ast.parse(path.read_text(), str(path))


def _nodes() -> Iterator[ast.AST]:
    for tree in _trees():
        yield from ast.walk(tree)


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_severity(node: ast.expr) -> bool:
    """`Severity.CRITICAL`, a name or a table of that kind."""
    found = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return any(name.strip("_").lower() == "severity" for name in found)


def _text(node: ast.expr, constants: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """A literal text; an f-string with `*` for what is filled in, unless that is a constant."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return re.sub(r"\*(\.\*)*", "*", "".join(_part(part, constants) for part in node.values))
    return None


def _part(part: ast.expr, constants: Mapping[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    filled = part.value if isinstance(part, ast.FormattedValue) else part
    return constants.get(filled.id, "*") if isinstance(filled, ast.Name) else "*"
