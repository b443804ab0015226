// Alerts of the site that is open, as Alertmanager has them, and silences by whoever may set them.

const ALERT_SECONDS = 20;
const HOURS = { 1: "1 hour", 4: "4 hours", 12: "12 hours", 24: "a day", 72: "3 days", 168: "a week" };
const alerting = { id: null, loaded: 0, known: null, open: null, note: "" };

async function refreshAlerts(id, now = false) {
  if (alerting.id !== id) Object.assign(alerting, { id, loaded: 0, known: null, open: null, note: "" });
  if (!now && performance.now() - alerting.loaded < ALERT_SECONDS * 1000 && alerting.loaded) return;
  alerting.loaded = performance.now();
  try {
    const found = await ask(`api/v1/alerts?site=${encodeURIComponent(id)}`);
    if (alerting.id === id) alerting.known = found;
  } catch (error) {
    if (alerting.id === id) alerting.known = { fault: error.message, off: /is not set/.test(error.message) };
  }
  showAlerts();
}

function showAlerts() {
  const box = byId("alerts"), { known } = alerting;
  if (!box || !known) return;
  const active = document.activeElement, inside = box.contains(active), focused = active?.id;
  // What somebody is typing stays.
  if (inside && ["INPUT", "SELECT"].includes(active.tagName)) return;
  box.hidden = Boolean(known.off);
  if (known.off) return;
  if (known.fault) {
    put(box, el("h3", {}, "Alerts"), el("p", { class: "note" }, `Alerts cannot be shown: ${known.fault}`));
    return;
  }
  const whole = known.silences.filter((one) => one.alert === null || !known.alerts.some((alert) => alert.name === one.alert));
  put(box,
    el("h3", {}, "Alerts"),
    alerting.note ? el("p", { class: "note", role: "status" }, alerting.note) : null,
    known.alerts.length ? el("ul", { class: "issues" }, known.alerts.map((alert) => alertItem(alert))) : el("p", {}, "No alert of this site fires."),
    ...(whole.length ? [el("p", { class: "muted" }, "Silenced ahead:"), el("ul", {}, whole.map((one) => el("li", {}, silenceText(one), endButton(one))))] : []),
    known.may_silence ? null : el("p", { class: "muted" }, "Acknowledging and silencing need the role operator for this site."),
    known.may_silence && known.alerts.length > 1 ? silenceForm(null) : null);
  if (inside && focused) byId(focused)?.focus({ preventScroll: true });
}

function alertItem(alert) {
  const held = alert.silences.length ? "silenced" : alert.inhibited ? "held back by another alert" : alert.state;
  const acknowledged = alert.silences.some((one) => one.acknowledges);
  const open = alerting.open === alert.name;
  return el("li", { class: alert.severity === "page" ? "critical" : alert.severity === "ticket" ? "warning" : "info" },
    el("strong", {}, `${alert.severity === "page" ? "■ page" : alert.severity || "alert"}: `), isolated(alert.summary || alert.name),
    el("p", {}, `${alert.name}, for ${duration(Date.now() / 1000 - alert.since)}: `, el("strong", {}, acknowledged ? "acknowledged" : held), ". ",
      el("a", { href: `${LINKS.runbooks}#${alert.name.toLowerCase()}` }, "Runbook")),
    ...alert.silences.map((one) => el("p", { class: "muted" }, silenceText(one), one.site === alerting.id ? endButton(one) : null)),
    alerting.known.may_silence && !alert.silences.length
      ? open ? silenceForm(alert) : el("button", { type: "button", id: `answer-${alert.name}`, onclick: () => { alerting.open = alert.name; showAlerts(); byId("silence-comment")?.focus(); } }, "Acknowledge or silence")
      : null);
}

const silenceText = (one) => el("span", {}, isolated(`${one.alert || "all alerts of this site"} until ${moment(one.ends)} by ${one.author}: ${one.comment} `));

function endButton(one) {
  if (!alerting.known.may_silence) return null;
  return el("button", { type: "button", id: `end-${one.id}`, "aria-label": `End the silence of ${one.alert || "all alerts"}`, onclick: () => change("expire", { site: alerting.id, silence: one.id }) }, "End it");
}

// Of one alert; without one, of all alerts of the site.
function silenceForm(alert) {
  const own = alert ? "silence" : "silence-all";
  const send = (acknowledge) => {
    const comment = byId(`${own}-comment`).value.trim();
    if (!comment) {
      byId(`${own}-comment`).focus();
      return;
    }
    change("silence", { site: alerting.id, alert: alert?.name ?? null, hours: Number(byId(`${own}-hours`).value), comment, acknowledge });
  };
  return el("form", { class: "silence", "aria-label": alert ? `Silence ${alert.name}` : "Silence all alerts of this site", onsubmit: (event) => { event.preventDefault(); send(Boolean(alert)); } },
    el("label", {}, alert ? "Why, or who is at it" : "Silence all of them, because", el("input", { id: `${own}-comment`, type: "text", maxlength: 400, required: true, autocomplete: "off" })),
    el("label", {}, "For", el("select", { id: `${own}-hours` }, Object.entries(HOURS).map(([hours, text]) => el("option", { value: hours, selected: hours === "4" }, text)))),
    alert ? el("button", { type: "submit", id: `${own}-submit` }, "Acknowledge") : null,
    el("button", { type: "button", id: `${own}-only`, onclick: () => send(false) }, alert ? "Silence" : "Silence all"),
    alert ? el("button", { type: "button", id: `${own}-cancel`, onclick: () => { alerting.open = null; showAlerts(); byId(`answer-${alert.name}`)?.focus(); } }, "Cancel") : null);
}

async function change(what, body) {
  document.activeElement?.blur();
  try {
    alerting.known = await ask(`api/v1/alerts/${what}`, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    alerting.note = what === "expire" ? "The silence has ended." : `Done; until ${moment(Date.now() / 1000 + body.hours * HOUR)}.`;
    alerting.open = null;
  } catch (error) {
    alerting.note = `Not done: ${error.message}`;
  }
  showAlerts();
}
