"""The demo's configuration: the shipped files with a small overlay of the demo's own, validated as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bot.domain.value import Value
from bot.errors import ConfigError
from bot.settings import strict_yaml
from bot.settings.config import Config
from bot.settings.load import POLICY_FILE, UNIVERSE_FILE, build
from bot.settings.strict_yaml import Document

OVERLAY: Final = Path(__file__).with_name("demo.yaml")
"""What the demo changes, each key with its reason beside it."""


class Overlaid(Value):
    """A configuration, and where it is not the one in the files (`policy.risk.cooldown_minutes`)."""

    config: Config
    changes: tuple[str, ...]


def overlaid(config_dir: Path, overlay: Path = OVERLAY) -> Overlaid:
    """The configuration in a folder with the overlay's values in place of its own.

    Raises: ConfigError with every problem of the three files.
    """
    documents = {name: _read(config_dir, name) for name in (POLICY_FILE, UNIVERSE_FILE)}
    wanted = _read(overlay.parent, overlay.name)
    if wanted.problems:
        raise ConfigError([str(problem) for problem in wanted.problems])
    changes: list[str] = []
    for name, document in documents.items():
        section = name.removesuffix(".yaml")
        if section in wanted.value:
            shipped, document.value = document.value, merged(document.value, wanted.value[section])
            changes += differences(shipped, document.value, section)
    return Overlaid(build(documents[POLICY_FILE], documents[UNIVERSE_FILE]), tuple(changes))


def merged(shipped: Any, wanted: Any) -> Any:
    """`wanted` laid over `shipped`: mappings key by key, lists of named mappings by name, the rest replaced.

    A name that is not in the list is left out: half a rule is none.
    """
    if isinstance(shipped, Mapping) and isinstance(wanted, Mapping):
        return {**shipped, **{key: merged(shipped.get(key), value) for key, value in wanted.items()}}
    if _named(shipped) and _named(wanted):
        changes = {item["name"]: item for item in wanted}
        return [merged(item, changes.get(item["name"], {})) for item in shipped]
    return wanted


def differences(shipped: Any, now: Any, path: str) -> Iterator[str]:
    """The places at which `merged` made a difference."""
    if isinstance(shipped, Mapping) and isinstance(now, Mapping):
        for key in now:
            yield from differences(shipped.get(key), now[key], f"{path}.{key}")
    elif _named(shipped) and _named(now):
        for before, after in zip(shipped, now, strict=True):
            yield from differences(before, after, f"{path}.{after['name']}")
    elif shipped != now:
        yield path


def _named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(i, Mapping) and "name" in i for i in value)


def _read(folder: Path, name: str) -> Document:
    try:
        return strict_yaml.read(name, (folder / name).read_bytes())
    except OSError as error:
        hint = "name the folder with --config-dir, or start from the one that holds config/"
        raise ConfigError([f"{folder / name} cannot be read ({error.strerror}): {hint}"]) from error
