"""Class security: what leaks, who may knock, what was planted, and a key that changes its powers."""

from __future__ import annotations

import http.client
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.adapters.memory import MemoryStorage
from bot.adapters.storage import FileStorage
from bot.adapters.webhook import WebhookCourier, checked_target
from bot.domain.snapshot import Environment, Mode
from bot.errors import GateRefused
from bot.settings.environment import read_settings
from bot.settings.secrets import read_secrets
from simulator.faults import Answer, Damage, Garble, Rule
from simulator.keys import Scope
from simulator.server import Simulator
from tests.adapters.test_storage_files import TAMPERED, filled
from tests.faults.trial import Fault, Trial
from tests.faults.venues import ACCOUNTS, QUOTING
from tests.process.bots import alerted, alerts, eventually, plain_config, running, venue
from tests.process.ports import free_port
from tests.process.test_hostile_world import pieces_of_secrets

ROOT = Path(__file__).resolve().parents[2]
LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""


def secrets_everywhere(trial: Trial) -> None:
    folder = trial.new_folder()
    with venue(QUOTING) as sim:
        with running(sim, folder, plain_config(folder / "config"), LOG_LEVEL="DEBUG") as daemon:
            daemon.wait_for_cycle()
            sim.fault(Rule(Garble(Damage.HTML), "GET", ACCOUNTS, times=2))
            sim.fault(Rule(Answer(401, "text"), "GET", ACCOUNTS, times=1))
            eventually(lambda: len(struck(sim)) >= 3, daemon=daemon)
            daemon.terminate()
        trial.stimulus("answers torn and refused while a key and a webhook are in use", struck(sim))
        written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        everything = b"\n".join([*written, *(str(body).encode() for body in alerts(sim))])
        found = [piece for piece in pieces_of_secrets(sim) if piece in everything]
        trial.require("I7 no piece of the key in any file, log or alert, in no encoding", not found)
        trial.require("I7 no token either", b"Bearer " not in everything and len(everything) > 10_000)
        environment = {**sim.env(), "ENV": "staging", "BOT_MODE": "live"}
        secrets = read_secrets(environment, environment=Environment.STAGING, allow_test_venue=True)
        shown = f"{secrets!r} {secrets} {read_settings(environment)!r}".encode()
        trial.require("I7 nor in what objects say of themselves", not [p for p in pieces_of_secrets(sim) if p in shown])


def struck(sim: object) -> list[object]:
    return sim.do(lambda c: list(c.world.record.entries("fault")))  # type: ignore[attr-defined,no-any-return]


def knocking(trial: Trial) -> None:
    folder = trial.new_folder()
    with (
        venue(QUOTING) as sim,
        running(sim, folder, plain_config(folder / "config"), BOT_HTTP_PORT=str(free_port())) as daemon,
    ):
        daemon.wait_for_cycle()
        found = list(listeners(daemon.pid))
        trial.stimulus(f"every listening socket of the process: {', '.join(a for a, _ in found)}", found)
        trial.require("I36 all on loopback", all(address == "127.0.0.1" for address, _ in found))
        port = found[0][1]
        for method, host, code in (("POST", f"127.0.0.1:{port}", 501), ("GET", "evil.example", 421)):
            trial.require(
                f"I36 {method} for {host.split(':')[0]} is turned away", answer_of(port, method, host) == code
            )
        trial.require("I36 what is read is read", answer_of(port, "GET", f"127.0.0.1:{port}") == 200)
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
        trial.require("I36 it starts no other program", not children)
        daemon.terminate()


def listeners(pid: int) -> Iterator[tuple[str, int]]:
    """Address and port of every TCP socket on which a process listens."""
    links = (str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())
    mine = {link[8:-1] for link in links if link.startswith("socket:[")}
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in mine:
                address, port = fields[1].split(":")
                yield ".".join(str(byte) for byte in bytes.fromhex(address)[::-1]), int(port, 16)


