"""YAML that would mean something else, never end, or hold a secret is refused by name and line."""

from __future__ import annotations

import base64
import random
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings import strict_yaml
from bot.settings.strict_yaml import DEPTH_LIMIT, NODE_LIMIT, SIZE_LIMIT
from tests.settings.texts import POLICY, UNIVERSE, refused

DICE = random.Random(11)


def said(text: str | bytes) -> list[str]:
    document = strict_yaml.read("policy.yaml", text if isinstance(text, bytes) else text.encode())
    return [str(problem) for problem in document.problems]


def value(text: str) -> object:
    document = strict_yaml.read("policy.yaml", f"key: {text}\n".encode())
    assert document.problems == []
    return document.value["key"]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2", 2),
        ("-3", -3),
        ("0", 0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("word", "word"),
        ("BTC-USD", "BTC-USD"),
        ("1INCH-USD", "1INCH-USD"),
        ("'2024-01-01'", "2024-01-01"),
        ('"yes"', "yes"),
        ("'0777'", "0777"),
        ("[1, a]", [1, "a"]),
        ("{a: 1}", {"a": 1}),
        ("{1: x}", {1: "x"}),
        ("{'1': x}", {"1": "x"}),
    ],
)
def test_a_value_is_what_it_looks_like(text: str, read: object) -> None:
    found = value(text)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("2.0", "2"),
        ("2.50", "2.5"),
        ("0.1", "0.1"),
        ("-0.0", "0"),
        ("100.000", "100"),
        ("0." + "1" * 24, "0." + "1" * 24),
    ],
)
def test_a_number_keeps_its_digits_and_drops_only_zeros_that_say_nothing(text: str, digits: str) -> None:
    found = value(text)
    assert isinstance(found, Decimal)
    assert str(found) == digits


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *[(word, "may read as true or false") for word in ("yes", "No", "ON", "off", "y", "N", "True", "FALSE")],
        *[(word, "write null") for word in ("Null", "NULL")],
        *[
            (date, "reads as a date")
            for date in ("2024-01-01", "2024-1-1", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00")
        ],
        *[(clock, "base-60") for clock in ("1:30", "12:30:45", "190:20:30.15", "-1:30")],
        *[(odd, "octal, hexadecimal or binary") for odd in ("010", "0o17", "0x1F", "0b101", "00", "-07")],
        *[
            (number, "must be a plain decimal number")
            for number in (
                "1_000",
                "1e5",
                "1.5e-3",
                "+5",
                ".5",
                "5.",
                ".inf",
                "-.INF",
                ".nan",
                "1,000",
                "1" * 25,
                "1.2.3",
            )
        ],
        ("<<", "special meaning"),
        ("=", "special meaning"),
    ],
)
def test_what_yaml_would_read_differently_is_refused(text: str, why: str) -> None:
    """010 as 8, 1:30 as 90, yes as true, 1_000 as 1000: no limit may depend on who reads it."""
    (problem,) = said(f"a: 1\nkey: {text}\n")
    assert problem.startswith("policy.yaml:2: key: ")
    assert why in problem


def test_a_key_is_held_to_the_same() -> None:
    """`on:` and `no:` as keys are true and false to other readers."""
    assert all(line.startswith("policy.yaml:1: on") for line in said("on: 1\n"))
    assert "may read as true or false" in said("on: 1\n")[0]
    assert "a key must be a plain word or number" in said("? [a, b]\n: 1\n")[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x 1\n", "policy.yaml:1: a: anchors (&name) are not allowed"),
        ("a: &x {b: 1}\n", "policy.yaml:1: a: anchors (&name) are not allowed"),
        ("&x a: 1\n", "policy.yaml:1: anchors (&name) are not allowed"),
        ("a: 1\nb: *x\n", "policy.yaml:2: b: aliases (*name) are not allowed"),
        ("a: 1\n*x : 2\n", "policy.yaml:2: aliases (*name) are not allowed"),
        ("a: !!str 1\n", "policy.yaml:1: a: tags (!name) are not allowed"),
        ("a: !!python/object/apply:os.system [id]\n", "policy.yaml:1: a: tags (!name) are not allowed"),
        ("a: !mine {b: 1}\n", "policy.yaml:1: a: tags (!name) are not allowed"),
        ("!!binary a: 1\n", "policy.yaml:1: tags (!name) are not allowed"),
        ("a: 1\nb: 2\na: 3\n", "policy.yaml:3: a: is written twice (first on line 1)"),
        ("a:\n  b: 1\n  b: 1\n", "policy.yaml:3: a.b: is written twice (first on line 2)"),
        ('a: {b: 1, "b": 1}\n', "policy.yaml:1: a.b: is written twice (first on line 1)"),
    ],
)
def test_references_and_duplicates_are_refused(text: str, why: str) -> None:
    assert any(problem.startswith(why) for problem in said(text)), said(text)


