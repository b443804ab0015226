// One site in detail.

const HISTORY_SECONDS = 60;
const site = { id: null, period: "24h", loaded: 0, wanted: 0, turn: 0, plots: null, events: null, past: null };

/** How sure the score is, next to it; nothing where the site does not answer. */
function sureness(found) {
  return found.confidence === null ? "" : `, confidence ${figure(found.confidence * 100, 0)} %`;
}

function openSite(id, period = null) {
  if (period && period !== site.period) {
    site.period = period;
    if (site.id === id) showPeriod();
  }
  if (site.id === id) return;
  Object.assign(site, { id, loaded: 0, plots: null, events: null, past: null });
  const detail = byId("detail");
  detail.hidden = false;
  detail.replaceChildren(el("p", { class: "muted" }, "Loading…"));
  document.querySelector(".panes").classList.add("open");
  refreshSite().then(() => {
    const title = byId("site-title");
    if (title && site.id === id) title.focus({ preventScroll: window.innerWidth >= 1100 });
  });
}

function closeSite() {
  if (site.id === null) return;
  site.id = null;
  byId("detail").hidden = true;
  byId("detail").replaceChildren();
  document.querySelector(".panes").classList.remove("open");
}

async function refreshSite() {
  const id = site.id, turn = (site.wanted += 1);
  if (id === null) return;
  const path = `api/v1/sites/${encodeURIComponent(id)}`;
  try {
    const [found, packs] = await Promise.all([ask(path), ask(`${path}/packs`)]);
    // A slower answer to an earlier question must not overwrite this one.
    if (turn === site.wanted && id === site.id) showSite(found, packs.packs);
  } catch (error) {
    if (turn === site.wanted && id === site.id) showNothing(id, error);
  }
}

function showNothing(id, error) {
  const detail = byId("detail");
  if (byId("site-title") && !/no site/.test(error.message)) return;
  site.plots = null;
  detail.replaceChildren(
    el("div", { class: "title" }, el("h2", { id: "site-title", tabindex: "-1" }, isolated(id)), closeButton()),
    el("p", { class: "note" }, `It cannot be shown: ${error.message}`));
}

const closeButton = () => el("button", { type: "button", id: "close", onclick: () => { location.hash = "#/"; } }, "Close");

// What is renewed with every Assessment is put into parts of its own: what somebody reads, types or
// has the focus on in the others stays.
function frameSite() {
  site.parts = { head: el("div"), now: el("div"), tables: el("div") };
  site.plots = el("div", { id: "plots" }, el("p", { class: "muted" }, "Loading…"));
  site.events = el("div", { id: "timeline" });
  site.alerts = el("section", { id: "alerts", "aria-label": "Alerts", hidden: true });
  site.orders = el("section", { id: "orders", "aria-label": "Orders", hidden: true });
  put(byId("detail"), site.parts.head, site.alerts, site.orders, site.parts.now, el("h3", {}, "Past"), periodChooser(),
    site.plots, site.events, site.parts.tables);
}

function showSite(found, packs) {
  const detail = byId("detail"), focused = document.activeElement && document.activeElement.id;
  const inside = detail.contains(document.activeElement), at = detail.scrollTop;
  const open = new Set([...detail.querySelectorAll("details[open]")].map((node) => node.id));
  if (!site.plots) frameSite();
  const { head, now, tables } = site.parts;
  put(head,
    el("div", { class: "title" },
      el("h2", { id: "site-title", tabindex: "-1" }, isolated(found.name)),
      statusText(found.status),
      el("span", {}, `score ${figure(found.score, 0)} of 100${sureness(found)}`), closeButton()),
    facts(found), contactLine(found), siteLinks(found), scoreParts(found),
    el("h3", {}, "What is wrong, and what to do"), issueList(found));
  put(now, el("div", { class: "halves" },
    el("div", {}, el("h3", {}, "Power now"), drawFlow(found)),
    el("div", {}, el("h3", {}, "Cells"), packList(packs, found))));
  put(tables, siteTables(found, packs, open));
  detail.scrollTop = at;
  if (inside && focused && document.activeElement?.id !== focused) byId(focused)?.focus({ preventScroll: true });
  refreshPlots(false);
  refreshAlerts(found.id);
  refreshOrders(found.id);
}

// Pixels that a drawing may take: half of the pane where two stand side by side.
function room() {
  const inside = byId("detail").clientWidth - 34;
  return Math.floor(matchMedia("(min-width: 1500px)").matches ? (inside - 20) / 2 : inside);
}

function contactLine(found) {
  if (!found.contact) return null;
  const { name, phone, email } = found.contact;
  const ways = [name && isolated(name), phone && el("a", { href: `tel:${phone.replace(/[^+\d]/g, "")}` }, phone), email && el("a", { href: `mailto:${email}` }, email)].filter(Boolean);
  return el("p", { class: "contact" }, el("strong", {}, "Call: "), ways.flatMap((way, n) => (n ? [" · ", way] : [way])));
}

