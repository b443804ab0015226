// The cells of a site over time, as the API gives them, and the colours of their values.

const QUANTITY_NAMES = { deviation: "deviation from the pack's median", voltage: "voltage", temperature: "temperature" };
const PACK_SPACE = 2;  // rows left empty between two packs

function decoded(reply) {
  const bytes = Uint8Array.from(atob(reply.values), (char) => char.charCodeAt(0));
  const integers = new Uint16Array(bytes.buffer);
  const values = new Float32Array(integers.length);
  for (let n = 0; n < integers.length; n += 1) {
    values[n] = integers[n] === reply.missing ? NaN : reply.offset + reply.scale * integers[n];
  }
  const cells = reply.packs.flatMap(({ pack, cells: labels }, number) =>
    labels.map((label) => ({ pack, label, number })));
  cells.forEach((cell, row) => { cell.place = row + cell.number * PACK_SPACE; });
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { ...reply, values, cells, low, high, places: cells.length ? cells.at(-1).place + 1 : 0 };
}

const timeOf = (grid, step) => grid.begin + (step + 0.5) * grid.step_seconds;
const valueOf = (grid, row, step) => grid.values[row * grid.steps + step];

function valueText(grid, value) {
  if (grid.quantity === "deviation") return `${value < 0 ? "−" : "+"}${Math.abs(value * 1000).toFixed(1)} mV`;
  return grid.quantity === "voltage" ? `${value.toFixed(3)} V` : `${value.toFixed(1)} °C`;
}

const cellText = (grid, cell) => (grid.packs.length > 1 ? `cell ${cell.label} of ${cell.pack}` : `cell ${cell.label}`);

// Low and high end of the axis and of the colours, in the unit of the ticks: mV for deviations.
function scaleOf(grid) {
  if (grid.quantity === "deviation") {
    const full = grid.limits.voltage_off_v;
    const far = Math.max(full, Math.abs(grid.low), Math.abs(grid.high));
    return { low: -far, high: far, coloured: [-full, full], factor: 1000, unit: "mV", colours: "either side" };
  }
  const least = grid.quantity === "voltage" ? 0.01 : 1;
  const middle = (grid.low + grid.high) / 2, half = Math.max(least, grid.high - grid.low) / 2;
  const [low, high] = [middle - half, middle + half];
  return { low, high, coloured: [low, high], factor: 1, unit: grid.unit, colours: "rising" };
}

const RISING = [[68, 40, 120], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const EITHER_SIDE = {
  light: [[178, 12, 34], [226, 120, 100], [190, 197, 206], [100, 155, 214], [22, 78, 160]],
  dark: [[255, 82, 96], [186, 72, 82], [98, 108, 122], [72, 128, 190], [120, 190, 255]],
};

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// Red, green and blue from 0 to 255 of a value, written to `out` from `at` on.
function colouring(scale) {
  const stops = scale.colours === "rising" ? RISING : EITHER_SIDE[isDark() ? "dark" : "light"];
  const [low, high] = scale.coloured, last = stops.length - 1;
  return (value, out, at) => {
    const place = Math.min(last, Math.max(0, (last * (value - low)) / (high - low)));
    const first = Math.min(last - 1, Math.floor(place)), share = place - first;
    for (let n = 0; n < 3; n += 1) out[at + n] = stops[first][n] + share * (stops[first + 1][n] - stops[first][n]);
  };
}

// The longest stretches of steps in which no cell was read, inside of the period.
function unobserved(grid) {
  const found = [];
  let from = null;
  for (let step = 0; step <= grid.steps; step += 1) {
    const seen = step < grid.steps && grid.cells.some((_, row) => !Number.isNaN(valueOf(grid, row, step)));
    if (seen || step === grid.steps) {
      if (from !== null) found.push([grid.begin + from * grid.step_seconds, grid.begin + step * grid.step_seconds]);
      from = null;
    } else if (from === null) from = step;
  }
  return found.map(([a, b]) => [Math.max(a, grid.since), Math.min(b, grid.until)])
    .filter(([a, b]) => b - a > grid.step_seconds / 2).sort((a, b) => b[1] - b[0] - (a[1] - a[0]));
}

// Each cell's value that is furthest from fine, worst first.
function extremes(grid) {
  const worse = grid.quantity === "temperature" ? (v) => v : grid.quantity === "voltage" ? (v) => -v : Math.abs;
  const found = [];
  grid.cells.forEach((cell, row) => {
    let best = -1;
    for (let step = 0; step < grid.steps; step += 1) {
      const value = valueOf(grid, row, step);
      if (!Number.isNaN(value) && (best < 0 || worse(value) > worse(valueOf(grid, row, best)))) best = step;
    }
    if (best >= 0) found.push({ cell, row, step: best, value: valueOf(grid, row, best) });
  });
  return found.sort((a, b) => worse(b.value) - worse(a.value));
}

function rowsByPlace(grid) {
  const rows = [];
  grid.cells.forEach((cell, row) => { rows[cell.place] = row; });
  return rows;
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
