"""The gate: green as committed, red for anything that changed, broke or did not happen."""

from __future__ import annotations

import io
import json
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backtest import baseline
from backtest.cli import main
from backtest.drill import market
from backtest.drill.storm import market as storm
from backtest.gate import OWN, STORM, TOLERANCE_PCT, Gate, Needs, Outcome, Scenario, Verdict, drifted
from bot.adapters.codeversion import code_version
from bot.cli.proofs import _gate as proof_of
from bot.domain.decision import TriggerKind
from bot.errors import ConfigError
from bot.settings.load import load_config
from tests.backtest import runs
from tests.configs import SHIPPED, write_config


def gate(folder: Path, *more: str, config: Path = SHIPPED) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what was printed, and the result."""
    out, result = io.StringIO(), folder / "gate.json"
    code = main(["gate", "--config-dir", str(config), "--out", str(result), *more], out, io.StringIO())
    return code, out.getvalue(), json.loads(result.read_text())


def outcome(name: str, **figures: float) -> Outcome:
    return Outcome(name, (), figures)


def verdict(*outcomes: Outcome, drift: tuple[str, ...] = ()) -> Verdict:
    return Verdict("hash", "code", outcomes, drift)


def test_the_shipped_configuration_passes_and_its_result_serves_the_launch_certificate(tmp_path):
    code, said, result = gate(tmp_path)
    assert (code, result["reasons"]) == (0, []), said
    config = load_config(SHIPPED)
    assert (result["passed"], result["config_hash"]) == (True, config.config_hash)
    assert result["code_version"] == code_version()
    assert proof_of(tmp_path / "gate.json", config).met


def test_a_configuration_that_never_trades_is_red_and_cannot_become_the_baseline(tmp_path):
    asleep = write_config(tmp_path / "config", {"rules": []})
    code, said, result = gate(tmp_path, "--accept", config=asleep)
    assert (code, result["passed"]) == (3, False)
    assert "FAILED there is no baseline" in said
    for missing in ("no closed trades", "no fills", "gate total_cap was never asked"):
        assert f"FAILED policy: empty: {missing}" in said
    assert not (asleep / baseline.FILE).exists()
    assert not proof_of(tmp_path / "gate.json", load_config(asleep)).met


def test_a_changed_result_becomes_the_baseline_when_somebody_says_so(tmp_path):
    config = tmp_path / "config"
    shutil.copytree(SHIPPED, config)
    committed = json.loads((config / baseline.FILE).read_text())
    other = committed | {"figures": committed["figures"] | {"drill": {"costs.fees": 1.0}}}
    baseline.write(config / baseline.FILE, other)
    code, said, result = gate(tmp_path, "--accept", config=config)
    assert (code, result["passed"]) == (0, True), said
    made = json.loads((config / baseline.FILE).read_text())
    outcomes = [Outcome(name, (), figures) for name, figures in made["figures"].items()]
    assert list(drifted(outcomes, committed["figures"])) == []


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"figures": {"drill": {"x": "1"}}}', '{"figures": {"drill": {"x": NaN}}}']
)
def test_a_broken_baseline_is_bad_usage_and_leaves_no_passed_result_behind(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    (tmp_path / "gate.json").write_text('{"passed": true}')
    code, _, result = gate(tmp_path, "--baseline", str(tmp_path / "old.json"))
    assert (code, result["passed"]) == (2, False)
    with pytest.raises(ConfigError, match="no baseline"):
        baseline.read(tmp_path / "old.json")


@pytest.mark.parametrize(
    ("was", "now", "red"),
    [
        (100.0, 101.9, False), (100.0, 98.1, False), (100.0, 102.1, True), (100.0, 97.9, True), (-50.0, -50.9, False),
        (-50.0, -51.1, True), (0.0, 0.0, False), (0.0, 0.001, True), (5.0, 0.0, True), (3.0, 4.0, True),
    ],
)  # fmt: skip
def test_a_figure_may_move_by_two_percent_and_no_more(was, now, red):
    assert TOLERANCE_PCT == 2.0
    assert bool(list(drifted([outcome("drill", x=now)], {"drill": {"x": was}}))) is red


def test_a_figure_that_vanished_or_is_new_is_drift():
    found = list(drifted([outcome("drill", new=1)], {"drill": {"gone": 7}}))
    assert len(found) == 2
    assert "gone is 0, the baseline says 7 (-100.0 %)" in found[0]
    assert "new is 1, the baseline says 0 (new)" in found[1]


def test_a_verdict_without_a_single_run_is_no_pass():
    assert not verdict().passed
    assert verdict(outcome("drill", x=1)).passed
    assert not verdict(outcome("drill", x=1), drift=("x",)).passed
    assert not Verdict("hash", "code", (Outcome("drill", ("bad",), {}),)).passed
    assert not Verdict("hash", "code", (outcome("drill"),), crash="it did not finish").passed


def ends(folder: Path, *files: str) -> dict[str, list[str]]:
    """First and last candle of each file."""
    found = {}
    for name in files:
        rows = (folder / name).read_text().splitlines()
        found[name.partition("_")[0]] = [rows[1], rows[-1]]
    return found


def test_the_markets_of_the_gate_are_the_same_on_every_machine(tmp_path):
    """The first and last candles of some products, written down once."""
    golden = json.loads((Path(__file__).parent / "golden" / "market.json").read_text())
    universe = load_config(OWN).universe
    assert len(market.cast(universe)) == len(market.ROLES)
    lively, stormy = (
        market.write(tmp_path / "lively", universe),
        storm.write(tmp_path / "storm", load_config(STORM).universe),
    )
    assert ends(lively, "BTC-USD_1m.csv", "SOL-USD_1m.csv", "FIL-USD_1m.csv") == golden["lively"]
    assert ends(stormy, "BTC-USD_5m.csv", "SOL-USD_5m.csv") == golden["storm"]


def weathered(folder: Path, *, every: bool) -> runs.Outcome:
    config = load_config(STORM)
    candles = storm.write(folder / "candles", config.universe)
    return runs.backtest(candles, config, folder / str(every), every=every, since=storm.SINCE, until=storm.UNTIL)


def test_the_storm_is_the_same_byte_for_byte_when_every_cycle_of_it_is_run(tmp_path):
    every, skipping = weathered(tmp_path, every=True), weathered(tmp_path, every=False)
    assert skipping.cycles < every.cycles / 5
    assert skipping.files == every.files


def test_the_storm_brings_up_what_it_is_for(tmp_path):
    """Three rates of fees, a stop behind a gap, and brackets that end in the bar of their birth, at target and stop."""
    files = weathered(tmp_path, every=False).files
    fills, orders = (json.loads(files[name]) for name in ("fills.json", "orders.json"))
    rates = {Decimal(f["fee"]) / Decimal(f["value"]) for f in fills if f["liquidity"] == "MAKER"}
    assert {round(rate * 100, 2) for rate in rates} == {Decimal("0.50"), Decimal("0.25"), Decimal("0.15")}
    known = {order["order_id"]: order for order in orders}
    stops = [f for f in fills if f["reason"] == "stop_loss"]
    assert any(Decimal(f["price"]) < Decimal(known[f["order_id"]]["stop_price"]) * Decimal("0.99") for f in stops)
    born_and_done = {f["reason"] for f in fills if f["side"] == "SELL" and _newborn(f, known)}
    assert born_and_done == {"stop_loss", "take_profit"}


def _newborn(sale: dict[str, Any], orders: dict[str, dict[str, Any]]) -> bool:
    return bool(orders[sale["order_id"]]["created_at"] == sale["booked_at"])


@pytest.mark.parametrize("needs", [
    Needs(stops=("weekly_stop",)), Needs(rates=4), Needs(exits=("max_hold",)), Needs(gates=frozenset({"theme_cap"})),
    Needs(triggers=frozenset({TriggerKind.MOMENTUM})),
])  # fmt: skip
def test_a_run_that_leaves_something_out_is_red(tmp_path, needs):
    calm = Scenario("calm", load_config(STORM), storm.write, storm.SINCE, storm.SINCE + timedelta(hours=14), needs)
    [problem] = Gate(load_config(SHIPPED), "code", tmp_path)._outcome(calm).problems
    assert problem.startswith("empty: ")
