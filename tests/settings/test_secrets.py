"""Secrets come from two places, show themselves to nobody, and are known in every spelling."""

from __future__ import annotations

import base64
import random
import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.snapshot import Environment
from bot.errors import ConfigError, GateRefused
from bot.settings.secrets import CREDENTIALS, PIECE, Secrets, read_secrets

DICE = random.Random(7)


def made_up(length: int) -> str:
    return "".join(DICE.choices(string.ascii_letters + string.digits + "+/", k=length))


NAME = f"organizations/{made_up(36)}/apiKeys/{made_up(36)}"
PEM = "-----BEGIN EC PRIVATE KEY-----\n" + "\n".join(made_up(64) for _ in range(3)) + "\n-----END EC PRIVATE KEY-----"
HOOK = f"https://hooks.example.com/services/{made_up(24)}?token={made_up(16)}"
ALL = Secrets(NAME, PEM, (HOOK,))
FORMS = ALL.redactions()


def credentials(folder: Path, mode: int = 0o600, **values: str) -> dict[str, str]:
    for name, value in values.items():
        (folder / name).write_text(value, "utf-8")
        (folder / name).chmod(mode)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def read(variables: dict[str, str], environment: Environment = Environment.PRODUCTION) -> Secrets:
    return read_secrets(variables, environment=environment)


def test_without_any_there_is_no_key_and_no_address() -> None:
    assert read({}) == Secrets(None, None, ())
    assert read({"COINBASE_API_KEY": " ", "ALERT_WEBHOOK_URL": " , "}) == Secrets(None, None, ())
    assert not Secrets(key_name=NAME).has_key


def test_variables_are_taken_with_escaped_line_breaks() -> None:
    variables = {"COINBASE_API_KEY": NAME, "COINBASE_API_SECRET": PEM.replace("\n", "\\n"), "ALERT_WEBHOOK_URL": HOOK}
    assert read(variables) == ALL


def test_credential_files_win_over_variables(tmp_path: Path) -> None:
    given_files = credentials(tmp_path, coinbase_api_key=NAME + "\n", coinbase_api_secret=PEM + "\n")
    variables = {"COINBASE_API_KEY": "other", "COINBASE_API_SECRET": "other", "ALERT_WEBHOOK_URL": HOOK}
    assert read(variables | given_files) == ALL


def test_several_addresses_are_separated_by_commas() -> None:
    assert read({"ALERT_WEBHOOK_URL": "https://a.example.com/x, https://b.example.com/y"}).webhook_hosts == (
        "a.example.com",
        "b.example.com",
    )


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o666])
def test_production_refuses_a_key_file_that_others_can_reach(tmp_path: Path, mode: int) -> None:
    variables = credentials(tmp_path, mode, coinbase_api_secret=PEM)
    with pytest.raises(GateRefused) as caught:
        read(variables)
    (reason,) = caught.value.reasons
    assert f"mode {mode:04o} lets others at it" in reason
    assert read(variables, Environment.STAGING).private_key == PEM


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_production_takes_a_key_file_as_systemd_leaves_it(tmp_path: Path, mode: int) -> None:
    assert read(credentials(tmp_path, mode, coinbase_api_secret=PEM)).private_key == PEM


def test_a_credential_that_cannot_be_read_is_not_taken_for_absent(tmp_path: Path) -> None:
    (tmp_path / "coinbase_api_key").mkdir()
    (tmp_path / "coinbase_api_secret").write_bytes(b"\xff\xfe")
    (tmp_path / "alert_webhook_url").write_bytes(b"x" * 70_000)
    with pytest.raises(ConfigError) as caught:
        read({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    said = [line.removeprefix(f"{tmp_path}/") for line in caught.value.problems]
    assert said == [
        "coinbase_api_key: cannot be read: Is a directory",
        "coinbase_api_secret: is not text",
        "alert_webhook_url: is larger than 65536 bytes, which no credential is",
    ]


def test_a_wrong_address_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"ALERT_WEBHOOK_URL": f"{HOOK},http://hooks.example.com/sesame,https://127.0.0.1/x"})
    assert list(caught.value.problems) == [
        "ALERT_WEBHOOK_URL: address 2 must be encrypted: https",
        "ALERT_WEBHOOK_URL: address 3 is on this machine, which only BOT_ALLOW_TEST_VENUE=1 permits",
    ]


def test_an_address_on_this_machine_is_for_rehearsals() -> None:
    variables = {"ALERT_WEBHOOK_URL": "http://127.0.0.1:9000/hook"}
    found = read_secrets(variables, environment=Environment.STAGING, allow_test_venue=True)
    assert found.webhook_hosts == ("127.0.0.1",)


def test_nothing_shows_when_secrets_are_printed() -> None:
    for text in (repr(ALL), str(ALL), f"{ALL}", f"{[ALL]}"):
        assert "Secrets(key=set, webhooks=1)" in text
        assert not [form for form in FORMS if form in text]


SPELLINGS = {
    "raw": lambda text: text,
    "escaped": lambda text: text.replace("\n", "\\n"),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "percent": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 after one byte": lambda text: base64.b64encode(b":" + text.encode()).decode(),
    "base64 after two bytes": lambda text: base64.b64encode(b"u:" + text.encode()).decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


def leaks(text: str, forms: tuple[str, ...] = FORMS) -> bool:
    """Whether sixteen characters of a secret, in any spelling, are left after hiding what is known."""
    for form in forms:
        text = text.replace(form, "#")
    return len(max(text.split("#"), key=len)) >= PIECE


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [NAME, PEM, HOOK.removeprefix("https://hooks.example.com")])
def test_a_secret_is_known_in_every_spelling(secret: str, spelling: str) -> None:
    text = SPELLINGS[spelling](secret)
    assert not leaks(text)
    assert not leaks(text[7:-7])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_of_signs_is_known_in_both_base64_alphabets(spelling: str) -> None:
    """Its base64 is all plus and slash, which addresses write as minus and underscore."""
    signs = ">>>???" * 12
    assert not leaks(SPELLINGS[spelling](signs), Secrets(private_key=signs).redactions())


@given(st.data())
def test_every_piece_of_sixteen_characters_is_known(data: st.DataObject) -> None:
    secret = data.draw(st.sampled_from([NAME, PEM]))
    at = data.draw(st.integers(0, len(secret) - PIECE))
    assert secret[at : at + PIECE] in FORMS


def test_the_longest_form_comes_first() -> None:
    """A shorter one replaced first would leave the rest of the longer one standing."""
    assert [len(form) for form in FORMS] == sorted((len(form) for form in FORMS), reverse=True)
    assert min(map(len, FORMS)) >= 8


def test_the_host_of_an_address_may_be_named_in_a_log() -> None:
    assert not [form for form in FORMS if form in "alert delivered to hooks.example.com"]


def test_every_secret_has_its_credential_file() -> None:
    assert set(CREDENTIALS.values()) == {"coinbase_api_key", "coinbase_api_secret", "alert_webhook_url"}
