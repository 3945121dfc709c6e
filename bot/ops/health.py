"""Health, metrics and a status page on 127.0.0.1: read-only, no secrets, no state of its own."""

from __future__ import annotations

import html
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final

LOOPBACK: Final = "127.0.0.1"
_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class HealthBoard:
    """What the loop last published; read by the server's thread. ready: the newest reconcile was complete."""

    def __init__(self, stale_after_s: float) -> None:
        self._lock = threading.Lock()
        self._report: dict[str, Any] = {}
        self._ready = False
        self._why = "no cycle has finished yet"
        self._beat = time.monotonic()
        self._stale_after_s = stale_after_s

    def publish(self, report: dict[str, Any], *, ready: bool, why: str) -> None:
        with self._lock:
            self._report, self._ready, self._why = report, ready, why
            self._beat = time.monotonic()

    def alive(self) -> tuple[bool, str]:
        """Whether cycles finish: the age of the last one, in wall time."""
        with self._lock:
            age = time.monotonic() - self._beat
        return age <= self._stale_after_s, f"last cycle finished {age:.1f} s ago, limit {self._stale_after_s:.0f} s"

    def ready(self) -> tuple[bool, str]:
        alive, detail = self.alive()
        with self._lock:
            return self._ready and alive, self._why if alive else detail

    def report(self) -> dict[str, Any]:
        with self._lock:
            return dict(self._report)


class HealthServer:
    """Serves /healthz, /readyz, /metrics, /status.json and / from one thread.

    Raises: OSError when the port is taken.
    """

    def __init__(self, port: int, board: HealthBoard, render_metrics: Callable[[], bytes]) -> None:
        self._server = _Server((LOOPBACK, port), _Handler)
        self._server.board, self._server.render_metrics = board, render_metrics
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.25,), name="health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2)


class _Server(HTTPServer):
    allow_reuse_address = True
    board: HealthBoard
    render_metrics: Callable[[], bytes]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 2
    server_version = "bulwark"
    sys_version = ""

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in _HOSTS:
            self._answer(421, "text/plain", b"this page answers to 127.0.0.1 only\n")
            return
        path = self.path.split("?", 1)[0]
        route = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/status.json": self._status,
            "/": self._page,
        }.get(path)
        if route is None:
            self._answer(404, "text/plain", b"not here; try /healthz /readyz /metrics /status.json /\n")
        else:
            route()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it so)
        """Requests to this page are not worth a log line."""

    def _healthz(self) -> None:
        self._verdict(*self.server.board.alive())

    def _readyz(self) -> None:
        self._verdict(*self.server.board.ready())

    def _verdict(self, good: bool, detail: str) -> None:
        self._answer(
            200 if good else 503, "text/plain; charset=utf-8", f"{'ok' if good else 'not ok'}: {detail}\n".encode()
        )

    def _metrics(self) -> None:
        self._answer(200, "text/plain; version=0.0.4; charset=utf-8", self.server.render_metrics())

    def _status(self) -> None:
        self._answer(200, "application/json", json.dumps(self.server.board.report()).encode())

    def _page(self) -> None:
        self._answer(200, "text/html; charset=utf-8", page(self.server.board.report()).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(body)


_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2430}"
    "h1{font-size:1.3rem}h2{font-size:1rem;margin-top:1.6rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #dde3ea}th:first-child,td:first-child"
    "{text-align:left}.bad{color:#a4161a;font-weight:600}.good{color:#1b6e3c;font-weight:600}dl{display:grid;"
    "grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#5b6775}dd{margin:0}"
)


def page(report: dict[str, Any]) -> str:
    """The status report as one self-contained page without scripts."""
    if not report:
        return _document("<h1>Bulwark</h1><p>No cycle has finished yet.</p>")
    cycle = report.get("cycle") or {}
    halted = report.get("halted")
    word = (
        f'<span class="bad">HALTED</span> {_e(report["halt_reason"])}'
        if halted
        else '<span class="good">running</span>'
    )
    facts = {
        "last cycle": " ".join(str(cycle.get(name) or "") for name in ("cycle_id", "outcome", "reason")),
        "ended": f"{str(cycle.get('finished_at'))[:19].replace('T', ' ')} UTC",
        "why": cycle.get("detail") or "-",
        "equity": _money(report, "equity") or report.get("equity_problem"),
        "cash": _money(report, "cash"),
        "exposure": _percent(report.get("exposure_pct"), " of equity"),
        "today": _percent(report.get("daily_pnl_pct")),
        "drawdown": _percent(report.get("drawdown_pct")),
        "ledger residual": ", ".join(f"{k} {v}" for k, v in report["ledger_residual"].items()),
        "alerts waiting": report.get("alerts_undelivered"),
        "config": str(report.get("config_hash"))[:12],
    }
    rows = "".join(f"<dt>{_e(name)}</dt><dd>{_e(value)}</dd>" for name, value in facts.items())
    title = f"Bulwark {_e(report['env'])} / {_e(report['mode'])}: {word}"
    return _document(
        f"<h1>{title}</h1><dl>{rows}</dl>"
        + _table(
            "Positions", report["positions"], ("product", "size", "cost", "mark", "unrealised_pnl", "stop", "target")
        )
        + _table(
            "Working orders", report["orders"], ("product", "side", "kind", "status", "size", "filled", "limit_price")
        )
        + _table("Circuit breakers", report["breakers"], ("name", "state", "detail"))
    )


def _money(report: dict[str, Any], name: str) -> str | None:
    amount = report.get(name)
    return None if amount is None else f"{amount} {report.get('currency') or ''}".rstrip()


def _percent(value: str | None, of: str = "") -> str:
    return "unknown" if value is None else f"{value} %{of}"


def _table(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    if not rows:
        return f"<h2>{_e(title)}</h2><p>none</p>"
    head = "".join(f"<th>{_e(name.replace('_', ' '))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_e(row.get(c))}</td>" for c in columns) + "</tr>" for row in rows)
    return f"<h2>{_e(title)}</h2><table><tr>{head}</tr>{body}</table>"


def _document(body: str) -> str:
    head = f'<meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Bulwark</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


def _e(value: object) -> str:
    return html.escape("-" if value is None else str(value))
