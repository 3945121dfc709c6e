"""The tables of docs/REFERENCE.md that the code itself can tell. `python -m tests.docs.reference` writes them anew.

Everything between `<!-- made from the code: NAME -->` and `<!-- end -->` belongs to this file, the rest to people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from bot.cli.main import VERBS
from bot.domain.decision import Reason, TriggerKind
from bot.domain.event import Payload
from bot.domain.money import Percent, decimal_text
from bot.domain.value import field_names
from bot.ops.metrics import Metrics
from bot.ops.remedies import CHANGES
from bot.record.topics import MONEY, TOPICS
from bot.settings.policy import BreakerPolicy, BreakersPolicy, Policy
from bot.settings.reload import direction
from bot.settings.rules import Rule
from bot.settings.universe import Tier, Universe

ROOT: Final = Path(__file__).resolve().parents[2]
REFERENCE: Final = ROOT / "docs" / "REFERENCE.md"
BLOCK: Final = re.compile(r"(<!-- made from the code: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
RENAMED: Final = {"from_state": "from", "to_state": "to"}

Rows = Sequence[Sequence[str]]

RULE_KEYS: Final = {
    "name": "how it is called everywhere: a-z, digits, underscores",
    "enabled": "false: it proposes nothing",
    "about": "one sentence for people",
    "when": "triggers joined by all, any, none",
    "tiers": "only products of these tiers; empty: all",
    "regimes": "only in these regimes; empty: all",
    "size": "tier (the tier's base size), {pct_of_nlv: 2} or {usd: 100}",
    "scale_by_volatility": "smaller when the product moves more, larger when less",
    "stop_loss_pct": "sell this far below the entry; null: off",
    "take_profit_pct": "sell this far above the entry; null: off",
    "trailing_stop_pct": "sell this far below the highest bid since the entry; null: off",
    "max_hold_minutes": "sell after this long; null: off",
    "budget_pct": "most of NLV all positions of the rule may hold together; null: no budget of its own",
    "max_new_per_cycle": "entries of the rule in one cycle",
    "cooldown_minutes": "pause of the rule, in every product, after its last entry; null: none",
}
TIER_KEYS: Final = {
    "products": "its members",
    "base_size_pct": "size of an entry before scaling, in percent of NLV",
    "min_volume_24h": "quote currency traded in 24 hours, at least",
    "max_spread_bps": "ask less bid over mid, at most",
    "min_depth": "quote currency on each side of the book within execution.depth_within_bps, at least",
    "min_listed_days": "days since it was listed, at least",
}
BREAKER_KEYS: Final = {
    "enabled": "false: never opens",
    "threshold": "hits that open it (percent for `volatility`)",
    "window_seconds": "within so long",
    "cooloff_seconds": "how long it stays open with reset automatic",
    "reset": "automatic, or latch: until `bot resume --latch`",
    "exits_allowed": "whether the bot still sells while it is open",
    "cancel_entries": "whether working buys are withdrawn",
}
PLAIN: Final = {
    "order.changed": "An order moved to another state, or more of it was filled; figures are cumulative.",
    "alert.raised": "An alert was said: `firing` or `resolved`.",
    "approval.answered": "It was granted, rejected, expired or used.",
    "quarantine.ended": "An operator adopted the product, or left what is held to its owner.",
    "fills.cursor_moved": "Fills up to `at` are booked; later reads reach `overlap` further back.",
    "journal.opened": "First event of a journal.",
    "run.started": "A daemon began.",
    "run.stopped": "A daemon ended; `still_working` names orders that may still be at the exchange.",
    "ledger.anchored": "Opening balance of a currency: the ledger equation counts from here.",
    "order.foreign_gone": "A foreign order no longer works.",
    "universe.hysteresis_moved": "How many cycles in a row products were eligible, or not.",
    "cooldown.began": "No new entry in a product, or in any, for a while.",
    "ban.began": "A product may not be entered.",
    "ban.ended": "It may be entered again.",
    "quarantine.began": "Somebody else moved this product on our account: no entries until an operator decides.",
    "halt.began": "A cause of the halt table came into force.",
    "halt.ended": "It is gone.",
    "latch.set": "A halt that outlives restarts.",
    "latch.cleared": "It was ended, by its period or by an operator.",
    "breaker.changed": "A circuit breaker counted, opened or closed.",
    "fees.tier_seen": "The account's fee rates.",
    "approval.asked": "A trade waits for a person.",
    "command.applied": "An operator's command was carried out; each exactly once.",
    "config.loaded": "The configuration in force changed.",
}
"""What a topic means where its class speaks only of its fields."""
SECTIONS: Final = {
    "rules": "the entry rules, in the order they are tried; see below",
    "triggers.price_move.enabled": "the price moved fast",
    "triggers.volume_spike.enabled": "much more is traded than usual",
    "triggers.breakout.enabled": "a new high",
    "triggers.momentum.enabled": "a steady rise over a day",
    "triggers.reversal.enabled": "recovering from a low",
    "triggers.mean_reversion.enabled": "unusually far below its average",
    "tiers": "the tiers, best first; see below",
    "themes": "name -> products that share one cap, risk.max_per_theme_pct",
    **{f"triggers.{kind.value}.by_regime": "regime -> values that replace these in it" for kind in TriggerKind},
    "fees.worst_maker_pct": "maker rate assumed until the account's tier is known, and never less careful than this",
    "fees.worst_taker_pct": "taker rate, likewise",
    "execution.governors.orders_per_minute": "most orders in a minute",
    "execution.governors.orders_per_day": "most orders in 24 hours",
    "execution.governors.notional_per_day_usd": "most money in orders in 24 hours",
    "transport.connect_timeout_seconds": "longest wait for a connection",
    "transport.read_timeout_seconds": "longest wait for the next bytes",
    "clock.check_seconds": "how often our clock is compared with the exchange's",
    "backtest.maker_pct": "maker rate with fees: fixed",
    "backtest.taker_pct": "taker rate with fees: fixed",
    "discovery.enabled": "trade products beyond the tiers, by volume",
    "discovery.max_products": "how many of them",
    "discovery.min_volume_24h": "quote currency traded in 24 hours, at least",
}
"""Keys that the shipped file explains above, or by their section."""


def blocks() -> Mapping[str, str]:
    """Every table, by the name in its marker."""
    return {
        "verbs": table(("verb", "what it does"), [(f"`bot {verb.name}`", verb.help) for verb in VERBS]),
        "metrics": table(("metric", "type", "labels", "meaning"), list(_metrics())),
        "topics": table(("topic", "fsync", "payload", "meaning"), list(_topics())),
        "reasons": table(("reason", "what would change it"), list(_reasons())),
        "policy": table(("key", "default", "meaning", "live reload"), list(_keys("policy.yaml", Policy()))),
        "universe": table(("key", "default", "meaning", "live reload"), list(_keys("universe.yaml", Universe()))),
        "breakers": table(("breaker", *BREAKER_KEYS), list(_breakers())),
        "breaker": _section("policy.yaml: risk.breakers.NAME", BreakerPolicy, BREAKER_KEYS),
        "rule": _section("policy.yaml: rules.NAME", Rule, RULE_KEYS),
        "tier": _section("universe.yaml: tiers.N", Tier, TIER_KEYS),
    }


def table(head: Sequence[str], rows: Rows) -> str:
    """A Markdown table; bars inside cells are written so that they do not end them."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def rendered(text: str) -> str:
    """The document with every block as the code tells it. Raises KeyError for a block nobody makes."""
    made = blocks()
    return BLOCK.sub(lambda found: f"{found[1]}{made[found[2]]}{found[3]}", text)


