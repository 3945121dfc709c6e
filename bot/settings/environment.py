"""The environment variables and flags of one process, parsed once; every problem at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from bot.domain.snapshot import Environment, Mode
from bot.domain.value import Value
from bot.errors import ConfigError
from bot.settings.addresses import HTTP, WEBSOCKET, Address, parse_address

E = TypeVar("E", Environment, Mode)

COINBASE_REST_URL: Final = "https://api.coinbase.com"
COINBASE_WS_URL: Final = "wss://advanced-trade-ws.coinbase.com"
COINBASE_WS_USER_URL: Final = "wss://advanced-trade-ws-user.coinbase.com"
COINBASE_STATUS_URL: Final = "https://status.coinbase.com/api/v2/summary.json"
HTTP_PORT: Final = 9109
OURS: Final = "BOT_"
KNOWN: Final = (
    "BOT_MODE", "BOT_CONFIG_DIR", "BOT_DATA_DIR", "BOT_ALLOW_TEST_VENUE", "BOT_TEST_CLOCK_URL", "BOT_HTTP_PORT",
)  # fmt: skip
"""Every variable that begins with `BOT_`; another one is a misspelt one, and its setting would be ignored."""


class Venue(Enum):
    """Whose exchange the addresses name. OTHER is a public host that is not Coinbase's."""

    COINBASE = "coinbase"
    TEST = "test"
    OTHER = "other"


class Settings(Value):
    """What the environment and the flags say. Addresses carry no trailing slash.

    ca_file, test_clock_url: only ever set with a test venue. http_port: 0 is off.
    """

    environment: Environment = Environment.STAGING
    mode: Mode = Mode.PAPER
    config_dir: Path = Path("config")
    data_dir: Path = Path("data")
    venue: Venue = Venue.COINBASE
    rest_url: str = COINBASE_REST_URL
    ws_url: str = COINBASE_WS_URL
    ws_user_url: str = COINBASE_WS_USER_URL
    status_url: str = COINBASE_STATUS_URL
    ca_file: Path | None = None
    allow_test_venue: bool = False
    test_clock_url: str | None = None
    http_port: int = HTTP_PORT

    @property
    def state_dir(self) -> Path:
        """The folder of this env and mode, which nothing else reads."""
        return self.data_dir / f"{self.environment.value}-{self.mode.value}"

    @property
    def kill_file(self) -> Path:
        """Its existence halts every mode."""
        return self.data_dir / "KILL_SWITCH"


