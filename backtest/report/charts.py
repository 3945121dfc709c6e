"""The page's charts as plain data: traces and layouts in plotly's own words, made from a run's artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from backtest.bootstrap import BLOCK_DAYS, fan
from backtest.report.artifacts import Artifacts
from bot.domain.value import Value

INK, BLUE, RED, GREEN, AMBER, GREY, VIOLET, TEAL = (
    "#1f2937", "#2563eb", "#dc2626", "#16a34a", "#d97706", "#9ca3af", "#7c3aed", "#0d9488",
)  # fmt: skip
THEMES: Final = (VIOLET, TEAL, AMBER, "#db2777", "#65a30d", "#0284c7", "#a16207", "#4f46e5")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NAMES: Final = {"btc": "BTC, bought and held", "equal_weight": "all markets alike, bought and held"}
REASONS_SHOWN: Final = 18


class Chart(Value):
    """One drawing. note: what it shows and how it was counted; height in pixels."""

    id: str
    title: str
    note: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int = 360


def equity(run: Artifacts) -> Chart:
    """Equity beside buying and holding, and the fall from the peak below it."""
    rows = run.equity
    lines = [_line(rows["time"], rows["equity"], "equity", BLUE, width=2)]
    lines += [
        _line(rows["time"], rows[name], told, color, dash="dot") | {"visible": "legendonly"}
        for (name, told), color in zip(NAMES.items(), (AMBER, GREY), strict=True) if name in rows
    ]  # fmt: skip
    falls = _line(rows["time"], rows["drawdown_pct"], "below the peak", RED) | {
        "yaxis": "y2", "fill": "tozeroy", "fillcolor": "rgba(220,38,38,0.15)", "showlegend": False,
        "hovertemplate": "%{y:.3f} %<extra>below the peak</extra>",
    }  # fmt: skip
    layout: dict[str, Any] = {
        "yaxis": {"domain": [0.34, 1], "title": "equity", "tickformat": ",.0f"},
        "yaxis2": {"domain": [0, 0.28], "title": "below peak", "ticksuffix": " %", "rangemode": "tozero"},
        "xaxis": {"anchor": "y2"}, "hovermode": "x unified",
    }  # fmt: skip
    if not rows["drawdown_pct"].any():
        layout["yaxis2"]["range"] = [-1, 0]
    note = "At the end of each hour, positions at the bid. Buying and holding the same money: click the legend."
    return Chart("equity", "Equity and drawdown", note, [*lines, falls], layout, 480)


def exposure(run: Artifacts) -> Chart:
    """Share of equity invested, in the largest position and in each theme, with the caps."""
    rows, told = run.exposure, run.summary["exposure"]
    themes = [name for name in map(str, rows.columns) if name.startswith("theme_") and rows[name].any()]
    area = {"fill": "tozeroy", "fillcolor": "rgba(37,99,235,0.12)"}
    lines = [
        _line(rows["time"], rows["invested_pct_max"], "everything", BLUE) | area,
        _line(rows["time"], rows["largest_pct_max"], "largest coin", INK),
        *(
            _line(rows["time"], rows[name], name.removeprefix("theme_").removesuffix("_pct_max"), color)
            | {"visible": "legendonly"}
            for name, color in zip(themes, THEMES * len(themes), strict=False)
        ),
    ]
    caps = [
        _cap(told["cap_pct"], "cap on everything", BLUE),
        _cap(told["theme_cap_pct"], "cap of a theme", VIOLET),
        _cap(told["asset_cap_pct"], "cap of a coin", INK),
    ]
    layout = {
        "yaxis": {"title": "share of equity", "ticksuffix": " %", "rangemode": "tozero",
                  "range": [0, 1.12 * max(told["cap_pct"], told["max_pct"])]},
        "shapes": [shape for shape, _ in caps], "annotations": [text for _, text in caps], "hovermode": "x unified",
        "margin": {"r": 160},
    }  # fmt: skip
    note = "The most within each hour, at the bid. Caps bind when something is bought; a rise may carry it above."
    return Chart("exposure", "Exposure against its caps", note, lines, layout)


def months(run: Artifacts) -> Chart:
    """Return of each month as a heat map, a year a row."""
    table = {name.split("-")[0]: dict[int, float]() for name in run.summary["returns"]["monthly_pct"]}
    for name, value in run.summary["returns"]["monthly_pct"].items():
        year, month = name.split("-")
        table[year][int(month)] = value
    years = sorted(table, reverse=True)
    cells = [[table[year].get(month) for month in range(1, 13)] for year in years]
    most = max((abs(value) for row in cells for value in row if value is not None), default=1.0) or 1.0
    heat = {
        "type": "heatmap", "x": list(MONTHS), "y": years, "z": cells, "zmin": -most, "zmax": most,
        "colorscale": [[0, "#b91c1c"], [0.5, "#f9fafb"], [1, "#15803d"]], "xgap": 3, "ygap": 3, "hoverongaps": False,
        "text": [["" if v is None else f"{v:+.2f}" for v in row] for row in cells], "texttemplate": "%{text}",
        "hovertemplate": "%{x} %{y}: %{z:+.3f} %<extra></extra>", "colorbar": {"ticksuffix": " %", "thickness": 12},
    }  # fmt: skip
    layout = {
        "yaxis": {"type": "category", "showgrid": False},
        "xaxis": {"side": "top", "showgrid": False},
        "margin": {"t": 28, "b": 12},
    }
    note = "Percent of equity, by UTC month; the first and the last may be parts of one."
    return Chart("months", "Return by month", note, [heat], layout, 120 + 54 * len(years))


def costs(run: Artifacts) -> Chart | None:
    """From what the closed trades made before costs to what is left; None without one."""
    told = run.summary["costs"]["closed"]
    if not run.summary["trades"]["closed"]:
        return None
    parts = [("before costs", told["gross"]), ("fees", -told["fees"]), ("half spreads", -told["spread"]),
             ("slippage", -told["slippage"])]  # fmt: skip
    net = told["net"]
    bars = {
        "type": "waterfall", "x": [name for name, _ in parts] + ["after costs"], "y": [v for _, v in parts] + [0],
        "measure": ["absolute", *["relative"] * (len(parts) - 1), "total"],
        "text": [_signed(value) for _, value in parts] + [_signed(net)], "textposition": "outside",
        "cliponaxis": False, "connector": {"line": {"color": GREY, "width": 1}},
        "increasing": {"marker": {"color": GREEN}}, "decreasing": {"marker": {"color": RED}},
        "totals": {"marker": {"color": BLUE}}, "hovertemplate": "%{x}: %{text}<extra></extra>",
    }  # fmt: skip
    layout = {"yaxis": {"title": "equity currency", "zeroline": True, "zerolinecolor": INK}, "margin": {"t": 36}}
    note = "Of closed trades, by what each of their fills paid. Makers pay neither spread nor slippage."
    return Chart("costs", "Where the money went", note, [bars], layout)


def bootstrap(run: Artifacts) -> Chart | None:
    """Equity of drawn paths as a fan around the one that was; None with too few days."""
    found = fan(run.daily_returns(), run.opening)
    if found is None:
        return None
    days = [str(run.summary["period"]["from"])[:10], *(f"{day}T23:59:59" for day in run.days())]
    traces: list[dict[str, Any]] = []
    for low, high, shade in ((5, 95, 0.12), (25, 75, 0.25)):
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": days, "type": "scatter"}
        traces.append(edge | {"y": _rounded(found.lines[low]), "showlegend": False})
        traces.append(edge | {"y": _rounded(found.lines[high]), "fill": "tonexty", "name": f"{high - low} % of paths",
                              "fillcolor": f"rgba(124,58,237,{shade})"})  # fmt: skip
    traces.append(_line(days, _rounded(found.lines[50]), "median path", VIOLET, dash="dash"))
    traces.append(_line(run.equity["time"], run.equity["equity"], "what was", BLUE, width=2))
    layout = {"yaxis": {"title": "equity", "tickformat": ",.0f"}, "hovermode": "x"}
    note = f"{len(found.returns_pct)} paths of daily returns, drawn anew in blocks of {BLOCK_DAYS} days."
    return Chart("fan", "What else could have happened", note, traces, layout)


def gates(run: Artifacts) -> Chart | None:
    """How often each gate said no, or less, and why; None when none did."""
    rows = [
        (f"{gate}: {reason}" if gate != reason else gate, count)
        for gate, reasons in run.summary["coverage"]["gates"].items()
        for reason, count in reasons.items()
    ]
    rows += [(f"execution: {why}", count) for why, count in run.summary["execution"]["refused"].items()]
    if not rows:
        return None
    rows.sort(key=lambda row: row[1])
    shown = rows[-REASONS_SHOWN:]
    bars = {
        "type": "bar", "orientation": "h", "y": [name for name, _ in shown], "x": [count for _, count in shown],
        "text": [f"{count:,}" for _, count in shown], "textposition": "outside", "cliponaxis": False,
        "marker": {"color": BLUE}, "hovertemplate": "%{y}: %{x:,}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {"type": "log", "title": "times", "dtick": 1}, "yaxis": {"automargin": True, "showgrid": False},
        "margin": {"l": 10, "r": 64, "t": 4},
    }  # fmt: skip
    note = "Wishes refused or cut down, by the first gate that did; the scale is logarithmic."
    return Chart("gates", "What was not done, and why", note, [bars], layout, 110 + 26 * max(3, len(shown)))


def _line(
    x: Iterable[Any], y: Iterable[Any], name: str, color: str, *, width: float = 1.3, dash: str = "solid"
) -> dict[str, Any]:
    style = {"color": color, "width": width, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": [float(v) for v in y], "name": name, "line": style}


def _cap(value: float, text: str, color: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dashed line across the chart, and its name to the right of it, where no curve is drawn over it."""
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value,
            "line": {"color": color, "width": 1, "dash": "dash"}}  # fmt: skip
    name = {"xref": "paper", "x": 1, "xanchor": "left", "y": value, "yanchor": "middle", "showarrow": False,
            "text": f"{text} {value:g} %", "font": {"color": color, "size": 11}}  # fmt: skip
    return line, name


def _signed(value: float) -> str:
    """An amount with its sign; a nought has none."""
    return f"{value:+,.2f}" if round(value, 2) else "0.00"


def _rounded(values: Any) -> list[float]:
    return [round(value, 4) for value in values.tolist()]
