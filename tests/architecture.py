"""Reads what a source file imports and touches, and says which rule of the architecture it breaks.

Works on text, so a rule can be tried on a planted line. Independent of import-linter, which reads the same arrows from
pyproject.toml: two readers, so that a mistake in one is seen by the other.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final

from bot.domain.value import Value

LINES_MAX: Final = 600
PYTHON_MIN: Final = (3, 11)

_VALUES: Final = frozenset({"domain", "errors"})
_POLICY: Final = _VALUES | {"settings"}
_PORTS: Final = _POLICY | {"ports"}
_PURE_STAGES: Final = frozenset({"universe", "triggers", "rules", "risk"})
_STAGES: Final = _PURE_STAGES | {"observe"}
_TRADING: Final = _PORTS | _STAGES | {"decide", "execution", "record", "ops"}

# What each folder or file directly below bot/ may import from bot, besides itself. A new one needs a row.
ARROWS: Final[Mapping[str, frozenset[str]]] = {
    "__init__": frozenset(),
    "errors": frozenset(),
    "domain": frozenset({"errors"}),
    "settings": _VALUES,
    "ports": _VALUES,
    "observe": _PORTS,
    "universe": _POLICY,
    "triggers": _POLICY,
    "rules": _POLICY,
    "risk": _POLICY,
    "execution": _PORTS,
    "record": _PORTS,
    "venue": _PORTS,
    "decide": _POLICY | _STAGES,
    "ops": _PORTS | {"record"},
    "adapters": _PORTS | {"venue", "record", "ops"},
    "loop": _TRADING,
    "app": _TRADING | {"loop", "venue", "adapters"},
    "cli": _TRADING | {"loop", "venue", "adapters", "app"},
    "__main__": frozenset({"cli"}),
}
PURE: Final = _PURE_STAGES | {"domain", "venue", "decide"}
IMPURE_MODULES: Final = frozenset(
    {
        "asyncio",
        "concurrent",
        "http",
        "httpx",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "requests",
        "secrets",
        "shutil",
        "signal",
        "socket",
        "ssl",
        "structlog",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "websockets",
    }
)
FRAMES: Final = frozenset({"pandas", "pyarrow", "plotly"})
SIMULATOR_USERS: Final = frozenset({"bot/cli/demo.py", "bot/cli/sim.py", "backtest/check/rehearsal.py"})
"""Two verbs that show the simulated exchange, and the parity check, which trades on it beside the backtest: that both
agree can only be shown with the real adapter on a wire."""
FOREIGN: Final[Mapping[str, frozenset[str]]] = {
    "bot": frozenset({"backtest", "simulator", "tests"}) | FRAMES,
    "backtest": frozenset({"simulator", "tests"}),
    "simulator": frozenset({"backtest", "tests"}) | FRAMES,
}

# Names that reach the clock, chance, the environment or a file; a module stands for everything in it.
CLOCK_AND_CHANCE: Final = (
    "time",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "random",
    "secrets",
    "numpy.random",
    "uuid.uuid1",
    "uuid.uuid4",
    "os.urandom",
    "os.environ",
    "os.getenv",
)
FILES: Final = ("os.open", "io.open", "builtins.open")
PATH_METHODS: Final = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})
WORLD_USERS: Final = (
    "bot/adapters/",
    "bot/cli/",
    "bot/ops/",
    "bot/settings/environment.py",
    "bot/settings/secrets.py",
    "bot/settings/load.py",
    "bot/app.py",
    "bot/__main__.py",
    "backtest/cli.py",
    "simulator/",
)
THE_STORE: Final = "bot/record/store.py"
MONEY: Final = tuple(f"bot/{name}/" for name in ("domain", "risk", "execution", "rules", "record", "venue", "adapters"))


class Violation(Value, order=True):
    """One broken rule; prints as `file:line: rule`."""

    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


class Source(Value, dict=True):
    """One file: `path` relative to the checkout, with forward slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path, feature_version=PYTHON_MIN)

    @property
    def package(self) -> str:
        return PurePosixPath(self.path).parts[0]

    @property
    def unit(self) -> str:
        """The folder or file directly below the package: `risk` for bot/risk/gates.py, `loop` for bot/loop.py."""
        return PurePosixPath(self.path).parts[1].removesuffix(".py")

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Every import as (line, absolute dotted name), those under `if TYPE_CHECKING` and in functions included."""
        return [
            (node.lineno, name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in self._imported(node)
        ]

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for: {"dt": "datetime.datetime"} for `from datetime import datetime as dt`."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                full = {a.asname: a.name for a in node.names if a.asname}
                top = {name: name for name in (a.name.partition(".")[0] for a in node.names if not a.asname)}
                found |= full | top
            elif isinstance(node, ast.ImportFrom):
                found |= {a.asname or a.name: f"{self._origin(node)}.{a.name}" for a in node.names}
        return found

    def _imported(self, node: ast.Import | ast.ImportFrom) -> list[str]:
        origin = f"{self._origin(node)}." if isinstance(node, ast.ImportFrom) else ""
        return [origin + alias.name for alias in node.names]

    def _origin(self, node: ast.ImportFrom) -> str:
        here = PurePosixPath(self.path).parts[: -node.level or None] if node.level else ()
        return ".".join((*here, *filter(None, [node.module])))

    @cached_property
    def touched(self) -> list[tuple[int, str]]:
        """Every imported name read and every builtin called, as (line, full dotted name).

        A builtin counts only when called: `open` is also a fine name for the first price of a bar.
        """
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name | ast.Attribute) and (name := self._full_name(node)):
                found.append((node.lineno, name))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in self.aliases:
                found.append((node.lineno, f"builtins.{node.func.id}"))
        return found

    def _full_name(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id)
        if isinstance(node, ast.Attribute) and (owner := self._full_name(node.value)):
            return f"{owner}.{node.attr}"
        return None


def check(path: str, text: str) -> list[Violation]:
    """Every rule on one file of bot, backtest or simulator; a file that does not parse breaks a rule too."""
    source = Source(path, text)
    try:
        return sorted({Violation(path, line, rule) for find in RULES for line, rule in find(source)})
    except SyntaxError as broken:
        return [Violation(path, broken.lineno or 1, f"not Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]}: {broken.msg}")]


def too_long(source: Source) -> Iterator[tuple[int, str]]:
    lines = len(source.text.splitlines())
    if lines > LINES_MAX:
        yield lines, f"{lines} lines; a file holds one idea in at most {LINES_MAX}"


def against_the_arrows(source: Source) -> Iterator[tuple[int, str]]:
    if source.package != "bot":
        return
    if source.unit not in ARROWS:
        yield 1, f"bot.{source.unit} has no row in ARROWS: say what it may import"
        return
    allowed = ARROWS[source.unit] | {source.unit}
    for line, name in source.imports:
        package, _, rest = name.partition(".")
        if package == "bot" and rest.partition(".")[0] not in allowed:
            yield line, f"bot.{source.unit} must not import {name}"


def across_packages(source: Source) -> Iterator[tuple[int, str]]:
    forbidden = FOREIGN[source.package] - ({"simulator"} if source.path in SIMULATOR_USERS else set())
    for line, name in source.imports:
        if name.partition(".")[0] in forbidden:
            yield line, f"{source.package} must not import {name}"


def impure_import(source: Source) -> Iterator[tuple[int, str]]:
    if source.package != "bot" or source.unit not in PURE:
        return
    for line, name in source.imports:
        if name.partition(".")[0] in IMPURE_MODULES:
            yield line, f"bot.{source.unit} is pure and must not import {name}"


def dynamic_import(source: Source) -> Iterator[tuple[int, str]]:
    for line, name in source.touched:
        if name in {"builtins.__import__", "importlib.import_module"}:
            yield line, "a dynamic import hides an arrow; import by name"


def reaches_the_world(source: Source) -> Iterator[tuple[int, str]]:
    if source.path.startswith(WORLD_USERS):
        return
    # A backtest reads candles and writes a report, but knows no clock.
    reserved = CLOCK_AND_CHANCE + (FILES if source.package == "bot" else ())
    for line, touched in source.touched:
        for name in reserved:
            if f"{touched}.".startswith(f"{name}."):
                yield line, f"{name} belongs behind a port, given through the constructor"


def file_by_path(source: Source) -> Iterator[tuple[int, str]]:
    if source.package != "bot" or source.path.startswith(WORLD_USERS):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in PATH_METHODS:
            yield node.lineno, f".{node.attr} belongs behind the Storage port"


def float_near_money(source: Source) -> Iterator[tuple[int, str]]:
    if not source.path.startswith(MONEY):
        return
    for line, name in source.touched:
        if name == "builtins.float":
            yield line, "float( near money; prices, sizes and fees are Decimal from wire to wire"


def state_set_beside_the_fold(source: Source) -> Iterator[tuple[int, str]]:
    """`state` and `broken` are plain attributes of the store, since they are asked all the time."""
    if source.package != "bot" or source.path == THE_STORE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in {"state", "broken"} and isinstance(node.ctx, ast.Store):
            yield node.lineno, f".{node.attr} is set by {THE_STORE} alone: record an event"


RULES: Final[tuple[Callable[[Source], Iterator[tuple[int, str]]], ...]] = (
    too_long,
    against_the_arrows,
    across_packages,
    impure_import,
    dynamic_import,
    reaches_the_world,
    file_by_path,
    float_near_money,
    state_set_beside_the_fold,
)