@dataclass(slots=True)
class _Reader:
    """Reads variables one by one and keeps what is wrong with each."""

    variables: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """The variable; empty counts as unset."""
        return self.variables.get(name, "").strip() or None

    def refuse(self, name: str, why: str) -> None:
        self.problems.append(f"{name}: {why}")

    def choice(self, name: str, kind: type[E], default: E, given: str | None = None) -> E:
        """One of an Enum's values. An empty variable is a mistake here: it decides what may be traded."""
        text = self.variables.get(name, default.value) if given is None else given
        allowed = [member.value for member in kind]
        if text in allowed:
            return kind(text)
        near = difflib.get_close_matches(text.strip().lower(), allowed, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        self.refuse(name, f"must be one of {', '.join(allowed)}, was {text[:40]!r}{hint}")
        return default

    def flag(self, name: str) -> bool:
        text = self.text(name)
        if text not in {None, "0", "1"}:
            self.refuse(name, "must be 1 or unset")
        return text == "1"

    def port(self, name: str, default: int) -> int:
        text = self.text(name) or str(default)
        if text.isascii() and text.isdigit() and int(text) <= 65535:
            return int(text)
        self.refuse(name, f"must be a port from 0 (off) to 65535, was {text[:40]!r}")
        return default

    def address(self, name: str, default: str, schemes: frozenset[str], *, test: bool, bare: bool = False) -> Address:
        """The address of a variable, or the default; a refused one is noted and comes back without a host."""
        text = (self.text(name) or default).rstrip("/")
        address = parse_address(text, schemes, allow_loopback=test)
        if isinstance(address, str):
            self.refuse(name, address)
        elif bare and text.count("/") > 2:
            self.refuse(name, "must be host and port only, without a path")
        elif "?" in text:
            self.refuse(name, "must not hold a query (?)")
        else:
            return address
        return Address(default, "", "", loopback=False)


def read_settings(
    variables: Mapping[str, str],
    *,
    mode: str | None = None,
    config_dir: Path | None = None,
    data_dir: Path | None = None,
) -> Settings:
    """The settings of one process; the three flags win over their variables.

    Raises: ConfigError naming every variable that cannot be used, and why.
    """
    read = _Reader(variables)
    for name, why in unknown(variables).items():
        read.refuse(name[:80], why)
    test = read.flag("BOT_ALLOW_TEST_VENUE")
    rest, ws, ws_user, status = _venue_addresses(read, test=test)
    venue = _venue(read, {"REST": rest, "WS": ws, "WS_USER": ws_user, "STATUS": status})
    settings = Settings(
        environment=read.choice("ENV", Environment, Environment.STAGING),
        mode=read.choice("BOT_MODE" if mode is None else "--mode", Mode, Mode.PAPER, mode),
        config_dir=config_dir or Path(read.text("BOT_CONFIG_DIR") or "config"),
        data_dir=data_dir or Path(read.text("BOT_DATA_DIR") or "data"),
        venue=venue,
        rest_url=rest.url,
        ws_url=ws.url,
        ws_user_url=ws_user.url,
        status_url=status.url,
        ca_file=_ca_file(read, venue),
        allow_test_venue=test,
        test_clock_url=_clock_url(read, venue),
        http_port=read.port("BOT_HTTP_PORT", HTTP_PORT),
    )
    if read.problems:
        raise ConfigError(read.problems)
    return settings


def unknown(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Each variable that begins with `BOT_` and is none of ours, and what is wrong: BOT_MDOE=live would run on paper.

    Empty ones count as unset.
    """
    names = (name for name, value in sorted(variables.items()) if name.startswith(OURS) and value.strip())
    return {name: _nearest(name) for name in names if name not in KNOWN}


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"did you mean {near[0]}?" if near else f"those are {', '.join(KNOWN)}; unset it"
    return f"is no variable of this bot; {hint}"


def _venue_addresses(read: _Reader, *, test: bool) -> tuple[Address, Address, Address, Address]:
    """REST, market feed, user feed, status page.

    Beside a test venue an address that is not given is never Coinbase's: the feeds and the page are then looked for
    where the REST address is, and simply fail when they are not there.
    """
    rest = read.address("COINBASE_REST_URL", COINBASE_REST_URL, HTTP, test=test, bare=True)
    if rest.loopback:
        socket = ("wss" if rest.scheme == "https" else "ws") + rest.url.removeprefix(rest.scheme)
        defaults = (socket, read.text("COINBASE_WS_URL") or socket, f"{rest.url}/api/v2/summary.json")
    else:
        defaults = (COINBASE_WS_URL, COINBASE_WS_USER_URL, COINBASE_STATUS_URL)
    ws = read.address("COINBASE_WS_URL", defaults[0], WEBSOCKET, test=test)
    user = read.address("COINBASE_WS_USER_URL", defaults[1], WEBSOCKET, test=test)
    return rest, ws, user, read.address("COINBASE_STATUS_URL", defaults[2], HTTP, test=test)


def _venue(read: _Reader, addresses: Mapping[str, Address]) -> Venue:
    local = [name for name, address in addresses.items() if address.loopback]
    public = [name for name, address in addresses.items() if address.host and not address.loopback]
    if local and public:
        mixed = ", ".join(f"COINBASE_{name}_URL" for name in public)
        read.refuse(
            mixed, "must be on this machine like the other addresses: a test venue is never mixed with a real one"
        )
    if local:
        return Venue.TEST
    ours = all(f".{address.host}".endswith(".coinbase.com") for address in addresses.values() if address.host)
    return Venue.COINBASE if ours else Venue.OTHER


def _ca_file(read: _Reader, venue: Venue) -> Path | None:
    """Another certificate authority beside the real venue would be a way to listen in."""
    text = read.text("COINBASE_CA_FILE")
    if text is not None and venue is not Venue.TEST:
        read.refuse("COINBASE_CA_FILE", "is only for a test venue on this machine; remove it")
    return None if text is None else Path(text)


def _clock_url(read: _Reader, venue: Venue) -> str | None:
    name = "BOT_TEST_CLOCK_URL"
    if read.text(name) is None:
        return None
    if venue is not Venue.TEST:
        read.refuse(name, "is only for a test venue on this machine; remove it")
        return None
    address = read.address(name, "", HTTP, test=True)
    if address.host and not address.loopback:
        read.refuse(name, "must be on this machine")
    return address.url
