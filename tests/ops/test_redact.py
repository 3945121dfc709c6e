"""Nothing secret and no line break reaches a log line, an alert or a file."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from io import StringIO

from bot.ops.log import make_log
from bot.ops.redact import HIDDEN, TEXT_LIMIT, Redactor

SECRET = "s3cr3t-Value-of-the-key-0123456789"
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\nabcdef==\n-----END EC PRIVATE KEY-----"
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJvcmdhbml6YXRpb25zIn0.c2lnbmF0dXJl"


def lines(as_json: bool = True):
    stream = StringIO()
    log = make_log(stream, Redactor([SECRET, base64.b64encode(SECRET.encode()).decode()]), lambda: NOW, as_json=as_json)
    return log, stream


def test_known_secrets_disappear_in_every_listed_form():
    redactor = Redactor([SECRET])
    assert SECRET not in redactor.text(f"before {SECRET} after")
    assert redactor.text(f"a {SECRET} b") == f"a {HIDDEN} b"
    assert redactor.text(f"{SECRET}, {SECRET}{SECRET}") == f"{HIDDEN}, {HIDDEN}{HIDDEN}"


def test_keys_tokens_and_headers_are_recognised_by_their_shape():
    text = Redactor().text(f"{PEM} {JWT} Authorization: Bearer abcdefgh12345678")
    for piece in ("MHcCAQEEIB", "eyJzdWIi", "abcdefgh12345678"):
        assert piece not in text


def test_half_a_pem_block_is_still_a_pem_block():
    assert "MHcC" not in Redactor().text("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB")


def test_values_under_telling_keys_are_hidden_whatever_they_are():
    assert Redactor().value("api_secret", ["x"]) == HIDDEN
    assert Redactor().value("fields", {"jwt": "abc", "price": 7}) == {"jwt": HIDDEN, "price": 7}


def test_a_log_line_is_one_line_whatever_the_exchange_sends():
    log, stream = lines()
    log.warning("exchange.answered", body="a\nb\r\x1b[31mred\u2028c", size=3)
    assert stream.getvalue().count("\n") == 1
    found = json.loads(stream.getvalue())
    assert found["event"] == "exchange.answered"
    assert found["size"] == 3
    assert "\x1b" not in found["body"]
    assert found["ts"] == "2026-01-01T12:00:00.000000Z"


def test_pretty_lines_are_single_and_clean_too():
    log, stream = lines(as_json=False)
    log.info("order.submitted", detail=f"multi\nline {SECRET}")
    assert stream.getvalue().count("\n") == 1
    assert SECRET not in stream.getvalue()


def test_tracebacks_are_cleaned_like_everything_else():
    log, stream = lines()
    log.error("cycle.failed", exc_info=ValueError(f"failed with {SECRET}"))
    assert SECRET not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_long_bodies_are_cut():
    assert len(Redactor().text("x" * 100_000)) < TEXT_LIMIT + 50


def test_a_log_that_cannot_be_written_does_not_raise():
    class Full(StringIO):
        def write(self, _text: str) -> int:
            raise OSError("no space left on device")

    make_log(Full(), Redactor(), lambda: NOW, as_json=True).error("order.lost")