def answer_of(port: int, method: str, host: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, "/status.json", headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def planted_files(trial: Trial) -> None:
    for tamper, told in TAMPERED:
        data = trial.new_folder() / "data"
        filled(data).close()
        tamper(data)
        said: Sequence[str] = ()
        try:
            storage = FileStorage(data, Environment.PRODUCTION, Mode.LIVE, production=True)
            storage.prepare()
        except GateRefused as refused:
            said = refused.reasons
        trial.stimulus(told, data.exists())
        trial.require(f"I36 a start in production is refused: {told}", any(told in reason for reason in said))
    before = os.umask(0)
    try:
        with trial.wired(QUOTING) as bot:
            bot.run_for(70)
            modes = {(p.stat().st_mode & 0o777, p.is_dir()) for p in bot.state_dir.rglob("*")}
    finally:
        os.umask(before)
    trial.stimulus("started with umask 000", modes)
    trial.require("I36 files are 0600 and folders 0700 all the same", modes <= {(0o600, False), (0o700, True)})


def hooks_that_lead_inside(trial: Trial) -> None:
    addresses = (
        "file:///etc/passwd", "ftp://hooks.example/a", "http://hooks.example/a", "https://169.254.169.254/latest",
        "https://127.0.0.1:9/a", "https://[::1]:9/a", "https://10.1.2.3/a",
    )  # fmt: skip
    for url in addresses:
        failures: list[str] = []
        storage = MemoryStorage()
        storage.write("outbox/a.json", b"{}")
        courier = WebhookCourier(storage, [url], timeout_s=1.0, on_failure=failures.append)
        delivered = courier.deliver()
        trial.stimulus(f"the webhook is {url}", not delivered)
        trial.require(f"I36 never called: {url}", failures == ["UnsafeAddress"])
        trial.require("I29 and the alert is kept", list(storage.names("outbox")) == ["a.json"])
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    target = checked_target("https://hooks.example/a", lambda _host, _port: next(answers))
    trial.stimulus("a name that answers a public address first and loopback later", target)
    trial.require("I36 the address that was checked is called", target.url.host == "93.184.215.14")


def key_with_other_powers(trial: Trial) -> None:
    with venue(QUOTING) as sim:
        keys = {
            "may transfer": sim.new_key(frozenset({Scope.VIEW, Scope.TRADE, Scope.TRANSFER})),
            "may not trade": sim.new_key(frozenset({Scope.VIEW})),
        }
        for name, key in keys.items():
            folder = trial.new_folder()
            with running(
                sim, folder, plain_config(folder / "config"),
                COINBASE_API_KEY=key.name, COINBASE_API_SECRET=key.secret,
            ) as daemon:  # fmt: skip
                code = daemon.wait()
            trial.stimulus(f"the key {name}", code)
            said = daemon.log.read_text()
            trial.require(
                f"I36/I22 the start is refused and says why: {name}",
                code == 3 and name in said.replace("may transfer money", "may transfer"),
            )
        _of_another_portfolio(trial, sim)
        _that_nobody_answers_for(trial, sim)
        trial.require("I22 nothing was sent", not sim.do(lambda c: c.world.record.requests("POST", "/orders")))
    with trial.wired(QUOTING, audited=False) as bot:
        bot.run_until(bot.working, 120)
        since = bot.mark()
        bot.fault(*(Rule(Answer(401, "text"), path=path, times=None) for path in ("/accounts*", "/orders*", "/key*")))
        bot.run_for(60)
        trial.stimulus("the key is revoked: 401 to everything", bot.struck("Answer"))
        trial.require("I22 entries stop at once", not [e for e in bot.posts(since) if e.status == 200])
        trial.require("I29 a CRITICAL alert", "CRITICAL" in {a["severity"] for a in bot.events("alert.raised")})
        told = [a["detail"] for a in bot.events("alert.raised") if a["fingerprint"] == "halt.auth_degraded"]
        trial.require("I29 which names the orders nobody can manage now", "BUY BTC-USD" in told[0])


def _of_another_portfolio(trial: Trial, sim: Simulator) -> None:
    folder = trial.new_folder()
    meant = "0b0b0b0b-1111-4222-8333-444444444444"
    config = plain_config(folder / "config", governance={"portfolio_id": meant})
    with running(sim, folder, config) as daemon:
        code = daemon.wait()
    trial.stimulus("the key of another portfolio", code)
    trial.require("I36/I22 the start is refused and names both", code == 3 and meant in daemon.log.read_text())


def _that_nobody_answers_for(trial: Trial, sim: Simulator) -> None:
    """The venue cannot be asked what the key may do: nothing starts until it can."""
    sim.fault(Rule(Answer(500, "html"), path="/key*", times=None))
    folder = trial.new_folder()
    with running(sim, folder, plain_config(folder / "config")) as daemon:
        eventually(lambda: alerted(sim, "venue.unreachable"), daemon=daemon)
        struck = sim.do(lambda c: c.world.record.entries("fault"))
        beat = eventually(daemon.heartbeat, daemon=daemon)
        trial.stimulus("nobody says what the key may do", struck)
        trial.require("I22 it waits at the door and trades nothing",
                      "-start" in beat["cycle_id"] and beat["outcome"] == "NO_TRADE")  # fmt: skip
        trial.require("I29 and tells", alerted(sim, "venue.unreachable"))
    sim.do(lambda c: c.rules.clear())


def supply_chain(trial: Trial) -> None:
    wanted = re.compile(r"^([A-Za-z0-9_.-]+(?:\[[a-z]+\])?)==([^ ;\\]+)", re.MULTILINE)
    for name in ("run.lock", "dev.lock"):
        text = (ROOT / "requirements" / name).read_text()
        entries = re.split(r"\n(?=[A-Za-z])", text)
        pinned = [entry for entry in entries if wanted.match(entry)]
        trial.stimulus(f"{len(pinned)} packages of {name}", pinned)
        trial.require(f"I36 every one with a hash: {name}", all("--hash=sha256:" in entry for entry in pinned))
    install = (ROOT / "Makefile").read_text()
    trial.require("I36 installed only by hash, and only as wheels",
                  "--require-hashes" in install and "--only-binary" in install)  # fmt: skip
    loaded = {name.split(".")[0] for name in sys.modules}
    trial.require(
        "I36 no name of a package that imitates another", not loaded & {"ccxt-mexc-futures", "coinbase_advanced"}
    )


def the_long_run(trial: Trial) -> None:
    units = {path.name: path.read_text() for path in (ROOT / "systemd").glob("*.service")}
    trial.stimulus(f"{len(units)} units", units)
    trial.require("I7 no core dumps", all("LimitCORE=0" in text for text in units.values()))
    named = [name for name, text in units.items() if re.search(r"Environment=.*(SECRET|API_KEY|WEBHOOK_URL)=", text)]
    trial.require("I7 credentials by file, none in the environment", not named)
    folder = trial.new_folder()
    with venue(QUOTING) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
        daemon.wait_for_cycle()
        before = daemon.log.stat().st_size
        rotated = daemon.log.with_suffix(".1")
        daemon.log.rename(rotated)
        first = daemon.heartbeat()["cycle_id"]
        later = daemon.wait_for_cycle(first)
        trial.stimulus("the log is moved away under the running bot", not daemon.log.exists())
        trial.require("I27/I36 it goes on, and its journal apart from it", later and rotated.stat().st_size > before)
        daemon.log = rotated
        trial.require("I33 it leaves as always", daemon.terminate() == 0)


ROWS: Sequence[Fault] = (
    Fault("F113", "a key and a webhook in use while answers are torn and refused, at the loudest log level",
          "no piece of a secret in any file, log, alert or object, in any encoding", "I7", secrets_everywhere),
    Fault("F115", "every listener of the process is found and knocked at: writing, with a foreign name",
          "loopback only, nothing can be changed, other names are turned away", "I36", knocking),
    Fault("F116", "links, fifos and files others can write where ours are; umask 000",
          "production refuses to start; what is written is private", "I36", planted_files),
    Fault("F117", "webhooks that lead inside: file, ftp, plain http, metadata, loopback, a name that changes",
          "never called; the alert is kept", "I36 I29", hooks_that_lead_inside, quick=True),
    Fault("F118", "a key that may transfer, may not trade, is of another portfolio, nobody vouches for, is revoked",
          "a refused start; entries stop at once, with a CRITICAL alert", "I36 I22 I29", key_with_other_powers),
    Fault("F119", "a package swapped for another", "nothing is installed without its hash, nothing built", "I36",
          supply_chain, quick=True),
    Fault("F120", "the log moved away, core dumps, secrets in the environment of a unit",
          "trading and journal go on; nothing of it is possible", "I7 I33", the_long_run),
)  # fmt: skip