def test_the_first_of_two_equal_keys_is_not_used_in_silence() -> None:
    """Were the second to win, a cap could be lifted by a line pasted at the end."""
    found = refused(b"risk:\n  max_total_pct: 5\n  max_total_pct: 50\n")
    assert found == ["policy.yaml:3: risk.max_total_pct: is written twice (first on line 2)"]


def bomb() -> str:
    lines = ["a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (bomb(), "aliases (*name) are not allowed"),
        ("a: &a [*a]\n", "aliases (*name) are not allowed"),
        ("[" * 100_000, f"it is deeper than {DEPTH_LIMIT} levels"),
        ("{a: " * 100_000, f"it is deeper than {DEPTH_LIMIT} levels"),
        ("? " * 100_000, f"it is deeper than {DEPTH_LIMIT} levels"),
        ("- " * 100_000, f"it is deeper than {DEPTH_LIMIT} levels"),
        ("[" + "1," * 60_000 + "]", f"it is over {NODE_LIMIT} values"),
        ("a: 1\n" * 60_000, f"it is over {NODE_LIMIT} values"),
        ("#" * (SIZE_LIMIT + 1), f"is larger than {SIZE_LIMIT} bytes"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: 1\nb: \xe9\n", "policy.yaml:2: is not UTF-8 text"),
        ("a: \x07", "holds characters that may not stand in YAML"),
        ("%TAG ! tag:x,2000:\n--- !y 1\n", "tags (!name) are not allowed"),
    ],
    ids=lambda item: str(item)[:12],
)
def test_a_file_made_to_hurt_is_refused_quickly(text: str | bytes, why: str) -> None:
    assert any(why in problem for problem in said(text)), said(text)[:3]


def test_a_file_as_large_as_allowed_is_read() -> None:
    assert said("a: 1\n" + "#" * (SIZE_LIMIT - 6) + "\n") == []


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_at_all_make_it_crash(data: bytes) -> None:
    strict_yaml.read("policy.yaml", data)


WHOLE = b"""risk:
  max_total_pct: 25
  max_per_asset_pct: 5
execution: {taker_fallback: false, on_shutdown: cancel}
rules:
  - name: buy
"""


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_what_is_left_of_a_half_written_file_is_whole_or_refused(cut: int) -> None:
    """A cap of 25 cut to 2 is still a number, and a wait of 240 cut to 24 is a loosened limit."""
    document = strict_yaml.read("policy.yaml", WHOLE[:cut])
    assert document.problems or is_beginning(document.value, strict_yaml.read("policy.yaml", WHOLE).value)


@pytest.mark.parametrize("text", ["a: 1\n", "a: 1\r\n", "{a: 1}", "a: [1]", "a: 1\n# end"])
def test_a_file_may_end_where_nothing_can_be_missing(text: str) -> None:
    assert said(text) == []
    assert said(text[:-1]) != [] or text.endswith("\r\n")


