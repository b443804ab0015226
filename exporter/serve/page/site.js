// One site in detail.

const HISTORY_SECONDS = 60;
const site = { id: null, range: "24h", loaded: 0, wanted: 0, opener: null, plots: null };

function openSite(id) {
  if (site.id === id) return;
  Object.assign(site, { id, loaded: 0, plots: null });
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
  detail.replaceChildren(
    el("div", { class: "title" }, el("h2", { id: "site-title", tabindex: "-1" }, isolated(id)), closeButton()),
    el("p", { class: "note" }, `It cannot be shown: ${error.message}`));
}

const closeButton = () => el("button", { type: "button", id: "close", onclick: () => { location.hash = "#/"; } }, "Close");

function showSite(found, packs) {
  const detail = byId("detail"), focused = document.activeElement && document.activeElement.id;
  const inside = detail.contains(document.activeElement), at = detail.scrollTop;
  const open = new Set([...detail.querySelectorAll("details[open]")].map((node) => node.id));
  if (!site.plots) site.plots = el("div", { id: "plots" }, el("p", { class: "muted" }, "Loading…"));
  detail.replaceChildren(
    el("div", { class: "title" },
      el("h2", { id: "site-title", tabindex: "-1" }, isolated(found.name)),
      statusText(found.status),
      el("span", {}, `score ${figure(found.score, 0)} of 100`), closeButton()),
    facts(found), scoreParts(found), el("h3", {}, "What is wrong, and what to do"), issueList(found),
    el("div", { class: "halves" },
      el("div", {}, el("h3", {}, "Power now"), drawFlow(found)),
      el("div", {}, el("h3", {}, "Cells"), packList(packs, found))),
    el("h3", {}, "Past"), rangeButtons(), site.plots,
    tables(found, packs, open));
  detail.scrollTop = at;
  if (inside && focused) byId(focused)?.focus({ preventScroll: true });
  refreshPlots(false);
}

function facts(found) {
  const age = found.last_success === null ? "has never answered" : `answered ${duration(found.time - found.last_success)} ago`;
  const texts = [
    found.id, found.location, found.region, `${found.priority} priority`, found.battery_type,
    found.capacity_kwh === null ? null : `${figure(found.capacity_kwh)} kWh`,
    found.solar_capacity_kw ? `${figure(found.solar_capacity_kw)} kW PV` : null,
    found.off_grid ? "off-grid" : null, age, `place ${found.attention_rank} in need of attention`,
  ];
  return el("ul", { class: "facts muted" }, texts.filter(Boolean).map((text) => el("li", {}, isolated(text))),
    found.in_maintenance ? el("li", {}, el("strong", {}, "in maintenance: no alerts")) : null);
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
        (issue.deduction ? `, costs ${figure(issue.deduction, 0)} points of ${issue.component}` : ""))))), missing);
}

function packList(packs, found) {
  if (!packs.length) return el("p", { class: "muted" }, "No battery of this site has told of cells.");
  return el("div", {}, packs.map((pack) => {
    const drawing = drawCells(pack, found.thresholds);
    const { cell_min_v: low, cell_max_v: high } = pack.readings;
    const extremes = low === undefined || high === undefined ? "It gives no cell voltages."
      : `Lowest cell ${figure(low, 3)} V${pack.cell_min_id ? ` (${pack.cell_min_id})` : ""}, highest ` +
        `${figure(high, 3)} V${pack.cell_max_id ? ` (${pack.cell_max_id})` : ""}; it does not publish single cells.`;
    return el("div", {}, el("p", {}, isolated(pack.device), pack.active ? "" : " (not in charge of the site)",
      el("span", { class: "muted" }, `, read ${duration(pack.age_seconds)} ago`)),
    drawing || el("p", { class: "muted" }, extremes));
  }));
}

function rangeButtons() {
  return el("div", { class: "ranges", role: "group", "aria-label": "Time range" },
    Object.entries(RANGES).map(([range, name]) => el("button", {
      type: "button", id: `range-${range}`, "aria-pressed": String(site.range === range),
      onclick: () => {
        site.range = range;
        for (const key of Object.keys(RANGES)) byId(`range-${key}`).setAttribute("aria-pressed", String(key === range));
        refreshPlots(true);
      },
    }, name)));
}

async function refreshPlots(now) {
  const age = (performance.now() - site.loaded) / 1000;
  if (!now && site.loaded && age < HISTORY_SECONDS) return;
  site.loaded = performance.now();
  const { id, range, plots } = site;
  try {
    const drawn = await loadPlots(id, range);
    if (plots === site.plots && range === site.range) plots.replaceChildren(el("div", { class: "halves" }, drawn));
  } catch (error) {
    plots.replaceChildren(el("p", { class: "note" }, `There is no past to show: ${error.message}.`));
  }
}

function tables(found, packs, open) {
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
