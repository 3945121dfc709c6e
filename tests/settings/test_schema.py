"""The schemas beside the configuration are current and describe what people write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.settings import strict_yaml
from bot.settings.schema import MODELS, main, schema, text

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.mark.parametrize("name", MODELS)
def test_the_file_beside_the_configuration_is_current(name: str) -> None:
    file = CONFIG / f"{name}.schema.json"
    assert file.read_text("utf-8") == text(name), f"python -m bot.settings.schema {name} > config/{file.name}"


def problems(value: Any, rule: Any, root: Any, place: str = "") -> list[str]:
    """What a schema has against a value: as much of JSON Schema as ours use."""
    if "$ref" in rule:
        return problems(value, root["$defs"][rule["$ref"].rpartition("/")[2]], root, place)
    if "anyOf" in rule:
        tries = [problems(value, option, root, place) for option in rule["anyOf"]]
        return [] if [] in tries else [f"{place}: fits none of {len(tries)}"]
    found = [f"{place}: {value!r}"] if not fits(value, rule) else []
    if isinstance(value, dict):
        named = rule.get("properties", {})
        for key, item in value.items():
            inner = named.get(str(key), rule.get("additionalProperties", True))
            if inner is False:
                found.append(f"{place}.{key}: unknown")
            elif inner is not True:
                found += problems(item, inner, root, f"{place}.{key}")
    if isinstance(value, list) and "items" in rule:
        found += [line for n, item in enumerate(value) for line in problems(item, rule["items"], root, f"{place}[{n}]")]
    return found


def fits(value: Any, rule: Any) -> bool:
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "null": type(None),
    }
    kind = rule.get("type")
    if kind == "number":
        number = not isinstance(value, bool | str | dict | list | None)
        return number and value >= rule.get("minimum", value) and value > rule.get("exclusiveMinimum", value - 1)
    right = kind is None or (isinstance(value, kinds[kind]) and (kind == "boolean" or not isinstance(value, bool)))
    return right and value in rule.get("enum", [value]) and value == rule.get("const", value)


@pytest.mark.parametrize("name", MODELS)
def test_the_shipped_file_fits_its_schema(name: str) -> None:
    document = strict_yaml.read(f"{name}.yaml", (CONFIG / f"{name}.yaml").read_bytes())
    assert problems(document.value, schema(name), schema(name)) == []


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ("risk: {max_totl_pct: 5}", ".risk.max_totl_pct: unknown"),
        ("risk: {max_total_pct: high}", ".risk.max_total_pct: 'high'"),
        ("loop: {interval_seconds: 0}", ".loop.interval_seconds: 0"),
        ("rules: [{name: a, when: {all: [breakot]}}]", ".rules[0].when.all[0]: fits none"),
        ("rules: [{name: a, when: {all: [{breakout: {lookback: 3}}]}}]", ".rules[0].when.all[0]: fits none"),
        ("rules: [{name: a, size: big}]", ".rules[0].size: fits none"),
        (
            "triggers: {breakout: {by_regime: {bear: {lookback: 3}}}}",
            ".triggers.breakout.by_regime.bear.lookback: unknown",
        ),
    ],
)
def test_an_editor_sees_a_mistake_before_the_bot_does(wrong: str, place: str) -> None:
    document = strict_yaml.read("policy.yaml", f"{wrong}\n".encode())
    found = problems(document.value, schema("policy"), schema("policy"))
    assert any(line.startswith(place) for line in found), found


def test_defaults_are_numbers_not_texts() -> None:
    def texts(node: Any) -> list[Any]:
        if isinstance(node, list):
            return [line for item in node for line in texts(item)]
        if not isinstance(node, dict):
            return []
        own = [node] if node.get("type") == "number" and isinstance(node.get("default"), str) else []
        return own + [line for item in node.values() for line in texts(item)]

    assert [texts(json.loads(text(name))) for name in MODELS] == [[], []]


def test_it_is_written_by_one_command() -> None:
    command = [sys.executable, "-m", "bot.settings.schema", "universe"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CONFIG.parent)
    assert done.stdout == text("universe")


@pytest.mark.parametrize("arguments", [[], ["risk"], ["policy", "universe"]])
def test_an_unknown_name_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: python -m bot.settings.schema {policy,universe}" in capsys.readouterr().err