def is_beginning(part: object, whole: object) -> bool:
    """Whether nothing in `part` differs from `whole`, though the rest may be missing."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_beginning(item, whole[key]) for key, item in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(is_beginning(one, other) for one, other in zip(part, whole, strict=False))
    return part is None or part == whole


def made_up(length: int) -> str:
    return base64.b64encode(DICE.randbytes(length)).decode()


def made_up_id() -> uuid.UUID:
    return uuid.UUID(int=DICE.getrandbits(128))


KEY = made_up(60)
SECRETS = {
    "a private key (PEM block)": f'"-----BEGIN EC PRIVATE KEY-----\\n{KEY}\\n-----END EC PRIVATE KEY-----\\n"',
    "a JSON web token": f"eyJhbGciOiJFUzI1NiJ9.{made_up(30).replace('+', '-').replace('/', '_')}.sig",
    "a CDP key name": f"organizations/{made_up_id()}/apiKeys/{made_up_id()}",
    "an address with a token in it": "https://hooks.slack.com/services/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",
    "a long base64 or hex code": made_up(48),
}
MORE = [
    ("an address with a token in it", "https://discord.com/api/webhooks/1234567890/abcDEF123"),
    ("an address with a token in it", "https://api.telegram.org/bot123456:AAbbCC/sendMessage"),
    ("an address with a token in it", "https://example.com/notify?token=abc"),
    ("an address with a token in it", "https://user:pass@example.com/"),
    ("an address with a token in it", "https://example.com/x/aB3dE5fG7hJ9kL1mN3"),
    ("a long base64 or hex code", DICE.randbytes(32).hex()),
    ("a long base64 or hex code", base64.urlsafe_b64encode(DICE.randbytes(48)).decode()),
]


@pytest.mark.parametrize(("kind", "secret"), [*SECRETS.items(), *MORE])
@pytest.mark.parametrize(
    "place", ["risk: {{max_total_pct: {}}}", "x: 1\ny: {}", "# {}\nrules: []", "{}: 1", "- {}", "a: [{}"]
)
def test_a_secret_is_refused_by_file_and_line_and_never_shown(kind: str, secret: str, place: str) -> None:
    text = place.format(secret)
    line = next(number for number, row in enumerate(text.splitlines(), start=1) if secret in row)
    found = refused(text.encode())
    assert any(row.startswith(f"policy.yaml:{line}: ") and f"looks like {kind}" in row for row in found), found
    core = secret.strip('"')
    pieces = {core[at : at + 12] for at in range(len(core) - 11)} - {"hooks.slack."}
    assert not [piece for piece in pieces for row in found if piece in row]


def test_a_key_over_several_lines_is_refused_and_never_shown() -> None:
    lines = [made_up(48) for _ in range(3)]
    block = "\n".join(f"    {line}" for line in ["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    found = refused(POLICY, UNIVERSE + b"themes:\n  a: |\n" + block.encode() + b"\n")
    assert all(row.startswith("universe.yaml:") for row in found)
    assert "a private key (PEM block)" in found[0]
    assert not [line for line in lines for row in found if line[:12] in row]


@pytest.mark.parametrize("key", ["api_secret", "password", "WEBHOOK_URL", "auth-token", "private_key", "api_key"])
def test_a_key_that_names_a_secret_is_refused_whatever_it_holds(key: str) -> None:
    (problem,) = said(f"{key}: hunter2\n")
    assert problem.startswith(f"policy.yaml:1: {key}: looks like a secret by its name")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "text",
    [
        "note: https://www.coinbase.com/blog/coinbase-will-suspend-trading-for-some-assets-in-may",
        "watch_file: /var/lib/bulwark/inbox/flags-from-the-other-program/latest/flags.json",
        "about: A liquid product that fell, turned and is being bought again, with volume, twice.",
        "portfolio_id: 12345678-1234-1234-1234-123456789012",
        "stop_entries: [Advanced Trade, Coinbase Exchange]",
        "products: [BTC-USD, ETH-USD, SOL-USD, XRP-USD, ADA-USD, LINK-USD]",
    ],
)
def test_ordinary_words_are_not_taken_for_secrets(text: str) -> None:
    assert said(f"{text}\n") == []
