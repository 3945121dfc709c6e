"""docs/REFERENCE.md says what the code does: nothing missing, nothing invented."""

from __future__ import annotations

import http.client
import importlib
import pkgutil
import re
from datetime import UTC, datetime

import pytest

import bot.cli
from bot.cli.main import VERBS
from bot.cli.verb import Exit
from bot.domain.order import OrderState
from bot.domain.snapshot import Halt
from bot.domain.state import HaltCause
from bot.ops.health import HealthBoard, HealthServer
from bot.ops.metrics import Metrics
from bot.risk.halts import TABLE, Protective
from bot.settings.environment import KNOWN, Settings, read_settings
from bot.settings.policy import Policy
from tests.docs import reference, spoken
from tests.docs.markdown import Row, document, names, section, tables

TEXT = document("docs/REFERENCE.md")


def only_table(heading: str) -> list[Row]:
    [found] = tables(section(TEXT, heading))
    return found


def first(row: Row) -> str:
    return names(next(iter(row.values())))[0]


def test_the_tables_made_from_the_code_are_as_the_code_makes_them_today() -> None:
    """When this fails: python -m tests.docs.reference, and read what changed."""
    assert reference.rendered(TEXT) == TEXT
    assert {found[2] for found in reference.BLOCK.finditer(TEXT)} == set(reference.blocks())


def test_no_key_goes_without_a_word_of_what_it_means() -> None:
    for heading in ("policy.yaml", "universe.yaml"):
        rows = [row for table in tables(section(TEXT, heading)) for row in table]
        assert rows
        assert [first(row) for row in rows if not row["meaning"]] == []


def test_every_environment_variable_is_there_and_no_other() -> None:
    assert {first(row) for row in only_table("Environment")} == spoken.variables()
    assert {name for name in spoken.variables() if name.startswith("BOT_")} == set(KNOWN), "others refuse the start"


def test_the_defaults_of_variables_are_those_of_the_code() -> None:
    default = Settings()
    told = {first(row): row["default"].strip("`") for row in only_table("Environment")}
    assert told["ENV"] == default.environment.value
    assert told["BOT_MODE"] == default.mode.value
    assert (told["BOT_CONFIG_DIR"], told["BOT_DATA_DIR"]) == (str(default.config_dir), str(default.data_dir))
    assert told["BOT_HTTP_PORT"] == str(default.http_port)
    addresses = {name: told[name] for name in told if name.endswith("_URL") and told[name].startswith(("https", "wss"))}
    assert read_settings(addresses) == default
    assert set(addresses) == {f"COINBASE_{name}_URL" for name in ("REST", "WS", "WS_USER", "STATUS")}


def test_every_exit_code_is_explained() -> None:
    assert {int(row["code"]) for row in only_table("Exit codes")} == {int(code) for code in Exit}


def test_every_verb_is_on_the_command_line_and_so_in_the_table() -> None:
    modules = [importlib.import_module(f"bot.cli.{found.name}") for found in pkgutil.iter_modules(bot.cli.__path__)]
    assert {module.VERB.name for module in modules if hasattr(module, "VERB")} == {verb.name for verb in VERBS}


def test_every_halt_is_in_the_table_and_permits_what_it_says() -> None:
    rows = {first(row): row for row in only_table("Halts")}
    assert set(rows) == {cause.value for cause in HaltCause}
    varying = {HaltCause.KILL_SWITCH, HaltCause.BREAKER, HaltCause.STALE_DATA, HaltCause.RECONCILE_PENDING}
    for cause in HaltCause:
        row = rows[cause.value]
        told = TABLE[cause](Halt(cause, "", datetime.now(UTC), ""), Policy())
        assert (row["entries"] == "none") is not told.entries
        if cause not in varying:
            assert (row["exits by the bot"] == "yes") is told.exits
            assert (row["protective sells at the venue"] == "stay") is (told.protective is Protective.STAY)
            assert ("cancelled" in row["our working entries"]) is told.cancel_entries


def test_every_alert_that_can_be_raised_is_in_the_table() -> None:
    assert {first(row) for row in only_table("Alerts")} == spoken.fingerprints()


def test_every_alert_has_the_severity_that_the_table_says() -> None:
    rows = {first(row): set(re.findall(r"INFO|WARNING|CRITICAL", row["severity"])) for row in only_table("Alerts")}
    raised = spoken.severities()
    assert raised.pop("halt.*") <= rows.pop("halt.*"), "a table of causes decides the rest"
    elsewhere = {name for name, found in raised.items() if not found}
    assert elsewhere == {"shutdown", "guard", "unit.failed"}, "decided before the alert is raised"
    assert {name: row for name, row in rows.items() if name not in elsewhere} == {
        name: found for name, found in raised.items() if found
    }


def test_every_log_event_is_in_the_table() -> None:
    assert {first(row) for row in only_table("Log events")} == spoken.log_events()


def test_every_metric_that_is_served_is_in_the_table() -> None:
    text = Metrics("a", "b").render().decode()
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    served = {name for name in families if not name.endswith("_created")}
    assert served == {first(row) for row in only_table("Metrics")}


def test_every_state_of_an_order_is_named() -> None:
    assert names(section(TEXT, "Order states")) == [state.value for state in OrderState]


@pytest.mark.parametrize("path", [first(row) for row in only_table("Pages")])
def test_every_page_is_served(path: str) -> None:
    board = HealthBoard(60)
    server = HealthServer(0, board, lambda: b"")
    server.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", path)
        assert connection.getresponse().status == (503 if path == "/readyz" else 200)
        connection.request("GET", path, headers={"Host": "elsewhere.example"})
        assert connection.getresponse().status == 421
        connection.close()
    finally:
        server.stop()
