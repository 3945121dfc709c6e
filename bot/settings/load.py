"""Reads policy.yaml and universe.yaml into one Config, or says everything that is wrong with both."""

from __future__ import annotations

import difflib
import re
import stat
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.domain.decision import TriggerKind
from bot.errors import ConfigError
from bot.settings import sanity, strict_yaml
from bot.settings.barfit import fitted
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.rules import CONDITION_TAG, TRIGGER_TAG, Condition, TriggerHolds
from bot.settings.strict_yaml import Document, KeyPath, Problem, shown
from bot.settings.triggers import SECTIONS
from bot.settings.universe import Universe

M = TypeVar("M", bound=BaseModel)

POLICY_FILE: Final = "policy.yaml"
UNIVERSE_FILE: Final = "universe.yaml"

_WORDS: Final[Mapping[str, str]] = {
    "missing": "is missing and has no default",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "string_type": "must be text (quote it)",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "mapping_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
}


def load_config(config_dir: Path, *, settled: bool = True) -> Config:
    """The configuration in a folder.

    settled: nobody writes the files just now, as before a start; a last line without an end is then no sign of half a
    file.

    Raises: ConfigError with one line for every problem of both files: first their form, then, once both are well
    formed, what does not fit together.
    """
    documents = [_document(config_dir / name, settled) for name in (POLICY_FILE, UNIVERSE_FILE)]
    return build(*documents)


def parse_config(policy: bytes, universe: bytes) -> Config:
    """The configuration in two texts. Raises ConfigError as `load_config` does."""
    return build(strict_yaml.read(POLICY_FILE, policy), strict_yaml.read(UNIVERSE_FILE, universe))


def build(policy_document: Document, universe_document: Document) -> Config:
    """The configuration in two documents. Raises ConfigError as `load_config` does."""
    policy = _model(Policy, policy_document)
    universe = _model(Universe, universe_document)
    problems = [*policy_document.problems, *universe_document.problems]
    if problems or policy is None or universe is None:
        raise ConfigError(_lines(problems))
    config = Config(fitted(policy, policy.data.bar_granularity), universe)
    documents = {POLICY_FILE: policy_document, UNIVERSE_FILE: universe_document}
    if conflicts := sanity.conflicts(config):
        raise ConfigError(_lines([_placed(documents[item.file], item) for item in conflicts]))
    return config


