// Answers to questions: a sentence, tables, and what was observed, as the API gives them.

const asking = { session: null, turn: 0 };

function cellOf(column, row) {
  const value = row[column.key];
  if (value === null || value === undefined || value === "") return el("td", { class: "muted" }, "–");
  if (column.kind === "status" && MARKS[value]) return el("td", { class: "short" }, statusText(value));
  if (column.kind === "severity") return el("td", { class: `${value} short` }, value);
  if (column.kind === "time") return el("td", { class: "short" }, moment(value));
  if (column.kind === "duration") return el("td", { class: "number" }, duration(value));
  if (typeof value === "number") {
    const text = column.unit === "W" ? power(value) : `${figure(value, column.decimals)}${column.unit ? ` ${column.unit}` : ""}`;
    return el("td", { class: "number" }, text);
  }
  const id = row.site ?? row.id;
  const text = isolated(String(value));
  if (id && (column.key === "name" || column.key === "site") && fleet.sites.has(id)) {
    return el("td", {}, el("a", { href: `#/site/${encodeURIComponent(id)}` }, text));
  }
  return el("td", {}, text);
}

function answerTable(table, most = 50) {
  const shown = table.rows.slice(0, most);
  const columns = table.columns.filter((column) => shown.some((row) => row[column.key] !== null && row[column.key] !== undefined && row[column.key] !== ""));
  if (!shown.length) return null;
  const more = table.total > shown.length ? el("p", { class: "muted" }, `${shown.length} of ${table.total} rows.`) : null;
  return el("div", {}, el("div", { class: "scroll" }, el("table", { class: "answer" },
    el("caption", {}, table.title),
    el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col" }, column.label)))),
    el("tbody", {}, shown.map((row) => el("tr", {}, columns.map((column) => labelled(cellOf(column, row), column.label))))))), more);
}

// On a phone each row stands as lines, each behind the heading of its column.
function labelled(cell, label) {
  cell.dataset.label = label;
  return cell;
}

// What was observed, unless the headline says so already.
function observedText(answer) {
  const sentence = answer.coverage?.sentence;
  return sentence && !answer.headline.includes(sentence) ? sentence : null;
}

function answerView(answer) {
  const remarks = [...(answer.notes || []), ...answer.evidence.notes, ...answer.evidence.missing.map((text) => `Not known: ${text}`)];
  return [
    el("p", { class: "headline" }, isolated(answer.headline)),
    el("p", { class: "muted" }, `Understood as: ${answer.understood}.`),
    observedText(answer) && el("p", { class: "muted" }, observedText(answer)),
    ...answer.tables.map((table) => answerTable(table)),
    remarks.length ? el("ul", { class: "muted" }, remarks.map((text) => el("li", {}, isolated(text)))) : null,
  ].filter(Boolean);
}

async function askQuestion(text) {
  const box = byId("answer"), turn = (asking.turn += 1);
  byId("answer-box").hidden = false;
  box.replaceChildren(el("p", { class: "muted" }, "…"));
  const asked = new URLSearchParams({ q: text, tz: ZONE });
  if (asking.session) asked.set("session", asking.session);
  try {
    const answer = await ask(`api/v1/ask?${asked}`);
    if (turn !== asking.turn) return;
    asking.session = answer.session;
    box.replaceChildren(...answerView(answer));
  } catch (error) {
    if (turn !== asking.turn) return;
    asking.session = error.body?.session || asking.session;
    const examples = error.body?.examples || error.body?.suggestions || [];
    box.replaceChildren(el("p", { class: "headline" }, isolated(error.message)),
      ...(examples.length ? [el("ul", { class: "choices" }, examples.slice(0, 6).map((example) => el("li", {},
        el("button", { type: "button", onclick: () => { byId("question").value = example; askQuestion(example); } }, isolated(example)))))] : []));
  }
}

function setUpAsking() {
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("question").value.trim();
    if (text) askQuestion(text);
  });
  byId("answer-close").addEventListener("click", () => {
    asking.turn += 1;
    byId("answer-box").hidden = true;
    byId("question").focus();
  });
}
