"""A test that could reach a real exchange could trade on it."""

from __future__ import annotations

import socket

import pytest


# Datagram sockets: should the guard ever fail, connecting one still sends nothing.
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")])
def test_no_test_can_reach_another_machine(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sock, pytest.raises(PermissionError, match=host):
        sock.connect((host, 443))


def test_no_test_can_ask_for_another_machine_by_name() -> None:
    with pytest.raises(PermissionError, match=r"exchange\.invalid"):
        socket.getaddrinfo("exchange.invalid", 443)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
