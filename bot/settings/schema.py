"""JSON Schemas of the two files, for editors: `python -m bot.settings.schema policy > config/policy.schema.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from bot.domain.decision import TriggerKind
from bot.domain.money import Percent, decimal_text
from bot.settings.policy import Policy
from bot.settings.triggers import SECTIONS
from bot.settings.universe import Universe

MODELS: Final[dict[str, type[BaseModel]]] = {"policy": Policy, "universe": Universe}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `policy` or `universe`, as people write the file."""
    document = MODELS[name].model_json_schema(mode="validation", schema_generator=_Generator)
    _as_written(document)
    if name == "policy":
        _write_rules_as_people_do(document)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **document,
        "title": f"{name}.yaml",
    }


def text(name: str) -> str:
    """The schema as the file beside the configuration holds it."""
    return json.dumps(schema(name), indent=2, sort_keys=True) + "\n"


class _Generator(GenerateJsonSchema):
    """Product ids are texts, whatever their class, and percentages are numbers."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, Percent):
            return decimal_text(dft.value)
        return str(dft) if isinstance(dft, str) else super().encode_default(dft)


def _as_written(node: Any) -> None:
    """Defaults leave the models as text, to be exact; in the file they are plain numbers. Titles repeat the keys."""
    if isinstance(node, list):
        for item in node:
            _as_written(item)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("title"), str):
        del node["title"]
    default = node.get("default")
    if isinstance(default, str) and _takes_numbers(node):
        node["default"] = json.loads(default)
    elif isinstance(default, dict) and _takes_numbers(node.get("additionalProperties")):
        node["default"] = {key: json.loads(value) for key, value in default.items()}
    for item in node.values():
        _as_written(item)


def _takes_numbers(node: Any) -> bool:
    if not isinstance(node, dict):
        return False
    return node.get("type") == "number" or any(_takes_numbers(option) for option in node.get("anyOf", []))


def _write_rules_as_people_do(document: dict[str, Any]) -> None:
    """A trigger may be a bare name, or its name over its own parameters; a size may be the word `tier`."""
    definitions = document["$defs"]
    node = {"anyOf": [{"enum": [kind.value for kind in TriggerKind]}, _named_trigger(definitions), *_written_out()]}
    definitions["Node"] = node
    for key in ("all", "any", "none"):
        definitions["Condition"]["properties"][key]["items"] = {"$ref": "#/$defs/Node"}
    size = {"anyOf": [{"const": "tier"}, {"$ref": "#/$defs/RuleSize"}], "default": "tier"}
    definitions["Rule"]["properties"]["size"] = size
    for kind, section in SECTIONS.items():
        regimes = definitions[section.__name__]["properties"]["by_regime"]
        regimes["additionalProperties"] = _parameters(definitions, kind)


def _written_out() -> list[dict[str, str]]:
    return [{"$ref": "#/$defs/TriggerHolds"}, {"$ref": "#/$defs/Condition"}]


def _named_trigger(definitions: dict[str, Any]) -> dict[str, Any]:
    direction = {"enum": ["any", "up", "down"]}
    properties = {}
    for kind in TriggerKind:
        parameters = _parameters(definitions, kind)
        parameters["properties"] = {**parameters["properties"], "direction": direction}
        properties[kind.value] = {"anyOf": [parameters, {"type": "null"}]}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _parameters(definitions: dict[str, Any], kind: TriggerKind) -> dict[str, Any]:
    """What may be replaced of one trigger: everything but `by_regime`, nothing required, no defaults."""
    own = definitions[SECTIONS[kind].__name__]["properties"]
    properties = {
        name: {key: value for key, value in field.items() if key != "default"}
        for name, field in own.items()
        if name != "by_regime"
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def main(arguments: Sequence[str]) -> int:
    """Write one schema to standard output; 2 when the name is unknown."""
    if len(arguments) != 1 or arguments[0] not in MODELS:
        sys.stderr.write(f"usage: python -m bot.settings.schema {{{','.join(MODELS)}}}\n")
        return 2
    sys.stdout.write(text(arguments[0]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