def _metrics() -> Iterator[tuple[str, ...]]:
    names: dict[str, tuple[str, str, str]] = {}
    for collector in vars(Metrics("", "")).values():
        if hasattr(collector, "_labelnames"):
            kind, name = collector._type, collector._name + ("_total" if collector._type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in collector._labelnames) or "-"
            names[name] = (kind, labels, collector._documentation)
    for family in Metrics("", "").registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        known = names.get(name, (family.type, "`config_hash`, `code_version`", family.documentation))
        yield (f"`{name}`", *known)


def _topics() -> Iterator[tuple[str, ...]]:
    for topic, kind in sorted(TOPICS.items()):
        durable = "yes" if kind.durable else ""
        fields = ", ".join(f"`{RENAMED.get(name, name)}`" for name in field_names(kind))
        kept = " Kept in the ledger archive." if topic in MONEY else ""
        yield f"`{topic}`", durable, fields, _meaning(kind) + kept


def _meaning(kind: type[Payload]) -> str:
    told = (kind.__doc__ or "").strip()
    if told.startswith(f"{kind.__name__}("):
        return PLAIN[kind.topic]
    return PLAIN.get(kind.topic) or " ".join(told.split("\n\n")[0].split())


def _reasons() -> Iterator[tuple[str, str]]:
    for reason in Reason:
        yield f"`{reason.value}`", CHANGES.get(reason, "its own detail says it: see `bot explain`")


