"""`bot config`: the configuration as the bot understands it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.cli.verb import Exit, Terminal, Verb, add_action, add_json, add_places
from bot.errors import StorageFailed

if TYPE_CHECKING:
    from bot.settings.config import Config

PARTS: Final = ("all", "policy", "universe", "rules")


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|hash|diff|schema")
    show = add_action(
        actions.add_parser, "show", "every key with its value, defaults included", "bot config show rules"
    )
    show.add_argument("part", nargs="?", choices=PARTS, default="all", help="`rules` explains each rule in a sentence")
    add_json(show)
    hashing = add_action(
        actions.add_parser, "hash", "the hash that every event and certificate carries", "bot config hash"
    )
    diff = add_action(
        actions.add_parser,
        "diff",
        "what differs from another folder, or from the defaults",
        "bot config diff\nbot config diff config.new",
    )
    diff.add_argument("other", nargs="?", type=Path, metavar="DIR", help="the folder with the newer files")
    add_json(diff)
    schema = add_action(actions.add_parser, "schema", "the JSON Schemas, for editors", "bot config schema policy")
    schema.add_argument("file", choices=("policy", "universe"))
    schema.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    for action in (show, hashing, diff):
        add_places(action)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    actions: dict[str, Callable[[argparse.Namespace, Terminal], int]] = {
        "show": _show,
        "hash": _hash,
        "diff": _diff,
        "schema": _schema,
    }
    return actions[args.action](args, terminal)


def _show(args: argparse.Namespace, terminal: Terminal) -> int:
    config = _config(args, terminal)
    if args.part == "rules":
        return _rules(config, args, terminal)
    document = as_document(config)
    parts = document if args.part == "all" else {args.part: document[args.part]}
    if args.json:
        from bot.cli.show import print_json

        print_json(terminal, parts)
    else:
        for name, part in parts.items():
            for key, value in leaves(part):
                print(f"{name}.yaml: {key} = {value}", file=terminal.out)
    return Exit.FINE


def _rules(config: Config, args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.show import print_json
    from bot.settings.describe import describe

    sentences = {rule.name: describe(rule) for rule in config.policy.rules}
    if args.json:
        print_json(terminal, sentences)
    else:
        print(
            "\n\n".join(sentences.values()) or "there are no rules: the bot only manages what it holds",
            file=terminal.out,
        )
    return Exit.FINE


def _hash(args: argparse.Namespace, terminal: Terminal) -> int:
    print(_config(args, terminal).config_hash, file=terminal.out)
    return Exit.FINE


def _diff(args: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 0 whether or not something differs: the answer is the list."""
    from bot.cli.show import print_json
    from bot.settings.config import Config
    from bot.settings.load import load_config
    from bot.settings.policy import Policy
    from bot.settings.reload import loosened
    from bot.settings.universe import Universe

    mine = _config(args, terminal)
    old, new = (Config(Policy(), Universe()), mine) if args.other is None else (mine, load_config(args.other))
    changes = dict(differences(as_document(old), as_document(new)))
    refused = loosened(old, new) if args.other is not None else []
    if args.json:
        rows = [{"key": key, "from": was, "to": now} for key, (was, now) in changes.items()]
        print_json(terminal, {"changes": rows, "refused_by_live_reload": refused})
        return Exit.FINE
    for key, (was, now) in changes.items():
        print(f"{key}: {was} -> {now}", file=terminal.out)
    if not changes:
        print("nothing differs", file=terminal.out)
    for line in refused:
        print(f"a live reload would refuse: {line}", file=terminal.out)
    return Exit.FINE


def _schema(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.settings.schema import text

    if args.out is None:
        terminal.out.write(text(args.file))
        return Exit.FINE
    try:
        args.out.write_text(text(args.file), encoding="utf-8")
    except OSError as error:
        raise StorageFailed(f"cannot write {args.out}: {error.strerror}") from error
    return Exit.FINE


def _config(args: argparse.Namespace, terminal: Terminal) -> Config:
    from bot.cli.place import config_of, settings_of

    return config_of(settings_of(args, terminal))


def as_document(config: Config) -> dict[str, Any]:
    """Both files as plain JSON values, as they are hashed."""
    return {"policy": config.policy.model_dump(mode="json"), "universe": config.universe.model_dump(mode="json")}


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every key with its value as text; rules by their names."""
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from leaves(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list) and node and all(isinstance(item, dict) for item in node):
        for number, item in enumerate(node):
            yield from leaves(item, f"{key}.{item.get('name', number)}")
    else:
        yield key, node if isinstance(node, str) else json.dumps(node, ensure_ascii=False)


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """`file: key`, what it was and what it is; `-` where it does not exist."""
    before, after = dict(leaves(old)), dict(leaves(new))
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key, "-"), after.get(key, "-")
        empty = now == "-" and was in {"[]", "{}"}  # its new entries stand in lines of their own
        if was != now and not empty:
            file, _, rest = key.partition(".")
            yield f"{file}.yaml: {rest}", (was, now)


VERB = Verb(
    "config",
    "the configuration as the bot understands it",
    "bot config show rules\nbot config hash\nbot config diff config.new\nbot config schema policy",
    _arguments,
    _run,
)