function siteLinks(found) {
  const id = encodeURIComponent(found.id), grafana = LINKS.grafana;
  const boards = { "Site · Now": "fleetscope-site", "Battery · Balance": "fleetscope-cells" };
  return el("p", { class: "links" }, el("a", { href: `cells?site=${id}&period=${encodeURIComponent(site.period)}` }, "Cells over time, in three dimensions"),
    " · ", el("a", { href: `energy?site=${id}` }, "Energy: what came and where it went"),
    grafana ? Object.entries(boards).flatMap(([title, uid]) => [" · ", el("a", { href: `${grafana}/d/${uid}?var-site=${id}` }, `Grafana: ${title}`)]) : null);
}

// The runbook of the alert that an issue of this severity raises.
function runbookOf(issue) {
  const [warning, critical] = RUNBOOKS[issue.code] || OTHER_RUNBOOKS;
  const name = issue.severity === "critical" ? critical : warning;
  return el("a", { href: `${LINKS.runbooks}#${name.toLowerCase()}` }, "Runbook");
}

// The usual kind needs no name.
const KINDS = { bess: "large battery", pv: "PV without a battery", meter: "meter", datacentre: "data centre" };

function facts(found) {
  const age = found.last_success === null ? "has never answered" : `answered ${duration(found.time - found.last_success)} ago`;
  const texts = [
    found.id, found.location, found.region, `${found.priority} priority`, KINDS[found.kind], found.battery_type,
    found.capacity_kwh === null ? null : `${figure(found.capacity_kwh)} kWh`,
    found.solar_capacity_kw ? `${figure(found.solar_capacity_kw)} kW PV` : null,
    found.off_grid ? "off-grid" : null, age, found.ways_in.length > 1 ? `read over ${found.way_in} (of ${found.ways_in.join(", ")})` : `read over ${found.way_in}`, `place ${found.attention_rank} in need of attention`,
  ];
  if (found.odd) texts.push(`odd in several ways beside its peers: ${oddWays(found)}`);
  return el("ul", { class: "facts muted" }, texts.filter(Boolean).map((text) => el("li", {}, isolated(text))),
    found.in_maintenance ? el("li", {}, el("strong", {}, "in maintenance: no alerts")) : null);
}

// Robust z of each metric in which a site is compared.
function oddWays(found) {
  return Object.entries(found.outlier_scores).map(([name, z]) => `${name.replaceAll("_", " ")} ${z < 0 ? "−" : "+"}${figure(Math.abs(z), 1)}`).join(", ");
}

function scoreParts(found) {
  return el("ul", { class: "components" }, Object.entries(found.components).map(([name, score]) => {
    const colour = score === null ? "var(--shade)" : `var(--${STATUS_FROM.find(([, from]) => score >= from)?.[0] || "CRITICAL"})`;
    return el("li", {}, `${name} ${score === null ? "unknown" : figure(score, 0)}`,
      el("span", { class: "muted" }, found.effective_weights[name] === null ? "" : ` · weight ${figure(found.effective_weights[name] * 100, 1)} %`),
      svg("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { width: 100, height: 1, fill: "var(--shade)" }),
        svg("rect", { width: score || 0, height: 1, fill: colour })));
  }));
}

function issueList(found) {
  const missing = found.missing.length
    ? el("p", { class: "muted" }, `No reading of ${found.missing.map(words).join(", ")}: it is left out of the score, not taken for good.`) : null;
  if (!found.issues.length) return el("div", {}, el("p", {}, "Nothing known is wrong."), missing);
  return el("div", {}, el("ul", { class: "issues" }, found.issues.map((issue) =>
    el("li", { class: issue.severity },
      el("strong", {}, `${SEVERITY_MARKS[issue.severity]} ${issue.severity}: `), isolated(issue.sentence),
      el("p", {}, issue.action),
      el("p", { class: "muted" }, `${issue.code}, for ${duration(found.time - issue.since)}` +
        (issue.deduction ? `, costs ${figure(issue.deduction, 0)} points of ${issue.component}` : ""), ". ",
      issue.severity === "info" ? null : runbookOf(issue))))), missing);
}

function packList(packs, found) {
  if (!packs.length) return el("p", { class: "muted" }, "No battery of this site reports cells.");
  return el("div", {}, packs.map((pack) => {
    const drawing = drawCells(pack, found.thresholds, room());
    const { cell_min_v: low, cell_max_v: high } = pack.readings;
    const extremes = low === undefined || high === undefined ? "It gives no cell voltages."
      : `Lowest cell ${figure(low, 3)} V${pack.cell_min_id ? ` (${pack.cell_min_id})` : ""}, highest ` +
        `${figure(high, 3)} V${pack.cell_max_id ? ` (${pack.cell_max_id})` : ""}; it does not publish single cells.`;
    return el("div", {}, el("p", {}, isolated(pack.device), pack.active ? "" : " (not in charge of the site)",
      el("span", { class: "muted" }, `, read ${duration(pack.age_seconds)} ago`)),
    drawing || el("p", { class: "muted" }, extremes));
  }));
}

