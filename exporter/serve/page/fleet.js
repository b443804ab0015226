// The fleet: counts, search, the list, and what keeps it all up to date.

const PAGE_SIZE = 100;
const OLD_SECONDS = 15;
const SEARCH_MILLISECONDS = 200;
const fleet = {
  sites: new Map(), now: new Map(), rows: new Map(), about: null, heard: null, shown: PAGE_SIZE,
  status: new Set(), lost: false, order: [],
};
// What the search found: ids, words that were taken for others, and what went wrong.
const search = { text: "", found: null, meant: [], fault: "", turn: 0 };

function take(event) {
  const data = JSON.parse(event.data);
  if (data.full) fleet.sites.clear();
  for (const one of data.sites) fleet.sites.set(one.id, one);
  for (const [id, values] of Object.entries(data.now)) fleet.now.set(id, values);
  for (const id of data.gone) {
    fleet.sites.delete(id);
    fleet.now.delete(id);
  }
  if (data.order) fleet.order = data.order;
  fleet.order.forEach((id, place) => {
    if (fleet.sites.has(id)) fleet.sites.get(id).attention_rank = place + 1;
  });
  fleet.about = data.fleet;
  fleet.heard = performance.now();
  fleet.lost = false;
  showGlance();
  showList();
  showFreshness();
  if (site.id !== null) refreshSite();
  refreshHappened();
  refreshSilences();
  // A status that changed may be what is searched for.
  if (search.text) runSearch();
}

// One search serves the page, the API and programs; it knows what comes near.
async function runSearch() {
  const text = byId("search").value.trim(), turn = (search.turn += 1);
  if (!text) {
    Object.assign(search, { text, found: null, meant: [], fault: "" });
    return;
  }
  try {
    const found = await ask(`api/v1/search?q=${encodeURIComponent(text)}`);
    if (turn === search.turn) Object.assign(search, { text, found: new Set(found.sites), meant: found.meant, fault: "" });
  } catch (error) {
    if (turn === search.turn) Object.assign(search, { text, found: new Set(), meant: [], fault: `The search failed: ${error.message}` });
  }
  if (turn === search.turn && fleet.about) showList();
}

let typing = null;

function searchSoon() {
  clearTimeout(typing);
  const empty = !byId("search").value.trim();
  typing = setTimeout(async () => {
    await runSearch();
    refilter();
  }, empty ? 0 : SEARCH_MILLISECONDS);
}

