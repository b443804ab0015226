// Plots of a site's past. A line never crosses a gap.

const RANGES = { "6h": "6 h", "24h": "24 h", "7d": "7 days", "30d": "30 days" };
const PLOTS = [
  { title: "Score", metrics: [["score", "score", "var(--text)"]], low: 0, high: 100, show: (v) => figure(v, 0) },
  { title: "State of charge", metrics: [["soc_percent", "charge", "var(--battery)"]], low: 0, high: 100, show: (v) => `${figure(v, 0)} %` },
  {
    title: "Power", show: power, metrics: [
      ["pv_power_w", "PV", "var(--pv)"], ["grid_power_w", "grid", "var(--grid)"],
      ["load_power_w", "load", "var(--load)"], ["power_w", "battery", "var(--battery)"]],
  },
  { title: "Cell spread", metrics: [["cell_spread_v", "spread", "var(--battery)"]], low: 0, show: (v) => `${(v * 1000).toFixed(0)} mV` },
];

async function loadPlots(site, range) {
  const wanted = PLOTS.flatMap((plot) => plot.metrics.map(([metric]) => metric));
  const found = await Promise.all(wanted.map((metric) =>
    ask(`api/v1/history?site=${encodeURIComponent(site)}&metric=${metric}&since=${range}&points=240`)));
  const past = Object.fromEntries(wanted.map((metric, place) => [metric, found[place]]));
  return PLOTS.map((plot) => drawPlot(plot, past));
}

function drawPlot(plot, past) {
  const lines = plot.metrics.flatMap(([metric, name, colour]) =>
    past[metric].series.map((series) => ({ series, name, colour, device: series.tags.device })));
  const all = lines.flatMap(({ series }) => [series.minimum, series.maximum]).filter((v) => v !== null);
  const { since, until } = past[plot.metrics[0][0]];
  if (!all.length) return el("div", {}, el("h4", {}, plot.title), el("p", { class: "muted" }, "Nothing is stored for this time."));
  let low = Math.min(plot.low ?? Infinity, ...all), high = Math.max(plot.high ?? -Infinity, ...all);
  if (high - low < 1e-9) high = low + (Math.abs(low) || 1) * 0.1;
  const width = 440, height = 110, left = 66;
  const x = (t) => left + ((width - left - 4) * (t - since)) / (until - since);
  const y = (v) => 8 + (height - 30) * (1 - (v - low) / (high - low));
  const told = lines.map(({ series, name, device }) => {
    const whose = lines.length > plot.metrics.length && device ? `${name} of ${device}` : name;
    const [from, to] = [plot.show(series.minimum), plot.show(series.maximum)];
    return from === to ? `${whose} ${from}` : `${whose} ${from} to ${to}`;
  }).join("; ");
  const drawing = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, class: "drawing", role: "img",
    "aria-label": `${plot.title}, ${told}`,
  });
  const labels = low < 0 && high > 0 ? [low, 0, high] : [low, high];
  // Zero gives way to a bound that would be printed over it.
  for (const value of labels.filter((v) => v || labels.every((o) => o === v || Math.abs(y(o) - y(v)) > 13))) {
    drawing.append(
      svg("line", { x1: left, x2: width - 4, y1: y(value), y2: y(value), stroke: "var(--line)" }),
      svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end", class: "quiet" }, plot.show(value)));
  }
  for (const { series, colour } of lines) {
    drawing.append(svg("path", { d: pathOf(series, x, y), fill: "none", stroke: colour, "stroke-width": 1.6, "stroke-linejoin": "round" }));
  }
  const clock = (t) => new Date(t * 1000).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  drawing.append(
    svg("text", { x: left, y: height - 5, class: "quiet" }, clock(since)),
    svg("text", { x: width - 4, y: height - 5, "text-anchor": "end", class: "quiet" }, clock(until)));
  return el("div", {}, el("h4", {}, plot.title), drawing, el("p", { class: "muted" }, `${told}.`));
}

function pathOf(series, x, y) {
  let path = "", drawn = false;
  series.times.forEach((time, place) => {
    const value = series.values[place];
    if (value === null) {
      drawn = false;
      return;
    }
    path += `${drawn ? "L" : "M"}${x(time).toFixed(1)},${y(value).toFixed(1)}`;
    drawn = true;
  });
  return path;
}
