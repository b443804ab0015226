// Drawings of one site: where its power goes, and the cells of its packs.

const IDLE_WATTS = 10;

function node(x, y, name, colour, label, below = true) {
  return svg("g", {},
    svg("circle", { cx: x, cy: y, r: 24, fill: "var(--surface)", stroke: colour, "stroke-width": 3 }),
    svg("text", { x, y: y + 4, "text-anchor": "middle" }, name),
    svg("text", { x, y: below ? y + 42 : y - 32, "text-anchor": "middle", "font-weight": 600 }, label));
}

function connection(from, to, watts, largest, colour) {
  const [x1, y1] = from, [x2, y2] = to;
  const ends = { x1, y1, x2, y2 };
  if (watts === null) {
    return svg("line", { ...ends, stroke: "var(--line)", "stroke-width": 2, "stroke-dasharray": "2 6" });
  }
  if (Math.abs(watts) < IDLE_WATTS) {
    return svg("line", { ...ends, stroke: "var(--line)", "stroke-width": 2 });
  }
  const width = 2 + (6 * Math.abs(watts)) / largest;
  const [sx, sy, ex, ey] = watts > 0 ? [x1, y1, x2, y2] : [x2, y2, x1, y1];
  const [mx, my] = [(sx + ex) / 2, (sy + ey) / 2];
  const turn = (Math.atan2(ey - sy, ex - sx) * 180) / Math.PI;
  return svg("g", {},
    svg("line", { x1: sx, y1: sy, x2: ex, y2: ey, stroke: colour, "stroke-width": width, class: "flow" }),
    svg("path", { d: "M-7,-9 L9,0 L-7,9 Z", fill: colour, transform: `translate(${mx},${my}) rotate(${turn})` }));
}

function flowWords({ pv, grid, load, battery, genset, soc }) {
  const parts = [];
  const add = (value, text) => parts.push(value === null ? `${text[0]}: no reading` : text[value > 0 ? 1 : 2]);
  if (pv !== null) parts.push(`PV makes ${power(pv)}`);
  add(grid, ["grid", `${power(grid)} from the grid`, `${power(-grid)} to the grid`]);
  add(battery, ["battery", `battery charges with ${power(battery)}`, `battery gives ${power(-battery)}`]);
  if (soc !== null) parts.push(`battery is ${figure(soc, 0)} % full`);
  if (genset !== null && genset > IDLE_WATTS) parts.push(`generator gives ${power(genset)}`);
  parts.push(load === null ? "load: no reading" : `load takes ${power(load)}`);
  return parts.join("; ") + ".";
}

function drawFlow(site) {
  const value = (name) => (name in site.readings ? site.readings[name] : null);
  const flows = {
    pv: value("pv_power_w"), grid: site.off_grid ? null : value("grid_power_w"),
    load: value("load_power_w"), battery: value("power_w"), genset: value("genset_power_w"),
    soc: value("soc_percent"),
  };
  const largest = Math.max(1, ...["pv", "grid", "load", "battery", "genset"].map((k) => Math.abs(flows[k] || 0)));
  const hub = [180, 150];
  const drawing = svg("svg", {
    viewBox: "0 0 360 300", width: 420, height: 350, class: "drawing", role: "img",
    "aria-label": `Power flow. ${flowWords(flows)}`,
  });
  drawing.append(
    connection([180, 74], hub, flows.pv, largest, "var(--pv)"),
    connection([76, 150], hub, flows.grid, largest, "var(--grid)"),
    connection(hub, [284, 150], flows.load, largest, "var(--load)"),
    connection(hub, [180, 226], flows.battery, largest, "var(--battery)"),
    svg("circle", { cx: hub[0], cy: hub[1], r: 7, fill: "var(--muted)" }),
    node(180, 50, "PV", "var(--pv)", power(flows.pv), false),
    node(52, 150, "Grid", "var(--grid)", site.off_grid ? "off-grid" : power(flows.grid)),
    node(308, 150, "Load", "var(--load)", power(flows.load)));
  if (flows.genset !== null && Math.abs(flows.genset) >= IDLE_WATTS) {
    drawing.append(connection([74, 72], hub, flows.genset, largest, "var(--genset)"),
      node(56, 54, "Gen.", "var(--genset)", power(flows.genset), false));
  }
  const height = 44, full = flows.soc === null ? 0 : (height * flows.soc) / 100;
  drawing.append(
    svg("rect", { x: 172, y: 222, width: 16, height: 5, fill: "var(--battery)" }),
    svg("rect", { x: 152, y: 227, width: 56, height, rx: 4, fill: "var(--surface)", stroke: "var(--battery)", "stroke-width": 3 }),
    svg("rect", { x: 154, y: 229 + (height - 4) * (1 - full / height), width: 52, height: Math.max(0, ((height - 4) * full) / height), fill: "var(--battery)", opacity: 0.35 }),
    svg("text", { x: 180, y: 254, "text-anchor": "middle" }, flows.soc === null ? "?" : `${figure(flows.soc, 0)} %`),
    svg("text", { x: 180, y: 290, "text-anchor": "middle", "font-weight": 600 },
      flows.battery === null ? "no reading" : Math.abs(flows.battery) < IDLE_WATTS ? "idle" :
        `${flows.battery > 0 ? "charging" : "discharging"} ${power(Math.abs(flows.battery))}`));
  return drawing;
}

