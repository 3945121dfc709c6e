"""The live bot in this process: its real adapter, feeds and files, on a simulator that speaks Coinbase's wire."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.app import App, Launch, open_app
from bot.domain.state import State
from bot.ops.status import CycleRecord
from bot.settings.environment import read_settings
from bot.settings.load import load_config
from bot.settings.secrets import read_secrets
from simulator.control import Controls
from simulator.faults import Rule
from simulator.markets.listing import default_listings
from simulator.markets.script import ScriptMarket, Step
from simulator.record import Entry
from simulator.server import START, Simulator, SimulatorConfig
from tests.configs import LOCAL_VENUE, write_config
from tests.loop.stage import PLAIN, SMALL, Pause
from tests.simulation import audit
from tests.simulation.findings import Findings
from tests.simulation.oracle import Oracle, journal

_NUMBER_FIELDS = re.compile(r'"(base_size|quote_size|limit_price|stop_price|stop_trigger_price)":\s*"([^"]*)"')
_PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
QUICK_CALLS = {
    "transport": {"connect_timeout_seconds": 1, "read_timeout_seconds": 1, "total_deadline_seconds": 2},
    "rate_limits": {**LOCAL_VENUE["rate_limits"], "max_wait_seconds": 1},
}
"""A bot that does not wait long for an answer, so that a row is over soon."""


@contextmanager
def wired_venue(steps: Sequence[Step], **options: Any) -> Iterator[Simulator]:
    """A venue that moves only while the bot waits."""
    market = options.pop("market", None) or ScriptMarket(options.pop("listings", default_listings(2)), START, steps)
    with Simulator(SimulatorConfig(market=market, cache=False, **options)) as sim:
        yield sim


class Wired:
    """One venue, one data directory, and live bots that come and go on them. cycles: every finished cycle."""

    def __init__(
        self, sim: Simulator, folder: Path, findings: Findings, policy: Mapping[str, Any], environ: Mapping[str, str],
        universe: Mapping[str, Any] = SMALL,
    ) -> None:  # fmt: skip
        self.sim = sim
        self.findings = findings
        self.folder = folder
        self.data_dir = folder / "data"
        self.state_dir = self.data_dir / "staging-live"
        changes = {**PLAIN, **QUICK_CALLS}
        for name, value in policy.items():
            changes[name] = {**changes.get(name, {}), **value} if isinstance(value, Mapping) else value
        self.config_dir = write_config(folder / "config", changes, dict(universe))
        self.environ = {
            **sim.env(), "ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": str(self.data_dir),
            "BOT_CONFIG_DIR": str(self.config_dir), "BOT_HTTP_PORT": "0", "PATH": os.environ["PATH"], **environ,
        }  # fmt: skip
        self.config = load_config(self.config_dir)
        self.cycles: list[CycleRecord] = []
        self.log = io.StringIO()
        self._stack = ExitStack()
        self._pause_when: Callable[[], object] = lambda: False
        self.oracle: Oracle = sim.do(self._watched)
        self._app: App | None = None

    # ------------------------------------------------------------------------------------------------------ the bot

    @property
    def app(self) -> App:
        assert self._app is not None
        return self._app

    def boot(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """A new process on the same data directory. give_up: a stop while the venue cannot be reached (NoVenueYet)."""
        settings = read_settings(self.environ)
        secrets = read_secrets(self.environ, environment=settings.environment, allow_test_venue=True)
        launch = Launch(settings, secrets, load_config(settings.config_dir), self.environ, self.log, True)
        self._app = self._stack.enter_context(open_app(launch, give_up=give_up))
        cycle = self.app.loop.run_cycle

        def watched(**options: Any) -> CycleRecord:
            record = cycle(**options)
            self.cycles.append(record)
            if self._pause_when():
                raise Pause
            return record

        self.app.loop.run_cycle = watched  # type: ignore[method-assign]  # looks on at each cycle of the real schedule

    def crash(self) -> None:
        """Gone without a word, as by SIGKILL: nothing is cancelled, nothing saved."""
        self._stack.close()
        self._app = None

    def cycle(self) -> CycleRecord:
        """One cycle now."""
        return self.app.loop.run_cycle()

    def run_for(self, seconds: float) -> None:
        moment = self.sim.now() + timedelta(seconds=seconds)
        self._run(lambda: self.sim.now() >= moment)

    def run_until(self, done: Callable[[], object], within_s: float = 600) -> None:
        """Run up to the end of the first cycle after which `done`. AssertionError when there is none in time."""
        limit = self.sim.now() + timedelta(seconds=within_s)
        self._run(lambda: done() or self.sim.now() >= limit)
        assert done(), f"not within {within_s} s; {self.tail()}"

    def wait(self, seconds: float) -> None:
        """Trading time passes, as when the bot waits between two cycles."""
        clock = self.app.loop._world.clock
        goal = clock.now() + timedelta(seconds=seconds)
        while clock.now() < goal:
            clock.wait_until(goal)

    def leave(self) -> int:
        """Ask the bot to stop; answers its exit code."""
        self.app.stop("SIGTERM")
        code = self.app.loop.run()
        self.crash()
        return code

    def close(self) -> None:
        self.crash()

    def when_written(self, text: str, strike: Callable[[], object]) -> None:
        """Do something, once, right after a line of the journal with `text` is on the disk, before the bot goes on."""
        storage = self.app.loop._world.storage
        append, due = storage.append, [strike]

        def watched(day: str, line: bytes, durable: bool) -> None:
            append(day, line, durable)
            if due and text.encode() in line:
                due.pop()()

        storage.append = watched  # type: ignore[method-assign]  # looks on at each line of the real journal

    # ------------------------------------------------------------------------------------------------------- the venue

    def fault(self, *rules: Rule) -> None:
        for rule in rules:
            self.sim.fault(rule)

    def heal(self) -> None:
        """No rule strikes any more."""
        self.sim.do(lambda c: c.rules.clear())

    def struck(self, text: str = "") -> int:
        """How many requests were struck by a fault whose description holds `text`."""
        return self.sim.do(lambda c: len([e for e in c.world.record.entries("fault") if text in e.note]))

    def requests(self, method: str = "", path: str = "", since: int = 0) -> list[Entry]:
        return self.sim.do(lambda c: [e for e in c.world.record.requests(method, path) if e.seq > since])

    def happened(self, text: str, since: int = 0) -> list[Entry]:
        """Events in the venue's record that speak of `text`."""
        return self.sim.do(lambda c: [e for e in c.world.record.entries("event", since) if text in e.note])

    def mark(self) -> int:
        """Where the venue's record stands now."""
        return self.sim.do(lambda c: max((e.seq for e in c.world.record.entries()), default=0))

    def posts(self, since: int = 0) -> list[Entry]:
        """Orders sent to the venue, whatever became of them."""
        return [e for e in self.requests("POST", "/orders", since) if e.path.endswith("/orders")]

    def oracle_killed(self, _: Controls) -> None:
        """The oracle is told of a kill switch, on the venue's thread."""
        self.oracle.killed()

    @property
    def feed(self) -> Any:
        """The live feed of the running bot."""
        market: Any = self.app.loop._world.market
        return market._from.feed

    def working(self, side: str = "BUY") -> list[Any]:
        return self.sim.do(lambda c: [o for o in c.world.working() if o.side.value == side])

    def held(self, currency: str) -> Decimal:
        return self.sim.do(lambda c: {b.currency: b.total for b in c.world.venue.balances()}.get(currency, Decimal(0)))

    # --------------------------------------------------------------------------------------------------------- looking

    @property
    def state(self) -> State:
        return self.app.loop.store.state

    @property
    def last(self) -> CycleRecord:
        return self.cycles[-1]

    def rows(self) -> list[Mapping[str, Any]]:
        return list(journal(self.state_dir))

    def events(self, topic: str) -> list[Mapping[str, Any]]:
        return [row["payload"] for row in self.rows() if row["topic"] == topic]

    def told(self, fingerprint: str) -> str:
        """Severity of the first alert in the journal whose fingerprint begins so."""
        found = [a["severity"] for a in self.events("alert.raised") if a["fingerprint"].startswith(fingerprint)]
        return found[0] if found else ""

    def logged(self, event: str) -> list[Mapping[str, Any]]:
        return [row for row in map(json.loads, self.log.getvalue().splitlines()) if row["event"] == event]

    def tail(self) -> str:
        return "; ".join(f"{c.started_at:%H:%M:%S} {c.outcome} {c.reason}" for c in self.cycles[-8:])

    def heals(self, within_s: float = 900) -> None:
        """After the last fault: soon running again, by itself."""
        waits = {"circuit_breaker", "data_unavailable", "reconcile_pending", "order_unresolved", "rate_budget"}
        self.run_until(lambda: self.last.outcome in {"TRADED", "NO_TRADE"} and self.last.reason not in waits, within_s)
        self.findings.found("I28", ())

    def judge(self, *, audited: bool) -> None:
        """The wire and the books at the end."""
        bodies = self.sim.do(lambda c: [e.body for e in c.world.record.requests("POST", "/orders")])
        odd = [m[0] for body in bodies for m in _NUMBER_FIELDS.finditer(body) if not _PLAIN.fullmatch(m[2])]
        self.findings.found("I8", [f"sent {text}, which is no plain number" for text in odd])
        cancelled = [str(o) for body in bodies if "order_ids" in body for o in json.loads(body).get("order_ids", ())]
        strange = [order_id for order_id in cancelled if order_id not in self.oracle.own]
        self.findings.found("I16", [f"cancel of {order_id}, which is not ours" for order_id in strange])
        late = [c for c, n in zip(self.cycles, self.cycles[1:], strict=False) if n.started_at < c.finished_at]
        self.findings.found("I27", [f"{c.cycle_id} overlaps the next cycle" for c in late])
        if audited:
            state = json.loads((self.state_dir / "state.json").read_text())
            rows = self.rows()
            self.sim.do(lambda _: audit.compare(self.findings, self.oracle.seen(), rows, state))

    # --------------------------------------------------------------------------------------------------------- private

    def _watched(self, controls: Controls) -> Oracle:
        oracle = Oracle(controls.world, self.config, journalled=self._journalled, findings=self.findings)
        return oracle.watch()

    def _journalled(self) -> set[str]:
        rows = journal(self.state_dir)
        return {row["payload"]["client_order_id"] for row in rows if row["topic"] == "intent.recorded"}

    def _run(self, done: Callable[[], object]) -> None:
        self._pause_when = done
        try:
            self.app.loop.run()
        except Pause:
            return
        finally:
            self._pause_when = lambda: False
        raise AssertionError(f"the bot left by itself; {self.tail()}")
