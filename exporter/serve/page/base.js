// What every part of the page uses: making elements, and figures in words. Texts of sites become
// text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";
const STATUSES = ["OFFLINE", "CRITICAL", "WARNING", "GOOD", "HEALTHY", "UNKNOWN"];
const MARKS = { HEALTHY: "●", GOOD: "◐", WARNING: "▲", CRITICAL: "■", OFFLINE: "✕", UNKNOWN: "?" };
const SEVERITY_MARKS = { critical: "■", warning: "▲", info: "·" };
const COMPONENTS = { battery: "battery", grid: "grid", solar: "sun", connectivity: "link" };
const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// The children of a node in place of those that it has; null is none.
function put(node, ...children) {
  node.replaceChildren();
  return fill(node, {}, children);
}

// A name may be written from right to left; it must not turn round what stands beside it.
const isolated = (text) => el("bdi", {}, text);

// Rounded as the other faces round: to the nearest, and a number that lies exactly between two to
// the even one.
function rounded(value, digits) {
  const near = Number(value.toFixed(digits));
  const [whole, fraction = ""] = Math.abs(value).toFixed(Math.min(100, digits + 60)).split(".");
  const between = /^50*$/.test(fraction.slice(digits));
  const odd = Number((whole + fraction.slice(0, digits)).slice(-1)) % 2 === 1;
  if (!between || odd) return near + 0;
  return Number((near - Math.sign(value) * 10 ** -digits).toFixed(digits)) + 0;
}

function figure(value, digits = 1) {
  if (value === null || value === undefined) return "–";
  return rounded(value, digits).toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: 0 });
}

function power(watts) {
  if (watts === null || watts === undefined) return "no reading";
  const size = Math.abs(watts);
  if (size < 999.5) return `${rounded(watts, 0)} W`;
  const digits = size < 99500 ? 1 : size < 999500 ? 0 : 2;
  const [scaled, unit] = size < 999500 ? [watts / 1000, "kW"] : [watts / 1e6, "MW"];
  return `${rounded(scaled, digits).toFixed(digits)} ${unit}`;
}

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 120) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

// Rounded, but never across the limit that the value is judged by.
function reading(name, value, limit = null) {
  const { unit, decimals } = QUANTITIES[name] || { unit: "", decimals: 3 };
  if (unit === "W") return power(value);
  let digits = decimals;
  if (limit !== null && value !== limit) {
    while (digits < 9 && Math.sign(Number(value.toFixed(digits)) - limit) !== Math.sign(value - limit)) digits += 1;
  }
  return unit ? `${figure(value, digits)} ${unit}` : figure(value, digits);
}

const words = (name) => QUANTITIES[name]?.label || name.replaceAll("_", " ");

// The reply of the API; an error has what a refusal says as its message, and all of it as `body`.
async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  const reply = await fetch(path, { ...options, headers });
  if (reply.ok) return reply.json();
  let body = {};
  try {
    body = await reply.json();
  } catch {
    // Not every refusal comes from the exporter itself; its number is then all there is.
  }
  throw Object.assign(new Error(body.detail || `${reply.status}`), { body });
}

function statusText(status) {
  return el("span", { class: `status ${status}` },
    el("span", { "aria-hidden": "true" }, `${MARKS[status]} `), status);
}

function stacked(counts, total) {
  const bar = svg("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  const there = STATUSES.filter((status) => counts[status]);
  // One site among thousands is still to be seen.
  const widths = there.map((status) => Math.max(1, (100 * counts[status]) / Math.max(1, total)));
  const sum = widths.reduce((a, b) => a + b, 0);
  let at = 0;
  for (const [place, status] of there.entries()) {
    const share = (100 * widths[place]) / sum;
    bar.append(svg("rect", { x: at, width: share, height: 1, fill: `var(--${status})` }));
    at += share;
  }
  return bar;
}