function periodChooser() {
  const input = el("input", { id: "period", type: "text", autocomplete: "off", spellcheck: "false", value: site.period, placeholder: "7d, yesterday, between 13:10 and 13:20" });
  const choose = (period) => {
    const path = `#/site/${encodeURIComponent(site.id)}`;
    location.hash = period === "24h" ? path : `${path}?period=${encodeURIComponent(period)}`;
    if (site.period === period) return;
    site.period = period;
    showPeriod();
  };
  return el("form", { class: "ranges", "aria-label": "Period", onsubmit: (event) => { event.preventDefault(); if (input.value.trim()) choose(input.value.trim()); } },
    Object.entries(RANGES).map(([range, name]) => el("button", {
      type: "button", id: `range-${range}`, "aria-pressed": String(site.period === range), onclick: () => choose(range),
    }, name)),
    el("label", {}, "Period ", input), el("button", { type: "submit", id: "period-show" }, "Show"));
}

function showPeriod() {
  for (const range of Object.keys(RANGES)) byId(`range-${range}`)?.setAttribute("aria-pressed", String(range === site.period));
  if (byId("period")) byId("period").value = site.period;
  if (site.plots) refreshPlots(true);
}

async function refreshPlots(now) {
  const age = (performance.now() - site.loaded) / 1000;
  if (!now && site.loaded && age < HISTORY_SECONDS) return;
  site.loaded = performance.now();
  const { id, period, plots } = site, turn = (site.turn += 1);
  const current = () => plots === site.plots && turn === site.turn;
  refreshTimeline(id, period, current);
  try {
    const past = await loadPast(id, period);
    if (!current()) return;
    site.past = past;
    showPlots();
  } catch (error) {
    if (!current()) return;
    site.past = null;
    plots.replaceChildren(el("p", { class: "note" }, `There is no past to show: ${error.message}.`));
  }
}

function showPlots() {
  const { since, until } = Object.values(site.past)[0], wide = room();
  site.plots.replaceChildren(
    el("p", { class: "muted" }, `${moment(since)} to ${moment(until)} (${ZONE}).`),
    el("div", { class: "halves" }, PLOTS.map((plot) => drawPlot(plot, site.past, wide))));
}

// What happened in the same period, and what was observed of it.
async function refreshTimeline(id, period, current) {
  const box = site.events;
  try {
    const answer = await ask(`api/v1/timeline?${new URLSearchParams({ site: id, period, tz: ZONE })}`);
    if (!current()) return;
    put(box, el("h3", {}, "What happened"), ...timelineView(answer, ["name", "site"]));
  } catch (error) {
    if (current()) put(box, el("h3", {}, "What happened"), el("p", { class: "note" }, `It is not known: ${error.message}.`));
  }
}

function siteTables(found, packs, open) {
  const names = Object.keys(found.readings).filter((name) => !SECOND_KEYS.has(name)).sort();
  const limit = (value) => found.issues.find((issue) => issue.value === value)?.threshold ?? null;
  const rows = names.map((name) => el("tr", {}, el("th", { scope: "row" }, words(name)),
    el("td", { class: "number" }, reading(name, found.readings[name], limit(found.readings[name]))),
    el("td", { class: "number" }, name in found.reading_ages_seconds ? `${duration(found.reading_ages_seconds[name])} ago` : "")));
  const head = (...titles) => el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title))));
  const box = (id, title, ...content) => el("details", { id, open: open.has(id) }, el("summary", {}, title), el("div", { class: "scroll" }, content));
  const cells = packs.filter((pack) => pack.cells.length).map((pack) => el("table", {},
    el("caption", {}, isolated(pack.device)), head("cell", "voltage", "temperature"),
    el("tbody", {}, pack.cells.map((cell) => el("tr", {}, el("th", { scope: "row" }, isolated(cell.cell)),
      el("td", { class: "number" }, cell.voltage_v === null ? "no reading" : `${cell.voltage_v.toFixed(3)} V`),
      el("td", { class: "number" }, cell.temperature_c === null ? "no reading" : `${cell.temperature_c.toFixed(1)} °C`))))));
  return el("div", {},
    box("readings-box", `All readings (${names.length})`, el("table", {}, head("reading", "value", "read"), el("tbody", {}, rows))),
    cells.length ? box("cells-box", "Cells as a table", cells) : null,
    el("p", {}, el("a", { href: `api/v1/sites/${encodeURIComponent(found.id)}` }, "This site as JSON")));
}
