"""The certificate is good unless it is bad on purpose, and then nobody who looks gets through."""

from __future__ import annotations

import ssl

import pytest

from simulator.server import Simulator, SimulatorConfig
from simulator.tls import Flaw
from tests.simulator.raw import ask, feed


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        (Flaw.EXPIRED, "certificate has expired"),
        (Flaw.WRONG_HOST, "not valid for '127.0.0.1'"),
        (Flaw.UNTRUSTED, "unable to get local issuer certificate|self-signed certificate"),
        (Flaw.SELF_SIGNED, "self-signed certificate"),
    ],
)
def test_a_bad_certificate_is_bad_on_both_wires(flaw: Flaw, reason: str) -> None:
    with Simulator(SimulatorConfig(products=1, flaw=flaw)) as sim:
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            ask(sim, "GET", "/time")
        with pytest.raises(ssl.SSLCertVerificationError, match=reason), feed(sim):
            pass
