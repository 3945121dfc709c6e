"use strict";
const page = JSON.parse(document.getElementById("data").textContent);
const config = { responsive: true, displaylogo: false, plotlyServerURL: "", topojsonURL: "", showLink: false, showSendToCloud: false };

function layoutOf(own) {
  const axis = { gridcolor: "#eef0f3", zeroline: false };
  const base = {
    margin: { l: 64, r: 24, t: 12, b: 40 }, paper_bgcolor: "white", plot_bgcolor: "white",
    font: { family: "system-ui, Segoe UI, DejaVu Sans, sans-serif", size: 12, color: "#1f2937" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
  };
  const made = { ...base, ...own, margin: { ...base.margin, ...(own.margin || {}) } };
  for (const name of ["xaxis", "yaxis", "yaxis2"]) {
    if (name !== "yaxis2" || own[name]) made[name] = { ...axis, ...(own[name] || {}) };
  }
  return made;
}

for (const [id, chart] of Object.entries(page.charts)) {
  const timed = chart.layout.hovermode !== undefined;
  Plotly.newPlot("chart-" + id, chart.data, layoutOf(chart.layout), { ...config, displayModeBar: timed ? "hover" : false });
}

const choice = document.getElementById("market");
if (choice) {
  const draw = () => Plotly.react("chart-market", page.markets[choice.value].data, layoutOf({
    hovermode: "closest", xaxis: { rangeslider: { visible: false } }, yaxis: { title: "price", tickformat: ",.6~g" },
  }), config);
  choice.addEventListener("change", draw);
  draw();
}
