// The page of energy: what came, where it went, what it cost. What is chosen stands in the address.

const USUAL = ["today", "yesterday", "7d", "this month", "last month", "this year"];
const CHOSEN = ["project", "site", "period", "from", "to", "step"];
const CARDS = ["pv", "load", "grid_import", "grid_export", "charged", "discharged", "generator"];
// Another flow that never flowed has no card.
const ALWAYS = new Set(["pv", "load", "grid_import"]);
const PLOTS = { pv: ["pv", "pv_expected", "generator"], demand: ["load", "grid_import", "grid_export", "charged", "discharged"] };
const given = new URLSearchParams(location.search);
const page = { turn: 0, reply: null, forecast: null, hidden: new Set(), sites: [] };

function energy(kwh) {
  if (kwh === null || kwh === undefined) return "–";
  const size = Math.abs(kwh);
  if (size >= 999500) return `${figure(kwh / 1e6, 2)} GWh`;
  if (size >= 9995) return `${figure(kwh / 1000, 2)} MWh`;
  return `${figure(kwh, size < 10 ? 2 : size < 1000 ? 1 : 0)} kWh`;
}

function say(text) {
  byId("note").textContent = text;
  byId("note").hidden = !text;
}

function question() {
  const asked = new URLSearchParams({ step: byId("step").value });
  const site = byId("site").value, project = byId("project").value;
  if (site) asked.set("site", site);
  else {
    if (project) asked.set("project", project);
    asked.set("tz", ZONE);
  }
  if (byId("from").value) {
    asked.set("since", byId("from").value);
    if (byId("to").value) asked.set("until", byId("to").value);
  } else if (given.get("since") && !byId("period").value.trim()) {
    // As a link gives both ends.
    asked.set("since", given.get("since"));
    if (given.get("until")) asked.set("until", given.get("until"));
  } else asked.set("period", byId("period").value.trim() || "today");
  return asked;
}

function keep() {
  for (const name of CHOSEN) {
    const value = byId(name).value.trim();
    if (value && value !== "auto") given.set(name, value);
    else given.delete(name);
  }
  if (given.get("period") || given.get("from")) {
    given.delete("since");
    given.delete("until");
  }
  history.replaceState(null, "", `?${given}`);
}

async function load() {
  const turn = (page.turn += 1);
  byId("shown").setAttribute("aria-busy", "true");
  try {
    const reply = await ask(`api/v1/energy?${question()}`);
    if (turn !== page.turn) return;
    page.reply = reply;
    show();
  } catch (error) {
    if (turn !== page.turn) return;
    byId("shown").hidden = true;
    say(`It cannot be shown: ${error.message}.`);
  } finally {
    byId("shown").removeAttribute("aria-busy");
  }
}

const inZone = (t, options) => new Date(t * 1000).toLocaleString("en-GB", { timeZone: page.reply.tz, ...options });
const clock = (t) => inZone(t, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function show() {
  const { reply } = page;
  const names = reply.by_site.map((row) => row.name);
  const title = names.length === 1 ? names[0] : `${names.length} sites`;
  put(byId("title"), isolated(title), " · energy");
  document.title = `${title} · energy · Fleetscope`;
  const nothing = !Object.keys(reply.flows).length;
  byId("shown").hidden = nothing;
  say(nothing ? `Nothing is stored of the time from ${clock(reply.since)} to ${clock(reply.until)}.` : "");
  byId("span").textContent = `${clock(reply.since)} to ${clock(reply.until)}, ${reply.tz}; read in steps of ${duration(reply.resolution_seconds)}.`;
  elsewhere();
  if (nothing) return;
  cards();
  flowsDrawn();
  plots();
  bySite();
  byId("source").textContent = `${reply.queries.length} statements to InfluxDB; the same figures: fleetscope energy, /api/v1/energy.`;
}

function elsewhere() {
  const site = byId("site").value;
  const links = [el("a", { href: site ? `./#${encodeURIComponent(site)}` : "./" }, "status")];
  if (LINKS.grafana) {
    const path = `${LINKS.grafana}/d/fleetscope-energy-home?${new URLSearchParams(site ? { "var-site": site } : {})}`;
    links.push(el("a", { href: path }, "Grafana"));
  }
  put(byId("links"), links);
}

function cards() {
  const { flows, cost, co2 } = page.reply;
  const made = CARDS.filter((name) => flows[name] && (flows[name].kwh || ALWAYS.has(name))).map((name) => {
    const flow = flows[name];
    const rows = [
      ["now", flow.current_w === null ? null : power(flow.current_w)],
      ["average", flow.average_w === null ? null : power(flow.average_w)],
      ["peak", flow.peak_w === null ? null : `${power(flow.peak_w)}, ${clock(flow.peak_time)}`],
      ["observed", `${figure(flow.observed_percent)} %, by ${flow.source}`],
    ].filter((row) => row[1] !== null);
    return el("article", { class: "card", "data-flow": name },
      el("h2", {}, flow.label), el("div", { class: "total" }, energy(flow.kwh)),
      el("dl", {}, rows.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)])));
  });
  if (cost) {
    const money = (value) => `${figure(value, 2)} ${cost.currency}`;
    const rows = [["energy", money(cost.import_cost)], ["standing", money(cost.standing)], ["feed-in", `−${money(cost.feed_in_income)}`]];
    if (cost.unpriced_kwh > 0) rows.push(["without a price", energy(cost.unpriced_kwh)]);
    if (co2) rows.push(["CO₂ from the grid", `${figure(co2.import_kg, 1)} kg`]);
    made.push(el("article", { class: "card" }, el("h2", {}, `cost, ${cost.tariffs.join(", ")}`),
      el("div", { class: "total" }, money(cost.net)),
      el("dl", {}, rows.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]))));
  }
  put(byId("cards"), made);
}

