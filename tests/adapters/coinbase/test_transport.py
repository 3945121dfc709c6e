"""What a hostile or broken server can send must end in a typed failure that says whether the request left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.adapters.coinbase.failures import CallFailed, HttpRefused, NotSent, Torn, Unreadable
from bot.adapters.coinbase.sdk import Wire
from bot.adapters.coinbase.strict_json import Document
from bot.adapters.coinbase.tls import trusted_context
from bot.adapters.coinbase.transport import Call, Deadlines
from bot.errors import ConfigError
from tests.adapters.coinbase.keys import credentials
from tests.adapters.coinbase.tls_server import Connection, Reply, Request, Server, tls_server
from tests.faults.old_tls import old_server

LIMITS = Deadlines(connect_s=1.0, read_s=0.5, total_s=1.5, max_body_bytes=200_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with tls_server(tmp_path, lambda connection, _: connection.json({"fine": True})) as running:
        yield running


def wire(server: Server, limits: Deadlines = LIMITS, may_post: bool = True, signed: bool = True) -> Wire:
    return Wire(server.host, credentials() if signed else None, trusted_context(server.ca_file), limits, may_post)


def get(server: Server, reply: Reply, limits: Deadlines = LIMITS) -> Document:
    server.reply = reply
    return wire(server, limits, signed=False).get(Call(time.monotonic() + limits.total_s), "/time", {"a": ["1", "2"]})


def raw(content: bytes, close: bool = True) -> Reply:
    def reply(connection: Connection, _: Request) -> None:
        connection.send(content)
        if close:
            connection.close()

    return reply


def test_a_plain_answer_is_read_with_exact_numbers(server: Server) -> None:
    document = get(server, lambda connection, _: connection.answer('{"price": 0.1, "count": 12345678901234567890}'))
    assert str(document["price"]) == "0.1"
    assert document["count"] == 12345678901234567890
    request = server.requests[-1]
    assert (request.method, request.path, request.query) == ("GET", "/api/v3/brokerage/time", "a=1&a=2")
    assert request.headers["cache-control"] == "no-cache"
    assert "authorization" not in request.headers


def ok(body: bytes, *headers: str, kind: str = "application/json", sized: bool = True) -> bytes:
    """A 200 with this body; without a size its end is the close of the connection."""
    lines = [f"Content-Type: {kind}", *headers, *([f"Content-Length: {len(body)}"] if sized else [])]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body


UNREADABLE = {
    "html": ok(b"<html>hi</html>", kind="text/html"),
    "html that calls itself json": ok(b"<html>"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "partial content": ok(b"{}").replace(b"200 OK", b"206 Partial"),
    "empty": ok(b""),
    "cut where only the close says so": ok(b'{"orders":[],"has_next', sized=False),
    "NaN": ok(b'{"a":NaN}'),
    "Infinity": ok(b'{"a":-Infinity}'),
    "huge number": ok(b'{"a":1E400}'),
    "endless number": ok(b'{"a":' + b"1" * 5000 + b"}"),
    "twice the same key": ok(b'{"a":1,"a":2}'),
    "a list": ok(b"[]"),
    "two documents": ok(b"{}{}"),
    "byte order mark": ok(b"\xef\xbb\xbf{}"),
    "latin 1": ok(b'{"a":"\xe9"}'),
    "declared latin 1": ok(b"{}", kind="application/json; charset=latin-1"),
    "gzip": ok(b"{}", "Content-Encoding: gzip"),
    "deep nesting": ok(b'{"a":' * 30_000),
    "larger than allowed": ok(b'{"a":"' + b"x" * 250_000 + b'"}', sized=False),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_is_not_one_strict_json_object_is_never_believed(server: Server, content: bytes) -> None:
    with pytest.raises(Unreadable):
        get(server, raw(content))


TORN = {
    "short of its content length": ok(b'{"a":1}', "Content-Length: 99", sized=False),
    "chunks without an end": ok(b'7\r\n{"a":1}\r\n', "Transfer-Encoding: chunked", sized=False),
    "closed without a word": b"",
    "half a status line": b"HTTP/1.1 2",
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
}


@pytest.mark.parametrize("content", TORN.values(), ids=TORN.keys())
def test_an_answer_torn_in_the_middle_proves_nothing(server: Server, content: bytes) -> None:
    with pytest.raises(Torn):
        get(server, raw(content))


def test_a_reset_after_the_request_is_torn_and_not_sent_again(server: Server) -> None:
    with pytest.raises(Torn):
        get(server, lambda connection, _: connection.reset())
    assert len(server.requests) == 1


def test_a_server_that_never_answers_is_given_up(server: Server) -> None:
    began = time.monotonic()
    with pytest.raises(Torn):
        get(server, lambda connection, _: connection.hang())
    assert time.monotonic() - began < 1.5


def test_a_body_that_drips_is_cut_off_at_the_deadline(server: Server) -> None:
    def drip(connection: Connection, _: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
        while not connection.stop.wait(0.1):
            connection.send(b" ")

    began = time.monotonic()
    with pytest.raises(Torn, match="deadline"):
        get(server, drip)
    assert time.monotonic() - began < 2.5


def test_headers_that_drip_end_when_the_waiting_side_cuts_the_connection(server: Server) -> None:
    def drip(connection: Connection, _: Request) -> None:
        while not connection.stop.wait(0.05):
            connection.send(b"H")

    server.reply = drip
    client = wire(server)
    call = Call(time.monotonic() + 1.5)
    threading.Timer(0.4, client.abort).start()
    began = time.monotonic()
    with pytest.raises(Torn):
        client.get(call, "/time", {})
    assert time.monotonic() - began < 1.2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_error_and_never_followed(server: Server, status: int) -> None:
    target = f"https://{server.host}/elsewhere"
    with pytest.raises(HttpRefused) as refused:
        get(server, lambda connection, _: connection.answer("", status, Location=target))
    assert refused.value.status == status
    assert len(server.requests) == 1


def test_a_refusal_keeps_status_reason_and_retry_after(server: Server) -> None:
    body = '{"error":"NOT_FOUND","error_details":"order with this orderID was not found","message":"same"}'
    with pytest.raises(HttpRefused) as refused:
        get(server, lambda connection, _: connection.answer(body, 404, Retry_After="7"))
    assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (404, "NOT_FOUND", "7")
    assert refused.value.details == "order with this orderID was not found"


def test_kilobytes_of_html_are_shown_as_one_short_line(server: Server) -> None:
    with pytest.raises(HttpRefused) as refused:
        get(server, lambda connection, _: connection.answer("<html>\n" + "x" * 90_000, 429, "text/html"))
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


def test_a_certificate_for_another_host_is_refused_before_a_byte_leaves(tmp_path: Path) -> None:
    with tls_server(tmp_path, lambda connection, _: connection.json({}), name="exchange.example") as server:
        with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
            wire(server).get(Call(time.monotonic() + 2), "/time", {})
        assert server.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused_before_a_byte_leaves(tmp_path: Path) -> None:
    with tls_server(tmp_path, lambda connection, _: connection.json({}), trusted=False) as server:
        with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
            wire(server).get(Call(time.monotonic() + 2), "/time", {})
        assert server.requests == []


def test_an_old_version_of_tls_is_refused_before_a_byte_leaves(tmp_path: Path) -> None:
    """A server that offers nothing newer than 1.1 might be anybody who stands between us and the venue."""
    with old_server(tmp_path) as old:
        assert old.offered() == "TLSv1.1"
        with pytest.raises(NotSent, match="PROTOCOL_VERSION"):
            wire(Server(old.port, old.ca_file)).get(Call(time.monotonic() + 2), "/time", {})
        assert old.versions == []


def test_an_unreadable_ca_file_is_a_configuration_problem(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="COINBASE_CA_FILE"):
        trusted_context(tmp_path / "ca.pem")


def test_a_refused_connection_is_certainly_not_sent(server: Server) -> None:
    lonely = Server(1, server.ca_file)
    with pytest.raises(NotSent):
        wire(lonely).post(Call(time.monotonic() + 2), "/orders", {})


def test_proxies_bundles_netrc_and_key_logs_of_the_environment_are_ignored(server: Server, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password something")
    (tmp_path / "empty.pem").write_text("")
    planted = {
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "empty.pem"),
        "SSL_CERT_FILE": str(tmp_path / "empty.pem"),
        "SSLKEYLOGFILE": str(tmp_path / "keys.log"),
        "NETRC": str(tmp_path / "netrc"),
    }
    before = {name: os.environ.get(name) for name in planted}
    os.environ.update(planted)
    try:
        get(server, lambda connection, _: connection.json({}))
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    assert "authorization" not in server.requests[-1].headers
    assert not (tmp_path / "keys.log").exists()


def test_cookies_are_not_kept(server: Server) -> None:
    server.reply = lambda connection, _: connection.answer("{}", Set_Cookie="tracking=1; Path=/")
    client = wire(server)
    for _ in range(2):
        client.get(Call(time.monotonic() + 2), "/time", {})
    assert "cookie" not in server.requests[-1].headers


def test_one_connection_serves_several_calls_but_not_after_a_pause(server: Server) -> None:
    client = wire(server, Deadlines(1.0, 0.5, 1.5, 200_000, idle_s=0.2))
    for _ in range(3):
        client.get(Call(time.monotonic() + 2), "/time", {})
    assert server.connections == 1
    time.sleep(0.3)
    client.post(Call(time.monotonic() + 2), "/orders", {"a": "b"})
    assert server.connections == 2


def test_a_connection_is_not_used_again_after_an_error(server: Server) -> None:
    client = wire(server)
    server.reply = lambda connection, _: connection.answer("oops", 502)
    with pytest.raises(HttpRefused):
        client.get(Call(time.monotonic() + 2), "/time", {})
    server.reply = lambda connection, _: connection.json({})
    client.get(Call(time.monotonic() + 2), "/time", {})
    assert server.connections == 2


def test_a_connection_that_gave_nonsense_is_not_used_again(server: Server) -> None:
    client = wire(server)
    server.reply = lambda connection, _: connection.answer("<html>")
    with pytest.raises(Unreadable):
        client.get(Call(time.monotonic() + 2), "/time", {})
    server.reply = lambda connection, _: connection.json({})
    client.get(Call(time.monotonic() + 2), "/time", {})
    assert server.connections == 2


def test_a_session_for_readers_cannot_post(server: Server) -> None:
    with pytest.raises(NotSent, match="no POST"):
        wire(server, may_post=False).post(Call(time.monotonic() + 2), "/orders", {})
    assert server.requests == []


def test_nothing_leaves_once_nobody_waits_any_more(server: Server) -> None:
    call = Call(time.monotonic() + 2)
    assert call.give_up() is False
    with pytest.raises(NotSent, match="given up"):
        wire(server).post(call, "/orders", {})
    assert server.requests == []


def test_a_passed_deadline_sends_nothing(server: Server) -> None:
    with pytest.raises(CallFailed):
        wire(server).post(Call(time.monotonic() - 1), "/orders", {})
    assert server.requests == []
