// Plots of a site's past. A line never crosses a gap.

const RANGES = { "6h": "6 h", "24h": "24 h", "7d": "7 days", "30d": "30 days", yesterday: "yesterday" };
const PLOTS = [
  { title: "Score", metrics: [["score", "score", "var(--text)"]], low: 0, high: 100, unit: "of 100", show: (v) => figure(v, 0) },
  { title: "State of charge", metrics: [["soc_percent", "charge", "var(--battery)"]], low: 0, high: 100, unit: "%", show: (v) => `${figure(v, 0)} %` },
  {
    title: "Power", unit: "kW", factor: 0.001, show: power, metrics: [
      ["pv_power_w", "PV", "var(--pv)"], ["grid_power_w", "grid", "var(--grid)"],
      ["load_power_w", "load", "var(--load)"], ["power_w", "battery", "var(--battery)"]],
  },
  { title: "Cell spread", metrics: [["cell_spread_v", "spread", "var(--battery)"]], low: 0, unit: "mV", factor: 1000, show: (v) => `${(v * 1000).toFixed(0)} mV` },
];

const WIDEST = 460, NARROWEST = 250, PLOT_HEIGHT = 144;

async function loadPast(site, period) {
  const wanted = PLOTS.flatMap((plot) => plot.metrics.map(([metric]) => metric));
  const asked = new URLSearchParams({ site, period, points: 240, tz: ZONE });
  const found = await Promise.all(wanted.map((metric) => ask(`api/v1/history?${asked}&metric=${metric}`)));
  return Object.fromEntries(wanted.map((metric, place) => [metric, found[place]]));
}

function drawPlot(plot, past, room) {
  const lines = plot.metrics.flatMap(([metric, name, colour]) =>
    past[metric].series.map((series) => ({ series, name, colour, device: series.tags.device })));
  const all = lines.flatMap(({ series }) => [series.minimum, series.maximum]).filter((v) => v !== null);
  const { since, until } = past[plot.metrics[0][0]], { factor = 1 } = plot;
  if (!all.length) return el("div", {}, el("h4", {}, plot.title), el("p", { class: "muted" }, "Nothing was observed in this time."));
  let low = Math.min(plot.low ?? Infinity, ...all), high = Math.max(plot.high ?? -Infinity, ...all);
  if (high - low < 1e-9) high = low + (Math.abs(low) || 1) * 0.1;
  const { step } = numberTicks(low * factor, high * factor, 4);
  // The axis ends at a tick, so that what is drawn is never outside of the numbers.
  low = Math.min(low, (Math.floor((low * factor) / step + 1e-9) * step) / factor);
  high = Math.max(high, (Math.ceil((high * factor) / step - 1e-9) * step) / factor);
  const width = Math.max(NARROWEST, Math.min(WIDEST, room)), height = PLOT_HEIGHT, left = 52, top = 24, bottom = 22;
  const x = (t) => left + ((width - left - 6) * (t - since)) / (until - since);
  const y = (v) => top + (height - top - bottom) * (1 - (v - low) / (high - low));
  const extremes = lines.map(({ series, name, device }) => {
    const whose = lines.length > plot.metrics.length && device ? `${name} of ${device}` : name;
    const [from, to] = [plot.show(series.minimum), plot.show(series.maximum)];
    return from === to ? `${whose} ${from}` : `${whose} ${from} to ${to}`;
  }).join("; ");
  const drawing = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, class: "drawing", role: "img",
    "aria-label": `${plot.title}, ${extremes}`,
  });
  for (let n = Math.round((low * factor) / step); n * step <= high * factor + step / 2; n += 1) {
    const value = n * step, at = y(value / factor);
    drawing.append(
      svg("line", { x1: left, x2: width - 6, y1: at, y2: at, stroke: value ? "var(--line)" : "var(--muted)" }),
      svg("text", { x: left - 6, y: at + 4, "text-anchor": "end", class: "quiet" }, tickText(value, step)));
  }
  drawing.append(svg("text", { x: left - 6, y: 10, "text-anchor": "end", class: "quiet" }, plot.unit));
  for (const { at, text } of timeTicks(since, until, Math.max(2, Math.floor((width - left) / 95)))) {
    // A text that would leave the drawing gives way; its mark stays.
    const fits = x(at) - left > 14 && width - x(at) > 44;
    drawing.append(
      svg("line", { x1: x(at), x2: x(at), y1: height - bottom, y2: height - bottom + 4, stroke: "var(--muted)" }),
      fits ? svg("text", { x: x(at), y: height - 5, "text-anchor": "middle", class: "quiet" }, text) : "");
  }
  for (const { series, colour } of lines) {
    drawing.append(svg("path", { d: pathOf(series, x, y), fill: "none", stroke: colour, "stroke-width": 1.6, "stroke-linejoin": "round", "stroke-linecap": "round" }));
  }
  const legend = lines.length > 1 ? [...new Map(lines.map(({ name, colour }) => [name, colour]))].map(([name, colour]) =>
    el("span", { class: "key" }, svg("svg", { width: 14, height: 8, "aria-hidden": "true" }, svg("rect", { width: 14, height: 4, y: 2, fill: colour })), ` ${name} `)) : [];
  return el("div", {}, el("h4", {}, plot.title), drawing, legend.length ? el("p", { class: "keys" }, legend) : null,
    el("p", { class: "muted" }, `${extremes}.`));
}

function pathOf(series, x, y) {
  let path = "", drawn = 0;
  // A reading without neighbours is a dot.
  const close = () => { if (drawn === 1) path += "h0"; };
  series.times.forEach((time, place) => {
    const value = series.values[place];
    if (value === null) {
      close();
      drawn = 0;
      return;
    }
    path += `${drawn ? "L" : "M"}${x(time).toFixed(1)},${y(value).toFixed(1)}`;
    drawn += 1;
  });
  close();
  return path;
}