function flowsDrawn() {
  const { reply } = page, host = byId("sankey");
  const labels = Object.fromEntries(Object.entries(reply.flows).map(([name, flow]) => [name, flow.label]));
  if (!reply.links.length) put(host, el("p", { class: "muted" }, "Without a reading of the load nobody can say where energy went."));
  else put(host, sankey(visible(reply.links), labels, Math.max(300, host.clientWidth)));
  const lines = [];
  if (reply.self_consumption_percent !== null) lines.push(`${figure(reply.self_consumption_percent)} % of the PV energy was used here.`);
  if (reply.self_sufficiency_percent !== null) lines.push(`${figure(reply.self_sufficiency_percent)} % of the load did not come from the grid.`);
  put(byId("sums"), lines.map((line) => el("p", {}, line)));
}

// A ribbon of less than a thousandth cannot be seen.
function visible(links) {
  const total = links.reduce((sum, link) => sum + link.kwh, 0);
  return links.filter((link) => link.kwh >= total / 1000);
}

function plots() {
  for (const [id, flows] of Object.entries(PLOTS)) {
    const there = flows.filter((name) => page.reply.course.kwh[name]);
    byId(id).parentElement.hidden = !there.length;
    if (there.length) put(byId(id), legend(there), course(there.filter((name) => !page.hidden.has(name)), byId(id).clientWidth));
  }
}

function legend(names) {
  return el("div", { class: "keys" }, names.map((name) => {
    const swatch = svg("svg", { class: "swatch", viewBox: "0 0 1 1", "aria-hidden": "true" },
      svg("rect", { width: 1, height: DASHED.has(name) ? 0.35 : 1, y: DASHED.has(name) ? 0.32 : 0, fill: lineColour(name) }));
    const box = el("input", {
      type: "checkbox", checked: !page.hidden.has(name),
      oninput: (event) => {
        if (event.target.checked) page.hidden.delete(name);
        else page.hidden.add(name);
        plots();
      },
    });
    return el("label", {}, box, swatch, page.reply.flows[name]?.label || name);
  }));
}

const DASHED = new Set(["pv_expected", "grid_export", "discharged"]);
const lineColour = (name) => (name === "pv_expected" ? "var(--muted)" : colourOf(name));