def _keys(file: str, model: BaseModel) -> Iterator[tuple[str, ...]]:
    said = comments((ROOT / "config" / file).read_text())
    for path, value in _leaves(model):
        yield (
            f"`{path}`",
            f"`{shown(value)}`",
            SECTIONS.get(path) or said.get(path, ""),
            direction(f"{file}: {path}").value,
        )


def _leaves(model: BaseModel, path: str = "") -> Iterator[tuple[str, object]]:
    """Every key with its default, but the repeated shapes that have a table of their own."""
    for name in type(model).model_fields:
        value, here = getattr(model, name), f"{path}{name}"
        if isinstance(value, BreakersPolicy):
            continue
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{here}.")
        else:
            yield here, value


def shown(value: object) -> str:
    """A default as one writes it in the file."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Enum):
        return value.name if isinstance(value.value, int) else str(value.value)
    if isinstance(value, Percent):
        return decimal_text(value.value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{shown(key)}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return str(value)


def _breakers() -> Iterator[tuple[str, ...]]:
    breakers = BreakersPolicy()
    for name in BreakersPolicy.model_fields:
        policy = getattr(breakers, name)
        yield (f"`{name}`", *(shown(getattr(policy, key)) for key in BREAKER_KEYS))


def _section(prefix: str, model: type[BaseModel], meanings: Mapping[str, str]) -> str:
    rows = []
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else shown(field.get_default(call_default_factory=True))
        default = "tier" if key == "size" else default
        rows.append((f"`{key}`", f"`{default or '-'}`", meanings[key], direction(f"{prefix}.{key}").value))
    return table(("key", "default", "meaning", "live reload"), rows)


def comments(text: str) -> Mapping[str, str]:
    """What the shipped file says beside each key, by its dotted path; lists of sections are left out."""
    found: dict[str, str] = {}
    open_keys: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.fullmatch(r"( *)([a-z0-9_]+):(?:\s+([^#]*?))?(?:\s+#\s*(.*))?", line)
        if match is None or line.lstrip().startswith("-"):
            continue
        indent, key, _, comment = len(match[1]), match[2], match[3], match[4]
        while open_keys and open_keys[-1][0] >= indent:
            open_keys.pop()
        open_keys.append((indent, key))
        found[".".join(name for _, name in open_keys)] = (comment or "").strip()
    return found


def main() -> None:
    text = REFERENCE.read_text()
    REFERENCE.write_text(rendered(text))


if __name__ == "__main__":
    main()
