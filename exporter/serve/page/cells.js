// The page of cells: what is chosen stands in the address, so that a link shows the same again.

const CHOICES = ["pack", "quantity", "kept", "shape", "period"];
const PERIODS = ["24h", "7d", "30d", "90d", "365d", "630d", "yesterday", "this week"];
const WORST = 10;
const view = { grid: null, drawn: null, turn: 0, place: [0, 0] };
const given = new URLSearchParams(location.search);

const pointed = {
  at(row, step) {
    view.place = [row, step];
    const { grid } = view, value = valueOf(grid, row, step);
    byId("pointed").textContent = `${cellText(grid, grid.cells[row])}, ${moment(timeOf(grid, step))}: ` +
      (Number.isNaN(value) ? "not observed" : valueText(grid, value));
    view.drawn.mark(row, step);
  },
  move(rows, steps) {
    const { grid, place: [row, step] } = view;
    const within = (n, count) => Math.min(count - 1, Math.max(0, n));
    pointed.at(within(row + rows, grid.cells.length), within(step + steps, grid.steps));
  },
};

function say(text) {
  byId("note").textContent = text;
  byId("note").hidden = !text;
}

// A link from Grafana has several packs in one text, and a pattern in place of all.
function packsGiven() {
  const several = (given.get("packs") || "").replace(/[{}]/g, "").split(",");
  return [...given.getAll("pack"), ...several].filter((pack) => pack && pack !== ".*" && pack !== "$__all");
}

// What the server is asked: a period in words, or both ends as a link gives them.
function question() {
  const asked = new URLSearchParams({ site: given.get("site") || "", tz: ZONE });
  for (const name of ["quantity", "kept"]) asked.set(name, byId(name).value);
  for (const pack of packsGiven()) asked.append("pack", pack);
  if (given.get("since")) {
    asked.set("since", given.get("since"));
    if (given.get("until")) asked.set("until", given.get("until"));
  } else asked.set("period", given.get("period") || "7d");
  return asked;
}

function keep() {
  for (const name of CHOICES) {
    const value = byId(name).value.trim();
    if (name === "pack") {
      // Several that a link gave stay until one is chosen.
      if (!value && packsGiven().length > 1) continue;
      given.delete("packs");
    }
    if (value) given.set(name, value);
    else given.delete(name);
  }
  if (byId("period").value.trim()) {
    given.delete("since");
    given.delete("until");
  }
  history.replaceState(null, "", `?${given}`);
}

async function load() {
  const turn = (view.turn += 1);
  byId("figure").setAttribute("aria-busy", "true");
  try {
    const asked = ask(`api/v1/surface?${question()}`);
    asked.catch(() => {});
    // Made while the server reads.
    if (!view.drawn) makeView();
    const reply = await asked;
    if (turn !== view.turn) return;
    view.grid = decoded(reply);
    show();
  } catch (error) {
    if (turn !== view.turn) return;
    byId("figure").hidden = byId("worst").hidden = true;
    say(`It cannot be shown: ${error.message}.`);
  } finally {
    byId("figure").removeAttribute("aria-busy");
  }
}

function show() {
  const { grid } = view;
  byId("title").textContent = `${grid.name} · cells`;
  document.title = `${grid.name} · cells · Fleetscope`;
  links(grid);
  const nothing = !grid.cells.length;
  byId("figure").hidden = byId("worst").hidden = nothing;
  if (nothing) {
    say(`No ${grid.quantity === "temperature" ? "temperature" : "voltage"} of a single cell was observed from ${moment(grid.since)} to ${moment(grid.until)}.`);
    return;
  }
  const reason = makeView();
  say(reason && `${reason} The heatmap shows the same values.`);
  view.drawn.show(grid);
  view.place = [0, grid.steps - 1];
  byId("pointed").textContent = "Point at it to read a value.";
  packChoices(grid);
  captions(grid);
  legend(grid);
  turning(view.drawn instanceof Surface);
  worst(grid);
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("fleetscope-drawn")));
}

// The view that is chosen, or the heatmap and why there is no surface.
function makeView() {
  const { drawn } = view, wanted = byId("shape").value === "surface";
  if (wanted && drawn instanceof Surface) return "";
  const canvas = wanted ? surfaceCanvas() : null;
  if (canvas) {
    drawn?.close();
    view.drawn = new Surface(byId("host"), pointed, canvas);
    return "";
  }
  if (!(drawn instanceof Heatmap)) {
    drawn?.close();
    view.drawn = new Heatmap(byId("host"), pointed);
  }
  return wanted ? "No surface: this browser has no WebGL." : "";
}

function packChoices(grid) {
  const select = byId("pack"), chosen = packsGiven();
  const names = [...new Set([...[...select.options].slice(1).map((o) => o.value), ...grid.packs.map((p) => p.pack)])];
  select.replaceChildren(el("option", { value: "" }, chosen.length > 1 ? `${chosen.length} of them` : "all"),
    ...names.map((name) => el("option", { value: name }, name)));
  select.value = chosen.length === 1 ? chosen[0] : "";
}

