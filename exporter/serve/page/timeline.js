// What happened, at one site or in the whole fleet, and what is silenced now.

const HAPPENED_SECONDS = 60;
const HAPPENED_RANGES = { "15m": "15 min", "1h": "1 h", "24h": "24 h", "7d": "7 days" };
const happened = { period: "24h", turn: 0, loaded: 0 };

// A timeline as the API answers it; columns that say the same of each row are left out.
function timelineView(answer, without = []) {
  const observed = observedText(answer);
  return [
    el("p", {}, isolated(answer.headline)),
    observed && el("p", { class: "muted" }, observed),
    ...answer.tables.map((table) => answerTable({ ...table, columns: table.columns.filter(({ key }) => !without.includes(key)) })),
  ].filter(Boolean);
}

async function refreshHappened(now = false) {
  if (!byId("happened-box").open) return;
  const age = (performance.now() - happened.loaded) / 1000;
  if (!now && happened.loaded && age < HAPPENED_SECONDS) return;
  happened.loaded = performance.now();
  const turn = (happened.turn += 1), box = byId("happened");
  for (const range of Object.keys(HAPPENED_RANGES)) byId(`happened-${range}`).setAttribute("aria-pressed", String(range === happened.period));
  box.setAttribute("aria-busy", "true");
  try {
    const answer = await ask(`api/v1/timeline?${new URLSearchParams({ period: happened.period, tz: ZONE })}`);
    if (turn === happened.turn) put(box, ...timelineView(answer, ["site"]));
  } catch (error) {
    if (turn === happened.turn) put(box, el("p", { class: "note" }, `It is not known: ${error.message}.`));
  }
  if (turn === happened.turn) box.removeAttribute("aria-busy");
}

const silences = { loaded: 0 };

async function refreshSilences() {
  const age = (performance.now() - silences.loaded) / 1000, box = byId("silences-box");
  if (silences.loaded && age < HAPPENED_SECONDS) return;
  silences.loaded = performance.now();
  try {
    const answer = await ask("api/v1/query?what=silences");
    const count = answer.tables.reduce((sum, table) => sum + table.total, 0), unknown = answer.evidence.missing;
    // Without an Alertmanager in the settings there is nothing to be silenced.
    box.hidden = !count && unknown.some((text) => text.includes("FLEETSCOPE_ALERTMANAGER_URL"));
    byId("silences-title").textContent = count ? `Silenced or muted: ${count}` : unknown.length ? "Silences are not known" : "Nothing is silenced";
    put(byId("silences"), el("p", {}, isolated(answer.headline)), ...answer.tables.map((table) => answerTable(table)),
      unknown.length ? el("p", { class: "muted" }, `Not known: ${unknown.join("; ")}.`) : null);
  } catch (error) {
    box.hidden = false;
    byId("silences-title").textContent = "Silences are not known";
    put(byId("silences"), el("p", { class: "note" }, `They cannot be shown: ${error.message}.`));
  }
}

function setUpTimeline() {
  const choose = (period) => {
    happened.period = period;
    byId("happened-period").value = period;
    refreshHappened(true);
  };
  byId("happened-ranges").replaceChildren(...Object.entries(HAPPENED_RANGES).map(([range, name]) =>
    el("button", { type: "button", id: `happened-${range}`, "aria-pressed": String(range === happened.period), onclick: () => choose(range) }, name)));
  byId("happened-period").value = happened.period;
  byId("happened-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("happened-period").value.trim()) choose(byId("happened-period").value.trim());
  });
  byId("happened-box").addEventListener("toggle", () => refreshHappened());
}
