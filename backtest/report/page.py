"""Puts the page together: one HTML file with its scripts, style and data inside, that asks nobody for more."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from backtest import artifacts
from backtest.report import charts
from backtest.report.artifacts import Artifacts
from backtest.report.markets import markets
from backtest.report.tables import fees, tables, tiles

_HERE: Final = "backtest.report"
_HOST: Final = re.compile(r"([\"'`])https?://(?!www\.w3\.org/)")


def bind(folder: Path) -> Path:
    """The page of the run whose artifacts lie in `folder`, written beside them; answers where. Raises ConfigError,
    OSError."""
    artifacts.add(folder, {artifacts.PAGE: page(artifacts.read(folder))})
    return folder / artifacts.PAGE


def page(contents: Mapping[str, bytes]) -> bytes:
    """The page of a run from its artifacts by name. The same artifacts give the same bytes."""
    run = Artifacts(contents)
    drawn = [charts.equity(run), charts.exposure(run), charts.months(run), charts.costs(run), charts.bootstrap(run),
             charts.gates(run)]  # fmt: skip
    shown = [chart for chart in drawn if chart is not None]
    traded = markets(run)
    data = {
        "charts": {chart.id: {"data": chart.data, "layout": chart.layout} for chart in shown},
        "markets": [{"product": m.product, "data": m.data} for m in traded],
    }
    html: str = _template().render(
        summary=run.summary, fees=fees(run), tiles=tiles(run), charts=shown, markets=traded, tables=list(tables(run)),
        style=_text("page.css"), script=_text("page.js"), plotly=_plotly(), data=_embedded(data),
    )  # fmt: skip
    return html.encode()


@cache
def _template() -> Any:
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        _text("page.html.j2")
    )


@cache
def _text(name: str) -> str:
    return files(_HERE).joinpath(name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """The charting library. Maps and the like, which nothing here draws, would name hosts: they are led nowhere."""
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    return _HOST.sub(r"\1about:blank?", script).replace("</script", "<\\/script")


def _embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
