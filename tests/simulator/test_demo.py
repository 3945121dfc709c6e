"""What the demo says: its changed settings, its story, its screen and its last words, each from made-up facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from bot.domain.codec import time_text
from bot.domain.decision import Decision, Evaluated, GateResult, Outcome, Reason, Regime, Reject
from bot.domain.money import Price, Size
from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.product import ProductId, Side
from bot.domain.snapshot import Balance
from bot.domain.state import Ledger, Order, State
from bot.domain.value import replace
from bot.errors import ConfigError
from bot.settings.load import load_config
from bot.venue.orders import Accepted
from simulator.control import Controls
from simulator.demo_config import OVERLAY, merged, overlaid
from simulator.demo_screen import Page
from simulator.demo_story import Kind, Sources, Story
from simulator.demo_summary import Closing, summary
from simulator.demo_venue import Truth, truth_of
from simulator.demo_words import brief, change, dollars, reason_words, span
from simulator.rest.orders import foreign_request
from simulator.server import Simulator, SimulatorConfig
from tests.builders import proposal
from tests.configs import SHIPPED, write_config

AT = datetime(2026, 11, 2, 14, 0, 5, tzinfo=UTC)
SOL = ProductId("SOL-USD")


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {"event": name, "ts": time_text(AT), "level": "info", **fields}


def cycle(outcome: str = "NO_TRADE", reason: str = "no_signal", **fields: Any) -> dict[str, Any]:
    usual = {
        "cycle_id": "one", "service": False, "detail": "no trigger fired in 16 eligible products", "regime": "chop",
        "eligible": 16, "proposals": 0, "approved": 0,
    }  # fmt: skip
    return event("cycle.completed", outcome=outcome, reason=reason, **{**usual, **fields})


def order(kind: OrderKind = OrderKind.ENTRY, **fields: Any) -> Order:
    side = Side.BUY if kind is OrderKind.ENTRY else Side.SELL
    usual = Order(
        "ours", 1, 1, SOL, side, kind, OrderType.LIMIT_POST_ONLY, Size(Decimal("2.5")), Price(Decimal(65)),
        OrderState.OPEN, AT, AT, Price(Decimal(65)), Decimal("0.006"),
    )  # fmt: skip
    return replace(usual, **fields)


def story(decision: Decision | None = None, *orders: Order) -> Story:
    state = State(orders={each.client_order_id: each for each in orders})
    return Story(Sources(lambda _: decision, lambda: state))


def told(found: Story, *events: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    return [(line.kind, line.text) for each in events for line in found.tell(each)]


# ------------------------------------------------------------------------------------------------------------ settings


def test_every_setting_the_demo_changes_has_its_reason_beside_it() -> None:
    lines = OVERLAY.read_text().splitlines()
    bare = [
        line
        for line in lines
        if re.match(r"\s+.*\w: \S|\s+- \w+: \{", line) and "#" not in line and "name:" not in line
    ]
    assert bare == []


def test_the_demo_keeps_every_cap_loss_stop_governor_and_fee_as_shipped() -> None:
    shipped, demo = load_config(SHIPPED), overlaid(SHIPPED).config
    assert demo.universe == shipped.universe
    for section in ("execution", "kill_switch", "fees", "exits", "sizing", "portfolio", "data", "regime", "triggers"):
        assert getattr(demo.policy, section) == getattr(shipped.policy, section), section
    kept = {"cooldown_minutes": 0, "cooldown_after_stop_minutes": 0}
    assert demo.policy.risk.model_copy(update=kept) == shipped.policy.risk.model_copy(update=kept)


def test_the_changes_named_are_the_changes_made() -> None:
    found = overlaid(SHIPPED)
    assert found.config.config_hash != load_config(SHIPPED).config_hash
    assert "policy.risk.cooldown_minutes" in found.changes
    assert len(found.changes) == len(set(found.changes))


def test_a_rule_that_the_operator_has_removed_does_not_come_back_by_half(tmp_path: Path) -> None:
    rules = [
        rule for rule in yaml.safe_load((SHIPPED / "policy.yaml").read_text())["rules"] if "momentum" in rule["name"]
    ]
    found = overlaid(write_config(tmp_path, {"rules": rules}))
    assert [rule.name for rule in found.config.policy.rules] == ["momentum_trend"]


def test_an_overlay_that_asks_for_nonsense_is_refused_with_the_key(tmp_path: Path) -> None:
    (tmp_path / "over.yaml").write_text("policy:\n  risk: {cooldown_minuts: 3}\n")
    with pytest.raises(ConfigError, match="cooldown_minuts"):
        overlaid(SHIPPED, tmp_path / "over.yaml")


def test_values_are_laid_over_by_key_and_lists_of_names_by_name() -> None:
    shipped = {
        "keep": 1,
        "deep": {"a": 1, "b": 2},
        "list": [1, 2],
        "rules": [{"name": "x", "v": 1}, {"name": "y", "v": 2}],
    }
    wanted = {"deep": {"b": 3}, "list": [9], "rules": [{"name": "y", "v": 7}, {"name": "z", "v": 8}]}
    assert merged(shipped, wanted) == {
        "keep": 1, "deep": {"a": 1, "b": 3}, "list": [9], "rules": [{"name": "x", "v": 1}, {"name": "y", "v": 7}],
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- story


def test_what_a_cycle_wanted_is_told_before_what_it_did() -> None:
    found = story(None, order(), order(OrderKind.PROTECTIVE, client_order_id="guard", stop_price=Price(Decimal(62))))
    fill = event("fill.booked", product="SOL-USD", side="BUY", price="65", size="2.5", fee="0.81", realised=None)
    kinds = told(
        found,
        event("order.changed", client_order_id="guard", state="OPEN"),
        fill,
        event("order.changed", client_order_id="ours", state="OPEN"),
        cycle("TRADED", "", detail="BUY 2.5 SOL-USD"),
    )
    assert [kind for kind, _ in kinds] == [Kind.TRADE, Kind.ORDER, Kind.FILL, Kind.STOPS]
    assert kinds[1][1] == "bid for 2.5 SOL at 65 waits in the book"
    assert kinds[2][1] == "bought 2.5 SOL at 65 = $162.50, fee $0.81"
    assert kinds[3][1] == "protected: stop 62, target 65 for 2.5 SOL now rest at the exchange"
    assert [line.text for line in found.fills] == [kinds[2][1]]


def test_a_sale_tells_its_result() -> None:
    sale = event("fill.booked", product="SOL-USD", side="SELL", price="60", size="2", fee="1", realised="-13.5")
    assert told(story(), sale, cycle()) == [
        (Kind.NO_TRADE, "no trigger fired in 16 eligible products"),
        (Kind.FILL, "sold 2 SOL at 60 = $120.00, fee $1.00, result -$13.50 after all fees"),
    ]


def test_cycles_that_end_alike_are_one_line_with_a_count() -> None:
    found = story()
    assert len(told(found, cycle(), cycle(), cycle())) == 1
    assert [line.count for line in found.lines] == [3]
    assert len(told(found, cycle(reason="too_few_eligible", detail="0 eligible"))) == 1
    assert (found.cycles, found.why_not["no trigger fired"]) == (4, 3)


def test_cycles_that_only_serve_orders_are_counted_and_not_told() -> None:
    found = story()
    assert told(found, cycle(service=True, eligible=0)) == []
    assert (found.cycles, found.served, sum(found.outcomes.values())) == (1, 1, 0)


def test_every_reason_of_risk_counts_once_a_cycle_and_names_its_products() -> None:
    found = story(_refusing(Reason.ALREADY_HELD, Reason.COOLDOWN, Reason.ALREADY_HELD))
    lines = told(found, cycle(reason="all_rejected", proposals=3))
    assert lines == [(Kind.NO_TRADE, "SOL-USD, SOL-USD: held already; SOL-USD: pausing after a trade")]
    assert found.why_not == {"held already": 1, "pausing after a trade": 1}


def test_a_halt_is_told_rather_than_what_risk_said_under_it() -> None:
    found = story(_refusing(Reason.ALREADY_HELD))
    halted = cycle("HALTED", "kill_switch", detail="kill_switch: looks wrong", proposals=1)
    assert told(found, halted) == [(Kind.HALT, "kill switch: looks wrong")]
    assert found.why_not == {"kill switch": 1}


def _refusing(*reasons: Reason) -> Decision:
    evaluated = tuple(Evaluated(proposal(SOL), (GateResult("gate", Reject(why, "no")),), None) for why in reasons)
    return Decision("one", AT, Outcome.NO_TRADE, reasons[0], "", Regime.CHOP, (), (), (), evaluated, {}, "hash")


def test_an_order_is_told_when_it_begins_and_when_it_ends_unfilled() -> None:
    found = story(None, order())
    begun = told(found, event("order.changed", client_order_id="ours", state="OPEN"), cycle(service=True))
    again = told(found, event("order.changed", client_order_id="ours", state="CANCEL_PENDING"), cycle(service=True))
    ended = told(found, event("order.changed", client_order_id="ours", state="CANCELED"), cycle(service=True))
    assert begun == [(Kind.ORDER, "bid for 2.5 SOL at 65 waits in the book")]
    assert again == []
    assert ended == [(Kind.ORDER, "bid for SOL-USD withdrawn, nothing was filled")]


def test_alerts_are_told_but_for_the_good_news() -> None:
    bad = event("alert.raised", severity="CRITICAL", detail="the disk is full")
    good = event("alert.raised", severity="INFO", detail="no order of ours is working")
    assert told(story(), bad, good, event("run.stopped")) == [(Kind.ALERT, "critical: the disk is full")]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words_without_codes(reason: Reason) -> None:
    assert "_" not in reason_words(reason.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2.29453101", "2.29453"),
        ("0.00000468", "0.00000468"),
        ("123456.789", "123457"),
        ("0", "0"),
        ("55.0380", "55.038"),
    ],
)
def test_sizes_are_shown_with_six_digits_and_no_exponent(value: str, text: str) -> None:
    assert brief(Decimal(value)) == text


def test_money_shows_its_cents_and_its_direction() -> None:
    assert dollars(Decimal("1234.5")) == "$1,234.50"
    assert (dollars(Decimal(3), signed=True), dollars(Decimal("-0.125"), signed=True)) == ("+$3.00", "-$0.12")
    assert change(Decimal(10_000), Decimal(9_950)) == "-$50.00 (-0.50 %)"
    assert [span(timedelta(seconds=s)) for s in (9, 200, 3840)] == ["9 s", "3 min 20 s", "1 h 04 min"]


# -------------------------------------------------------------------------------------------------------------- screen


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60)], ids=str)
@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_screen_fits_its_window(size: tuple[int, int], count: int) -> None:
    shown = drawn(page(count), *size)
    assert len(shown) <= size[1]
    assert max(map(len, shown)) <= size[0]
    assert shown[0].startswith("Bulwark demo")
    assert any("equity $9,998.40" in line and "-$1.60 (-0.02 %)" in line for line in shown)
    assert any(line.startswith("Positions") for line in shown)
    rows = sum("SOL-USD" in line for line in shown)
    assert rows == 3 * count or any("more are not shown" in line for line in shown)
    assert shown[-1].startswith("look inside")


def test_a_halt_and_the_coming_end_are_in_sight() -> None:
    halted = replace(page(1), ending="ending: please wait")
    shown = drawn(
        replace(halted, report={**halted.report, "halted": True, "halt_reason": "kill_switch: by hand"}), 120, 40
    )
    assert "ending: please wait" in shown[0]
    assert shown[3] == "HALTED: kill_switch: by hand"


def test_before_the_first_cycle_the_screen_says_what_it_waits_for() -> None:
    assert "reading eight days of candles and the account ..." in drawn(replace(page(0), report={}), 100, 30)


def page(count: int) -> Page:
    position = {
        "product": "SOL-USD", "size": "2.29453101", "cost": "150.56", "mark": "65.25", "unrealised_pnl": "-0.84",
        "stop": "62.0255", "target": "73.1248", "rule": "momentum_trend",
    }  # fmt: skip
    working = {"product": "SOL-USD", "kind": "protective", "side": "SELL", "size": "2.29453101", "limit_price": "73.13"}
    report = {
        "equity": "9998.4", "equity_problem": "", "cash": "9849.44", "daily_pnl_pct": "-0.016",
        "exposure_pct": "1.4973",
        "fees_total": "2.97", "halted": False, "halt_reason": "", "positions": [position] * count,
        "orders": [working] * (2 * count),
    }  # fmt: skip
    found = story()
    for number in range(40):
        found.tell(cycle(reason="no_rule_holds", detail=f"no rule holds for volume_spike X{number}-USD"))
    footer = ("market      a", "settings    b", "bot         c", "exchange    d", "log         e", "look inside f")
    return Page(found, report, Decimal(10_000), 60.0, timedelta(seconds=9), "", footer)


def drawn(shown: Page, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(shown, end="")
    return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


# ------------------------------------------------------------------------------------------------------------- closing


def closing(**truth: Any) -> Closing:
    state = State(ledgers={"USD": Ledger(Decimal(10_000), AT)})
    balances = {"USD": Balance("USD", Decimal(9_000), Decimal(1_000))}
    found = Truth((), (), (), balances, Decimal(10_000))
    return Closing(story(), state, replace(found, **truth), Decimal(10_000), timedelta(seconds=60), timedelta(hours=1))


def test_a_clean_end_is_proven_by_the_exchanges_own_list_and_ledger() -> None:
    ended = closing()
    assert ended.clean
    text = "\n".join(summary(ended, "stopped on request"))
    assert "none: the exchange's own list shows no entry and no exit order" in text
    assert "residual 0 USD" in text


def test_a_cent_that_the_books_cannot_explain_is_shouted() -> None:
    ended = closing(balances={"USD": Balance("USD", Decimal("9999.99"), Decimal(0))})
    assert not ended.clean
    text = "\n".join(summary(ended, "stopped on request"))
    assert "residual -0.01 USD" in text
    assert "THE BOOKS DIFFER" in text


def test_an_order_that_may_still_fill_is_named_and_protection_is_not_mistaken_for_one() -> None:
    opening = {"USD": Decimal(10_000), "BTC": Decimal(1)}
    with Simulator(SimulatorConfig(products=1, opening=opening)) as sim:
        sim.do(_place_bid_and_guard)
        truth = sim.do(truth_of)
    assert truth.equity > 10_000
    assert [each.client_order_id for each in truth.open_trades()] == ["bid"]
    assert [each.client_order_id for each in truth.protection()] == ["guard"]
    ended = closing(working=truth.working, orders=truth.orders)
    assert not ended.clean
    text = "\n".join(summary(ended, "stopped on request"))
    assert "1 MAY STILL FILL:" in text
    assert "BUY BTC-USD bid" in text
    assert "1 protective order stays at the exchange on purpose" in text


def _place_bid_and_guard(controls: Controls) -> None:
    bodies = {
        "bid": {
            "side": "BUY",
            "order_configuration": {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "20000"}},
        },
        "guard": {
            "side": "SELL",
            "order_configuration": {
                "trigger_bracket_gtc": {"base_size": "1", "limit_price": "200000", "stop_trigger_price": "20000"}
            },
        },
    }
    for name, body in bodies.items():
        request = foreign_request({"client_order_id": name, "product_id": "BTC-USD", **body})
        assert isinstance(controls.world.place(request), Accepted)