const middle = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

const CELLS_PER_ROW = 52, CELL_WIDTH = 13, ROW_HEIGHT = 150;

// Bars up and down from the median of the pack, on one scale for all rows; as many cells in a row
// as there is room for.
function drawCells(pack, thresholds, room) {
  const known = pack.cells.filter((cell) => cell.voltage_v !== null);
  if (!known.length) return null;
  const median = middle(known.map((cell) => cell.voltage_v));
  const warm = pack.cells.filter((cell) => cell.temperature_c !== null).map((cell) => cell.temperature_c);
  const medianWarm = warm.length ? middle(warm) : null;
  const far = Math.max(0.02, ...known.map((cell) => Math.abs(cell.voltage_v - median)));
  const lowest = known.reduce((a, b) => (b.voltage_v < a.voltage_v ? b : a));
  const highest = known.reduce((a, b) => (b.voltage_v > a.voltage_v ? b : a));
  const left = 66, columns = Math.max(4, Math.min(CELLS_PER_ROW, pack.cells.length, Math.floor((room - left - 8) / CELL_WIDTH)));
  const rows = Math.ceil(pack.cells.length / columns);
  const step = Math.max(CELL_WIDTH, Math.min(30, (room - left - 8) / columns));
  const missing = pack.cells.length - known.length;
  const told = `${pack.cells.length} cells, median ${median.toFixed(3)} V, lowest cell ${lowest.cell} at ` +
    `${lowest.voltage_v.toFixed(3)} V, highest cell ${highest.cell} at ${highest.voltage_v.toFixed(3)} V` +
    (missing ? `, ${missing} without a reading` : "") +
    (medianWarm === null ? "" : `; median temperature ${medianWarm.toFixed(1)} °C`);
  const width = left + columns * step + 8;
  const drawing = svg("svg", {
    viewBox: `0 0 ${width} ${rows * ROW_HEIGHT}`, width, height: rows * ROW_HEIGHT,
    class: "drawing", role: "img", "aria-label": told,
  });
  const every = Math.ceil(22 / step);
  pack.cells.forEach((cell, place) => {
    const column = place % columns, x = left + column * step, y = Math.floor(place / columns) * ROW_HEIGHT + 60;
    if (column === 0) {
      const axis = (at, text) => svg("text", { x: left - 8, y: y + at, "text-anchor": "end", class: "quiet" }, text);
      drawing.append(
        svg("line", { x1: left - 4, x2: width - 4, y1: y, y2: y, stroke: "var(--muted)" }),
        axis(4, `${median.toFixed(3)} V`), axis(-42, `+${(far * 1000).toFixed(0)} mV`), axis(48, `−${(far * 1000).toFixed(0)} mV`),
        axis(78, "cell"));
      if (medianWarm !== null) drawing.append(axis(62, `${medianWarm.toFixed(1)} °C`));
    }
    drawing.append(drawCell(cell, x, y, step, median, far, medianWarm, thresholds));
    if (column % every === 0) {
      drawing.append(svg("text", { x: x + step / 2, y: y + 78, "text-anchor": "middle", class: "quiet" }, cell.cell));
    }
  });
  return el("figure", { class: "scroll" }, drawing, el("figcaption", { class: "muted" }, `${told}.`));
}

function drawCell(cell, x, y, step, median, far, medianWarm, thresholds) {
  const group = svg("g", {});
  const told = [`Cell ${cell.cell}`];
  if (cell.voltage_v === null) {
    told.push("no voltage");
    group.append(svg("text", { x: x + step / 2, y: y + 4, "text-anchor": "middle", class: "quiet" }, "×"));
  } else {
    const off = cell.voltage_v - median, height = Math.max(1.5, (46 * Math.abs(off)) / far);
    const colour = Math.abs(off) >= thresholds.cell_spread_critical / 2 ? "var(--CRITICAL)"
      : Math.abs(off) >= thresholds.cell_spread_warning / 2 ? "var(--WARNING)" : "var(--battery)";
    told.push(`${cell.voltage_v.toFixed(3)} V (${off >= 0 ? "+" : "−"}${Math.abs(off * 1000).toFixed(0)} mV)`);
    group.append(svg("rect", { x: x + 1.5, y: off >= 0 ? y - height : y, width: step - 3, height, fill: colour }));
  }
  if (cell.temperature_c !== null) {
    told.push(`${cell.temperature_c.toFixed(1)} °C`);
    const hot = cell.temperature_c - medianWarm >= CELL_WARMER_BY || cell.temperature_c > thresholds.temperature_max;
    group.append(svg("rect", { x: x + 1.5, y: y + 52, width: step - 3, height: 6, fill: hot ? "var(--CRITICAL)" : "var(--GOOD)" }));
  }
  group.prepend(svg("title", {}, told.join(", ")));
  return group;
}