def _document(path: Path, settled: bool) -> Document:
    """The file, read whole; anything but a regular, readable file of sensible size is a problem, not an exception."""
    missing = Document(path.name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            missing.refuse(0, (), f"is not a regular file in {path.parent}")
            return missing
        with path.open("rb") as file:
            content = file.read(strict_yaml.SIZE_LIMIT + 1)
            return strict_yaml.read(path.name, content + b"\n" if settled else content)
    except OSError as error:
        missing.refuse(0, (), f"cannot be read in {path.parent}: {error.strerror}")
        return missing


def _lines(problems: Iterable[Problem]) -> list[str]:
    return [str(problem) for problem in sorted(dict.fromkeys(problems))]


def _placed(document: Document, conflict: sanity.Conflict) -> Problem:
    return document.problem(_line_of(document, conflict.path), conflict.path, conflict.text)


def _model(model: type[M], document: Document) -> M | None:
    """The validated section, or None with every problem noted in the document."""
    if document.value is None:
        if not document.problems:
            document.refuse(0, (), "is empty")
        return None
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(model, document, detail)
        return None


def _note(model: type[BaseModel], document: Document, detail: ErrorDetails) -> None:
    path = _file_path(document.value, detail["loc"])
    if path not in document.refused:
        unknown = detail["type"] == "extra_forbidden"
        text = (
            _unknown_key(_known_keys(model, document, detail["loc"], path), detail) if unknown else _wrong_value(detail)
        )
        document.refuse(_line_of(document, path), path, text)


def _file_path(value: Any, loc: Sequence[str | int]) -> KeyPath:
    """The place as it stands in the file: a rule's `breakout: {...}` is its own key there, not `overrides`."""
    path: list[str | int] = []
    for part in loc:
        if part in {TRIGGER_TAG, CONDITION_TAG, "[key]"}:
            continue
        name: str | int = part
        written = part in value if isinstance(value, Mapping) else True
        if part == "overrides" and not written and {"trigger", "kind"} & value.keys():
            continue
        if not written and part in {"overrides", "direction"} and len(value) == 1:
            name = next(iter(value))
            if part == "direction":
                path.append(name)
                name = part
        elif part == "trigger" and not (isinstance(value, Mapping) and "trigger" in value):
            continue
        path.append(name)
        value = _child(value, name)
    return tuple(path)


def _child(value: Any, name: str | int) -> Any:
    try:
        return value[name]
    except (KeyError, IndexError, TypeError):
        return None


def _wrong_value(detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "value_error":
        return str(detail["ctx"]["error"]) if "ctx" in detail else detail["msg"]
    words = _WORDS.get(kind) or detail["msg"].replace("Input should be", "must be").replace("String should", "must")
    hint = _nearest(str(value), re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", ""))))
    return f"{words}{hint}" if kind == "missing" else f"{words}, was {_value_shown(value)}{hint}"


def _value_shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else shown(value)


def _unknown_key(known: Sequence[str], detail: ErrorDetails) -> str:
    hint = _nearest(str(detail["loc"][-1]), known) or f"; known here: {', '.join(known)}"
    return f"is not a key of this section (its value was {_value_shown(detail['input'])}){hint}"


def _nearest(word: str, known: Sequence[str]) -> str:
    match = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"; did you mean `{match[0]}`?" if match else ""


def _known_keys(model: type[BaseModel], document: Document, loc: Sequence[str | int], path: KeyPath) -> list[str]:
    """The keys that may stand beside the one at `loc`."""
    if "overrides" in loc:
        kind = _trigger_of(document.value, path)
        parameters = set(SECTIONS[kind].model_fields) if kind is not None else set()
        return sorted({*parameters, "direction"} - {"by_regime"})
    around = loc[: loc.index("by_regime")] if "by_regime" in loc else loc[:-1]
    kinds: list[Any] = [model]
    for part in around:
        kinds = [inner for kind in kinds for inner in _step(kind, part)]
    names = {name for kind in kinds if hasattr(kind, "model_fields") for name in kind.model_fields}
    return sorted(names - {"by_regime"} if "by_regime" in loc else names)


def _trigger_of(value: Any, path: KeyPath) -> TriggerKind | None:
    """Which trigger's parameters stand at `path`, in any way of writing them; None when nothing there names one."""
    found = None
    for part in path:
        for name in (part, _child(value, "trigger"), _child(value, "kind")):
            found = TriggerKind(name) if name in TriggerKind._value2member_map_ else found
        value = _child(value, part)
    return found


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    """One step along a path, from a model, list or mapping type to the types that may stand there."""
    if part in {TRIGGER_TAG, CONDITION_TAG}:
        yield from [kind] if kind is (TriggerHolds if part == TRIGGER_TAG else Condition) else []
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _concrete(kind.model_fields[str(part)].annotation) if part in kind.model_fields else []
    elif get_origin(kind) is tuple:
        yield from _concrete(get_args(kind)[0])
    elif get_origin(kind) is Mapping:
        yield from _concrete(get_args(kind)[1])


def _concrete(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _concrete(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, types.UnionType}:
        for option in get_args(annotation):
            yield from _concrete(option)
    else:
        yield annotation


def _line_of(document: Document, path: KeyPath) -> int:
    """The line of the path, or of the nearest thing around it that stands in the file."""
    places = (document.lines.get(path[:length]) for length in range(len(path), -1, -1))
    return next((line for line in places if line is not None), 0)