// Mean power of each step, as steps; a step of which nothing is known is left out.
function course(names, width) {
  const { course: { starts, end, kwh } } = page.reply;
  const wide = Math.max(300, width), high = 240, left = 52, bottom = 26, top = 10;
  const edges = [...starts, end];
  const values = (name) => kwh[name].map((value, n) => (value === null ? null : (3600 * value) / (edges[n + 1] - edges[n])));
  const most = Math.max(0.001, ...names.flatMap((name) => values(name).filter((v) => v !== null)));
  const { ticks, step } = numberTicks(0, most, 4);
  const ceiling = Math.max(most, ticks[ticks.length - 1] || most);
  const x = (t) => left + ((t - edges[0]) / (end - edges[0])) * (wide - left - 8);
  const y = (v) => high - bottom - (Math.max(0, v) / ceiling) * (high - bottom - top);
  const drawing = svg("svg", { class: "drawn", viewBox: `0 0 ${wide} ${high}`, height: high, role: "img", "aria-label": "Mean power of each step, kilowatts" });
  for (const tick of ticks) {
    drawing.append(svg("line", { x1: left, x2: wide - 8, y1: y(tick), y2: y(tick), stroke: "var(--line)" }),
      svg("text", { class: "quiet", x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick, step)));
  }
  drawing.append(svg("text", { class: "quiet", x: 4, y: 14 }, "kW"));
  for (const { at, text } of timeTicks(edges[0], end, wide / 110)) {
    if (x(at) > left + 12 && x(at) < wide - 30) drawing.append(svg("text", { class: "quiet", x: x(at), y: high - 8, "text-anchor": "middle" }, text));
  }
  for (const name of names) {
    let path = "", open = false;
    for (const [n, value] of values(name).entries()) {
      if (value === null) open = false;
      else {
        path += `${open ? "L" : "M"}${x(edges[n]).toFixed(1)} ${y(value).toFixed(1)}H${x(edges[n + 1]).toFixed(1)}`;
        open = true;
      }
    }
    drawing.append(svg("path", { d: path, fill: "none", stroke: lineColour(name), "stroke-width": 2, "stroke-dasharray": DASHED.has(name) ? "5 4" : null }));
  }
  return drawing;
}

function bySite() {
  const { by_site: rows, flows } = page.reply;
  byId("sites-part").hidden = rows.length < 2;
  if (rows.length < 2) return;
  const names = CARDS.filter((name) => flows[name]);
  const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Site"),
    names.map((name) => el("th", { class: "number", scope: "col" }, `${flows[name].label}, kWh`))));
  const ordered = rows.toSorted((a, b) => (b.kwh.pv || 0) - (a.kwh.pv || 0)).slice(0, 200);
  const body = el("tbody", {}, ordered.map((row) => el("tr", {},
    el("th", { scope: "row" }, el("a", { href: `?${new URLSearchParams({ ...Object.fromEntries(given), site: row.site })}` }, isolated(row.name))),
    names.map((name) => el("td", { class: "number" }, row.kwh[name] === undefined ? "–" : figure(row.kwh[name]))))));
  put(byId("by-site"), el("table", {}, head, body));
}

async function choices() {
  const { sites } = await ask("api/v1/sites?view=brief&sort=name");
  page.sites = sites;
  const projects = [...new Set(sites.map((site) => site.project).filter(Boolean))].sort();
  byId("project").append(...projects.map((name) => el("option", { value: name }, name)));
  byId("project").parentElement.hidden = !projects.length;
  byId("project").value = given.get("project") || "";
  siteChoices();
}

function siteChoices() {
  const project = byId("project").value, groups = new Map();
  for (const site of page.sites) {
    if (project && site.project !== project) continue;
    const kind = site.kind || "";
    groups.set(kind, [...(groups.get(kind) || []), el("option", { value: site.id }, site.name)]);
  }
  const made = [...groups].map(([kind, options]) => (kind && groups.size > 1 ? el("optgroup", { label: kind }, options) : options));
  put(byId("site"), el("option", { value: "" }, "all sites"), made.flat());
  byId("site").value = given.get("site") || "";
  if (byId("site").selectedIndex < 0) byId("site").value = "";
}

function setUp() {
  setUpTheme();
  byId("periods").append(...USUAL.map((words) => el("option", { value: words })));
  const choose = (words) => () => {
    byId("period").value = words;
    byId("from").value = byId("to").value = "";
    keep();
    load();
  };
  byId("quick").append(...USUAL.map((words) => el("button", { type: "button", onclick: choose(words) }, words)));
  for (const name of ["period", "from", "to"]) byId(name).value = given.get(name) || "";
  byId("period").addEventListener("input", () => { byId("from").value = byId("to").value = ""; });
  byId("step").value = given.get("step") || "auto";
  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    keep();
    load();
  });
  for (const name of ["site", "step"]) byId(name).addEventListener("input", () => { keep(); load(); });
  byId("project").addEventListener("input", () => { given.delete("site"); siteChoices(); keep(); load(); });
  let pending = 0;
  addEventListener("resize", () => {
    clearTimeout(pending);
    pending = setTimeout(() => { if (page.reply && !byId("shown").hidden) show(); }, 150);
  });
  choices().catch(() => {}).then(load);
}

setUp();