function listen() {
  const stream = new EventSource("api/v1/events");
  stream.addEventListener("assessment", take);
  stream.addEventListener("error", () => {
    fleet.lost = true;
    showFreshness();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}

function showFreshness() {
  const age = fleet.heard === null ? null : (performance.now() - fleet.heard) / 1000;
  const old = fleet.lost || (age !== null && age > OLD_SECONDS);
  const state = age === null ? (fleet.lost ? "The exporter does not answer" : "Connecting…")
    : fleet.lost ? "Connection lost; what is shown is old" : old ? "What is shown is old" : "Live";
  // Set only on a change: a screen reader says it each time.
  if (byId("fresh-state").textContent !== state) byId("fresh-state").textContent = state;
  byId("fresh").classList.toggle("old", old);
  document.title = `${old ? "(old) " : ""}${fleet.about ? `${fleet.about.attention.length} need attention · ` : ""}Fleetscope`;
  if (age === null) return;
  const at = new Date(fleet.about.time * 1000).toISOString();
  byId("fresh-age").textContent = `· as of ${at.slice(11, 19)} UTC${old ? ` on ${at.slice(0, 10)}, ${duration(age)} ago` : ""}`;
}

function showGlance() {
  const { counts, sites, mean_score: mean, median_score: median, attention, common_issues: common, unseen } = fleet.about;
  for (const status of STATUSES) {
    const button = byId(`status-${status}`);
    button.hidden = status === "UNKNOWN" && !counts.UNKNOWN && !fleet.status.has(status);
    button.querySelector(".figure").textContent = counts[status];
  }
  byId("bar").replaceChildren(stacked(counts, sites));
  byId("scores").textContent = `${sites} sites, ${attention.length} need attention. ` +
    (mean === null ? "No site has answered yet." : `Fleet score ${figure(mean, 0)} mean, ${figure(median, 0)} median.`) +
    (unseen ? ` ${unseen.sentence}.` : "");
  byId("common").replaceChildren(...common.slice(0, 5).map((issue) => el("li", {}, "⚑ ", isolated(issue.sentence))));
  showRegions();
}

function showRegions() {
  const regions = new Map();
  for (const one of fleet.sites.values()) {
    const name = one.region || "";
    const entry = regions.get(name) || { total: 0, wanting: 0, counts: {} };
    entry.total += 1;
    entry.counts[one.status] = (entry.counts[one.status] || 0) + 1;
    entry.wanting += one.worst !== null && one.worst.severity !== "info" ? 1 : 0;
    regions.set(name, entry);
  }
  const names = [...regions.keys()].sort();
  const known = byId("region");
  if ([...known.options].slice(1).map((option) => option.value).join("\n") !== names.filter(Boolean).join("\n")) {
    const chosen = known.value;
    known.replaceChildren(el("option", { value: "" }, "all"), ...names.filter(Boolean).map((name) => el("option", { value: name }, name)));
    known.value = names.includes(chosen) ? chosen : "";
  }
  byId("regions-box").hidden = names.filter(Boolean).length < 2;
  if (!byId("regions-box").open) return;
  const focused = document.activeElement?.dataset?.region;
  const order = names.filter(Boolean).sort((a, b) => regions.get(b).wanting - regions.get(a).wanting || a.localeCompare(b));
  byId("regions").replaceChildren(...order.slice(0, 60).map((name) => {
    const { total, wanting, counts } = regions.get(name);
    const button = el("button", { type: "button", "data-region": name, onclick: () => { known.value = name; refilter(); } },
      isolated(name), `: ${total} sites, ${wanting} need attention`, stacked(counts, total));
    if (name === focused) queueMicrotask(() => button.focus());
    return button;
  }));
}

function chosen() {
  const region = byId("region").value, priority = byId("priority").value;
  const found = [...fleet.sites.values()].filter((one) =>
    (!search.found || search.found.has(one.id)) && (!region || one.region === region) &&
    (!priority || one.priority === priority) && (!fleet.status.size || fleet.status.has(one.status)));
  const order = byId("order").value;
  if (order === "name") return found.sort((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1));
  const worst = (a, b) => a.attention_rank - b.attention_rank;
  if (order === "best") return found.sort((a, b) => (b.score ?? -1) - (a.score ?? -1) || worst(b, a));
  return found.sort(worst);
}

function showList() {
  const found = chosen(), shown = found.slice(0, fleet.shown), list = byId("list");
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const total = fleet.sites.size;
  const near = search.meant.length ? ` (nothing is called “${search.text}”; near it: ${search.meant.join(", ")})` : "";
  const count = search.fault || (found.length === total ? `${total} sites` : `${found.length} of ${total} sites${near}`);
  if (byId("count").textContent !== count) byId("count").textContent = count;
  byId("reset").hidden = found.length === total;
  byId("more").hidden = found.length <= fleet.shown;
  byId("more").textContent = `Show ${Math.min(PAGE_SIZE, found.length - fleet.shown)} more`;
  const keep = new Set(shown.map((one) => one.id));
  for (const [id, entry] of fleet.rows) {
    if (keep.has(id)) continue;
    entry.node.remove();
    fleet.rows.delete(id);
  }
  shown.forEach((one, place) => {
    const node = rowOf(one);
    if (list.children[place] !== node) list.insertBefore(node, list.children[place] || null);
  });
  // A row that moved has lost the focus on its way.
  if (focused && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

function rowOf(one) {
  let entry = fleet.rows.get(one.id);
  if (!entry) {
    const link = el("a", { class: "row", href: `#/site/${encodeURIComponent(one.id)}`, "data-id": one.id });
    entry = { node: el("li", {}, link), link, site: null, minute: null, now: null };
    fleet.rows.set(one.id, entry);
  }
  const minute = one.worst ? Math.floor((fleet.about.time - one.worst.since) / 60) : 0, now = fleet.now.get(one.id);
  if (entry.site !== one || entry.minute !== minute || entry.now !== now) {
    Object.assign(entry, { site: one, minute, now });
    entry.link.replaceChildren(...rowContent(one));
  }
  if (site.id === one.id) entry.link.setAttribute("aria-current", "true");
  else entry.link.removeAttribute("aria-current");
  return entry.node;
}

// State of charge, and what the battery does; blank where the site does not answer.
function nowText(one) {
  const [soc, watts] = fleet.now.get(one.id) || [null, null];
  if (one.status === "OFFLINE" || (soc === null && watts === null)) return [];
  const does = watts === null ? "" : Math.abs(watts) < IDLE_WATTS ? "idle" : `${watts > 0 ? "charging" : "discharging"} ${power(Math.abs(watts))}`;
  return [el("span", { class: "charge" }, soc === null ? "charge not known" : `${soc} %`), " ", el("span", { class: "does" }, does)];
}

function rowContent(one) {
  const parts = Object.entries(one.components).map(([name, score]) => `${COMPONENTS[name]} ${figure(score, 0)}`).join(" · ");
  const more = one.issues > 1 ? ` (+${one.issues - 1} more)` : "";
  const place = [one.location, one.region].filter(Boolean).join(" · ");
  const why = one.worst ? el("span", { class: one.worst.severity }, isolated(one.worst.sentence), more)
    : one.missing.length ? el("span", { class: "muted" }, `no reading of ${one.missing.map(words).join(", ")}`) : null;
  return [
    statusText(one.status),
    el("span", { class: "name" }, isolated(one.name), el("span", { class: "place" }, isolated(place), one.in_maintenance ? " · in maintenance" : "")),
    el("span", { class: "score" }, figure(one.score, 0)),
    el("span", { class: "now" }, nowText(one)),
    el("span", { class: "why" }, why, el("span", { class: "parts" }, parts)),
    el("span", { class: "since" }, one.worst ? duration(fleet.about.time - one.worst.since) : ""),
  ];
}

function refilter() {
  fleet.shown = PAGE_SIZE;
  for (const status of STATUSES) byId(`status-${status}`).setAttribute("aria-pressed", String(fleet.status.has(status)));
  if (fleet.about) showList();
}

function route() {
  const match = /^#\/site\/([^?]+)(?:\?(.*))?$/.exec(location.hash);
  const before = site.id;
  let id = null;
  try {
    id = match && decodeURIComponent(match[1]);
  } catch {
    // An address that was cut short names no site.
  }
  if (id) openSite(id, new URLSearchParams(match[2] || "").get("period"));
  else {
    closeSite();
    if (before !== null) fleet.rows.get(before)?.link.focus();
  }
  if (fleet.about) showList();
}

function setUp() {
  for (const status of STATUSES) {
    byId("statuses").append(el("button", {
      type: "button", id: `status-${status}`, "aria-pressed": "false",
      onclick: () => {
        if (!fleet.status.delete(status)) fleet.status.add(status);
        refilter();
      },
    }, el("span", { class: "figure" }, "–"), statusText(status)));
  }
  byId("search").addEventListener("input", searchSoon);
  for (const id of ["region", "priority", "order"]) byId(id).addEventListener("input", refilter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => {
    byId("filters").reset();
    fleet.status.clear();
    Object.assign(search, { text: "", found: null, meant: [], fault: "" });
    refilter();
    byId("search").focus();
  });
  byId("more").addEventListener("click", () => {
    const last = byId("list").lastElementChild;
    fleet.shown += PAGE_SIZE;
    showList();
    last?.nextElementSibling?.querySelector("a").focus();
  });
  byId("regions-box").addEventListener("toggle", () => fleet.about && showRegions());
  byId("list").addEventListener("keydown", (event) => {
    const row = event.target.closest("li");
    const next = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling }[event.key];
    if (!next) return;
    event.preventDefault();
    next.querySelector("a").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && site.id !== null && !["INPUT", "SELECT"].includes(event.target.tagName)) location.hash = "#/";
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("list").focus();
  });
  setUpTheme();
  setUpAsking();
  setUpTimeline();
  window.addEventListener("hashchange", route);
  let resizing = null;
  window.addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      if (site.id === null) return;
      if (site.past) showPlots();
      refreshSite();
    }, 200);
  });
  setInterval(showFreshness, 1000);
  route();
  listen();
}

setUp();
