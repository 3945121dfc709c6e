"""What an operator reads is what the books hold."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest

from bot.cli.status_view import _pauses
from bot.domain.money import total
from tests.cli.desk import Desk, desk_at

STATUS_KEYS = {
    "env", "mode", "running", "pid", "halted", "halt_reason", "latches", "cycle", "equity", "cash", "exposure_pct",
    "daily_pnl_pct", "drawdown_pct", "positions", "orders", "breakers", "ledger_residual", "alerts_undelivered",
    "config_hash", "code_version",
}  # fmt: skip


def test_status_without_a_daemon_tells_what_is_held_and_what_still_works_at_the_venue(traded):
    report = traded.json("status")
    assert report.keys() >= STATUS_KEYS
    assert (report["running"], report["pid"], report["env"], report["mode"]) == (False, None, "staging", "live")
    assert {"product", "size", "cost", "mark", "unrealised_pnl", "stop", "target"} <= report["positions"][0].keys()
    assert {order["kind"] for order in report["orders"]} == {"protective"}
    assert len(report["orders"]) == len(report["positions"]) > 1
    assert report["cycle"].keys() >= {"cycle_id", "started_at", "finished_at", "outcome", "reason", "config_hash"}
    assert Decimal(report["equity"]) < 10_000
    assert all(position["mark"] is not None for position in report["positions"])


def test_status_for_people_names_every_position_and_order(traded):
    report = traded.json("status")
    assert traded.run("status") == 0
    assert "staging live: not running" in traded.out
    for row in (*report["positions"], *report["orders"]):
        assert row["product"] in traded.out
    assert report["orders"][0]["client_order_id"] in traded.out, "ids are not cut in a pipe"


def test_status_sets_every_figure_against_its_limit_and_money_in_its_currency(traded):
    report = traded.json("status")
    assert report["currency"] == "USD"
    assert report["limits"] == {
        "daily_stop_pct": "3", "weekly_stop_pct": "6", "max_drawdown_pct": "12", "max_total_pct": "25",
        "max_open_positions": "5",
    }  # fmt: skip
    assert traded.run("status") == 0
    assert f"equity   {report['equity']} USD, cash {report['cash']} USD, " in traded.out
    assert " % in positions (at most 25 %) when it last looked" in traded.out
    assert f"today {report['daily_pnl_pct']} % (entries end at -3 %)" in traded.out
    assert f"from the peak {report['drawdown_pct']} % (entries end at -12 %)" in traded.out
    assert f"holds    {len(report['positions'])} of 5 positions" in traded.out


def test_a_halt_in_the_status_says_what_ends_it(copied):
    (copied.data_dir / "KILL_SWITCH").write_text("drill\n")
    assert copied.run("status") == 0
    assert "HALTED   kill_switch: drill; it takes `bot resume`" in copied.out


def test_a_pause_shows_with_its_end_until_it_is_over():
    cycle = {"cycle_id": "c1", "finished_at": "2026-11-21T12:00:00.000000Z", "outcome": "NO_TRADE", "reason": ""}
    rows = [
        {"product": "", "reason": "loss_streak", "until": "2026-11-21T13:00:00.000000Z"},
        {"product": "SOL-USD", "reason": "after_fill", "until": "2026-11-21T11:00:00.000000Z"},
    ]
    assert list(_pauses({"cycle": cycle, "cooldowns": rows})) == [
        "pause    everything until 2026-11-21 13:00:00 UTC (loss_streak)"
    ]


def test_status_where_nothing_ever_ran_says_so_and_keeps_its_shape(tmp_path):
    desk = desk_at(tmp_path, mode="paper")
    report = desk.json("status")
    assert report.keys() >= STATUS_KEYS
    assert report["cycle"] is None
    assert "no bot has run in" in desk.err


def test_a_kill_file_shows_in_the_status_of_a_bot_that_does_not_run(copied):
    (copied.data_dir / "KILL_SWITCH").write_text("drill\n")
    report = copied.json("status")
    assert report["halted"] is True
    assert "kill_switch: drill" in report["halt_reason"]


def test_a_state_nobody_can_read_is_a_halt_and_not_an_empty_account(copied):
    for file in (copied.state_dir / "journal").iterdir():
        file.write_bytes(file.read_bytes().replace(b'"BUY"', b'"SEL"', 1))
    for name in ("state.json", "state.json.1", "state.json.2"):
        (copied.state_dir / name).write_text("{}")
    report = copied.json("status")
    assert report["halted"] is True
    assert report["problem"]


def test_every_entry_bought_shows_as_a_filled_order_with_its_fill(traded):
    orders = {row["client_order_id"]: row for row in traded.json("orders")}
    fills = traded.json("fills")
    assert fills
    for fill in fills:
        order = orders[fill["client_order_id"]]
        assert (order["product"], order["side"], order["kind"], order["status"]) == (
            fill["product"], "BUY", "entry", "FILLED",
        )  # fmt: skip
    bought = total(Decimal(fill["value"]) + Decimal(fill["fee"]) for fill in fills)
    cost = total(Decimal(row["cost"]) for row in traded.json("positions"))
    assert abs(bought - cost) < Decimal("0.05"), "positions cost what their fills did, fees in"


def test_working_orders_are_those_that_may_still_fill(traded):
    working = traded.json("orders", "--working")
    assert {row["kind"] for row in working} == {"protective"}
    assert {row["status"] for row in working} == {"OPEN"}


def test_lists_can_be_narrowed_to_a_product_and_a_time(traded):
    fills = traded.json("fills")
    product = fills[0]["product"]
    assert [row["product"] for row in traded.json("fills", "--product", product.lower())] == [product]
    assert traded.json("fills", "--since", "2026-11-03") == []
    assert traded.json("fills", "--since", "2026-11-02T14:00") == fills
    assert {row["product"] for row in traded.json("orders", "--product", product)} == {product}
    assert [row["product"] for row in traded.json("positions", "--product", product)] == [product]


@pytest.mark.parametrize("what", ["orders", "fills", "positions"])
def test_an_export_holds_the_rows_of_the_list_in_csv(traded, what, tmp_path):
    file = tmp_path / "rows.csv"
    assert traded.run("export", what, "--out", str(file)) == 0
    rows = list(csv.DictReader(file.open()))
    listed = traded.json(what)
    assert [row["product"] for row in rows] == [row["product"] for row in listed]
    assert [row["size"] for row in rows] == [row["size"] for row in listed]
    assert traded.run("export", what) == 0
    assert list(csv.DictReader(io.StringIO(traded.out))) == rows


def test_an_export_that_cannot_be_written_says_which_file(traded, tmp_path):
    assert traded.run("export", "fills", "--out", str(tmp_path / "no" / "such" / "folder.csv")) == 1
    assert "cannot write" in traded.err
    assert "folder.csv" in traded.err


def test_money_that_left_the_journal_is_still_among_the_fills(copied):
    """Retention keeps money events apart when it removes their day."""
    fills = copied.json("fills")
    (copied.state_dir / "ledger").mkdir(mode=0o700)
    lines = [
        line
        for file in sorted((copied.state_dir / "journal").iterdir())
        for line in file.read_bytes().splitlines(keepends=True)
    ]
    kept = [line for line in lines if json.loads(line)["topic"] == "fill.booked"]
    (copied.state_dir / "ledger" / "2026-11-02.jsonl").write_bytes(b"".join(kept))
    assert copied.json("fills") == fills, "a fill in both places is one fill"
    for file in (copied.state_dir / "journal").iterdir():
        file.unlink()
    assert copied.json("fills") == fills


def test_the_journal_ends_with_the_run_and_proves_itself(traded):
    assert traded.run("journal", "tail", "-n", "1") == 0
    assert "run.stopped" in traded.out
    assert traded.run("journal", "tail", "--topic", "fill.", "--json") == 0
    assert {json.loads(line)["topic"] for line in traded.out.splitlines()} == {"fill.booked"}
    assert traded.run("journal", "verify") == 0
    proof = traded.json("journal", "verify")
    assert proof["ok"] is True
    assert proof["events"] == proof["seq"] > 10


def test_a_changed_amount_in_the_journal_is_found(copied):
    file = next((copied.state_dir / "journal").iterdir())
    file.write_bytes(file.read_bytes().replace(b'"side":"BUY"', b'"side":"SELL"', 1))
    assert copied.run("journal", "verify") == 1
    assert "does not match its content" in copied.err


def test_a_line_being_written_does_not_disturb_the_reader(copied):
    file = next((copied.state_dir / "journal").iterdir())
    fills = copied.json("fills")
    with file.open("ab") as journal:
        journal.write(b'{"causation":0,"code_ver')
    assert copied.json("fills") == fills
    assert copied.run("journal", "tail", "-n", "1") == 0


def test_explain_shows_every_gate_with_its_number_and_what_was_placed(traded):
    first = traded.json("journal", "verify") and traded.json("orders")[0]
    events = _events(traded)
    cycle = next(e["cycle_id"] for e in events if e["topic"] == "intent.recorded")
    page = traded.json("explain", cycle)
    bought = next(item for item in page["proposals"] if item["product"] == first["product"])
    assert [gate["verdict"] for gate in bought["gates"]] == ["allow"] * len(bought["gates"])
    assert len(bought["gates"]) >= 20
    assert bought["approved"]["size"] == first["size"]
    assert traded.run("explain", cycle) == 0
    assert f"approved: {first['size']}" in traded.out
    assert first["client_order_id"] in traded.out
    assert "allows" in traded.out


def test_explain_of_the_last_cycle_says_what_would_change_a_refusal(copied):
    assert copied.run("explain") == 0
    assert "config" in copied.out.splitlines()[0]
    assert copied.run("explain", "last", "BCH-USD") == 0
    assert "BCH-USD: depth_thin" in copied.out
    assert "it takes a deeper book, or a lower min_depth" in copied.out
    assert "ATOM-USD" not in copied.out
    assert copied.run("explain", "BCH-USD") == 0, "a product alone means the newest cycle"
    assert "BCH-USD: depth_thin" in copied.out


def test_a_cycle_whose_decision_is_no_longer_kept_is_explained_from_the_journal(copied):
    for file in (copied.state_dir / "cycles").iterdir():
        file.unlink()
    cycle = next(e["cycle_id"] for e in _events(copied) if e["topic"] == "intent.recorded")
    assert copied.run("explain", cycle) == 0
    assert "TRADED" in copied.out
    assert "rule any_volume" in copied.out


def test_the_newest_cycle_is_explained_even_when_it_could_decide_nothing(copied):
    beat = json.loads((copied.state_dir / "heartbeat.json").read_text())
    refused = {
        **beat, "cycle_id": "20261102T150000.000-9", "outcome": "NO_TRADE", "reason": "data_unavailable",
        "detail": "balances: HTTP 503",
    }  # fmt: skip
    (copied.state_dir / "heartbeat.json").write_text(json.dumps(refused))
    wanted = (
        "20261102T150000.000-9 ended NO_TRADE (data_unavailable) without a decision of its own: balances: HTTP 503; "
        "it takes the exchange"
    )
    assert copied.run("explain") == 0
    assert wanted in copied.out
    assert f"cycle {beat['cycle_id']} at" in copied.out, "and then the newest decision"
    assert copied.run("explain", "20261102T150000.000-9") == 0
    assert wanted in copied.out
    assert beat["cycle_id"] not in copied.out


def test_explaining_a_cycle_that_never_was_says_where_to_look(traded):
    assert traded.run("explain", "20200101T000000.000-1") == 1
    assert "nothing is known of cycle '20200101T000000.000-1'" in traded.err
    assert traded.run("explain", "nonsense") == 2
    assert "product id must look like BTC-USD, was 'nonsense'" in traded.err


def test_the_risk_report_is_in_money_of_the_present_equity(traded):
    report = traded.json("risk-report", "--nlv", "20000")
    amounts = {line["what"]: line["amount"] for line in report["lines"]}
    assert amounts["one entry"] == "100", "rule any_volume buys for 100 USD whatever the equity"
    assert amounts["one asset held"] == "1000", "5 % of 20 000"
    assert amounts["everything held"] == "5000", "25 % of 20 000"
    assert amounts["lost in a day before entries stop"] == "600", "3 % of 20 000"
    assert amounts["lost if every stop is hit at once"] == "495", "6 % + 1.5 % slippage + 2 x 1.2 % fees, on 5 000"
    present = traded.json("risk-report")
    assert present["equity"] == traded.json("status")["equity"]
    assert traded.run("risk-report", "--nlv", "-5") == 2


def test_the_risk_report_of_an_unknown_equity_asks_for_one(tmp_path):
    desk = desk_at(tmp_path, mode="paper")
    assert desk.run("risk-report") == 3
    assert "--nlv" in desk.err


def _events(desk: Desk) -> list[dict[str, object]]:
    assert desk.run("journal", "tail", "-n", "1000", "--json") == 0
    return [json.loads(line) for line in desk.out.splitlines()]