function captions(grid) {
  const how = { mean: "Mean", min: "Lowest", max: "Highest" }[grid.kept];
  const each = grid.step_seconds % DAY ? duration(grid.step_seconds) : grid.step_seconds === DAY ? "day" : `${grid.step_seconds / DAY} days`;
  const whole = grid.packs.map(({ pack, cells }) => `${pack} (${cells.length})`).join(", ");
  byId("caption").textContent = `${how} ${QUANTITY_NAMES[grid.quantity]} of each ${each}, ` +
    `${moment(grid.since)} to ${moment(grid.until)} (${ZONE}). Cells of ${whole}.`;
  const gaps = unobserved(grid).slice(0, 3).map(([a, b]) => `${moment(a)} to ${moment(b)}`);
  byId("observed").textContent = `Observed: ${figure(grid.observed_percent, 1)} % of ${figure(grid.cells.length)} cells × ` +
    `${figure(grid.steps)} steps. ${gaps.length ? `Nothing was observed from ${gaps.join("; from ")}; that is left blank.` : "What was not observed is left blank."}`;
  const level = grid.level ? `the roll-up ${grid.level}` : "full detail";
  byId("source").replaceChildren(`Read from ${level}. `, el("a", { href: `api/v1/surface?${question()}` }, "These values as JSON"));
}

function legend(grid) {
  const scale = scaleOf(grid), colour = colouring(scale), [low, high] = scale.coloured;
  const bar = svg("svg", { viewBox: "0 0 64 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  for (let n = 0; n < 64; n += 1) {
    const rgb = [0, 0, 0];
    colour(low + ((high - low) * (n + 0.5)) / 64, rgb, 0);
    bar.append(svg("rect", { x: n, width: 1.1, height: 1, fill: `rgb(${rgb.map(Math.round).join(",")})` }));
  }
  byId("legend").replaceChildren(el("span", {}, valueText(grid, low)), bar, el("span", {}, valueText(grid, high)));
}

function turning(solid) {
  const button = (text, label, act) => el("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  const drawn = view.drawn;
  byId("turning").replaceChildren(...(solid ? [
    button("←", "Turn left", () => drawn.turn(-2, 0)), button("→", "Turn right", () => drawn.turn(2, 0)),
    button("↑", "From above", () => drawn.turn(0, 2)), button("↓", "From the side", () => drawn.turn(0, -2)),
    button("+", "Closer", () => drawn.zoom(0.8)), button("−", "Further away", () => drawn.zoom(1.25)),
    button("Reset", "Reset the view", () => drawn.reset()),
  ] : []));
}

function worst(grid) {
  const found = extremes(grid).slice(0, WORST);
  const title = { deviation: "Furthest from the median", voltage: "Lowest voltages", temperature: "Highest temperatures" }[grid.quantity];
  const head = el("thead", {}, el("tr", {}, ["pack", "cell", "value", "when", "in the view"].map((text) => el("th", { scope: "col" }, text))));
  const rows = found.map(({ cell, row, step, value }) => el("tr", {},
    el("td", {}, isolated(cell.pack)), el("td", {}, isolated(cell.label)),
    el("td", { class: "number" }, valueText(grid, value)), el("td", {}, moment(timeOf(grid, step))),
    el("td", {}, el("button", { type: "button", "aria-label": `Show ${cellText(grid, cell)} in the view`, onclick: () => pointed.at(row, step) }, "show"))));
  byId("worst").replaceChildren(el("h2", {}, title), el("div", { class: "scroll" }, el("table", {}, head, el("tbody", {}, rows))));
}

function links(grid) {
  byId("links").replaceChildren(
    el("a", { href: "./" }, "Fleet"),
    el("a", { href: `./#/site/${encodeURIComponent(grid.site)}` }, "Site"));
}

function begin() {
  for (const name of CHOICES) {
    const value = given.get(name);
    if (value === null) continue;
    const input = byId(name);
    if (name === "pack") input.append(el("option", { value }, value));
    if (input.tagName !== "SELECT" || [...input.options].some((option) => option.value === value)) input.value = value;
  }
  byId("periods").replaceChildren(...PERIODS.map((period) => el("option", { value: period })));
  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    keep();
    load();
  });
  for (const name of ["pack", "quantity", "kept"]) byId(name).addEventListener("change", () => { keep(); load(); });
  byId("shape").addEventListener("change", () => { keep(); if (view.grid) show(); });
  setUpTheme(() => view.grid && show());
  if (!given.get("site")) {
    say("Choose a site in the fleet; its cells are linked there.");
    byId("links").replaceChildren(el("a", { href: "./" }, "Fleet"));
  } else load();
}

begin();
