// Orders of the site that is open, and a form for whoever may send one: preview, then carry out.

const ORDER_SECONDS = 10, OPEN_ORDER_SECONDS = 2, SHOWN_ORDERS = 8;
const ACTIONS = { charge: "Charge", discharge: "Discharge", hold: "Hold", defer_load: "Put load off" };
const MINUTES = { 5: "5 min", 15: "15 min", 30: "30 min", 60: "1 hour", 240: "4 hours" };
const ENDED = new Set(["refused", "expired", "superseded", "cancelled", "failed", "ineffective", "released"]);
const ordering = { id: null, loaded: 0, known: null, preview: null, looked: false, note: "", timer: null };

async function refreshOrders(id, now = false) {
  if (!LINKS.orders) return;
  if (ordering.id !== id) Object.assign(ordering, { id, loaded: 0, known: null, preview: null, looked: false, note: "" });
  if (!now && ordering.loaded && performance.now() - ordering.loaded < ORDER_SECONDS * 1000) return;
  ordering.loaded = performance.now();
  clearTimeout(ordering.timer);
  try {
    const found = await ask(`${LINKS.orders}?site=${encodeURIComponent(id)}&dry=false&limit=${SHOWN_ORDERS}`);
    if (ordering.id !== id) return;
    ordering.known = found;
    if (found.orders.some(isOpen)) ordering.timer = setTimeout(() => site.id === id && refreshOrders(id, true), OPEN_ORDER_SECONDS * 1000);
  } catch (error) {
    if (ordering.id === id) ordering.known = { fault: error.message };
  }
  showOrders();
}

const isOpen = (order) => !ENDED.has(order.state) || order.owes_release;

function showOrders() {
  const box = byId("orders"), { known } = ordering;
  if (!box || !known) return;
  // Where nobody orders anything there is nothing to say.
  box.hidden = Boolean(!known.fault && !known.orders.length && !known.may_order);
  if (box.hidden) return;
  if (!byId("orders-list")) {
    put(box, el("h3", {}, "Orders"), el("p", { id: "orders-note", class: "note", role: "status", hidden: true }),
      el("div", { id: "orders-list" }), el("div", { id: "orders-form" }), el("div", { id: "orders-preview" }));
  }
  byId("orders-note").hidden = !ordering.note;
  byId("orders-note").textContent = ordering.note;
  const list = byId("orders-list"), focused = list.contains(document.activeElement) && document.activeElement.id;
  if (known.fault) {
    put(list, el("p", { class: "note" }, `Orders cannot be shown: ${known.fault}`));
    return;
  }
  put(list, known.orders.length ? el("ul", { class: "issues" }, known.orders.map(orderItem)) : el("p", {}, "No order was given here."),
    known.journal_failure ? el("p", { class: "note" }, `The journal cannot be written: ${known.journal_failure}`) : null);
  if (focused) byId(focused)?.focus({ preventScroll: true });
  if (known.may_order && !byId("order-action")) put(byId("orders-form"), orderForm());
  else if (!known.may_order) put(byId("orders-form"), el("p", { class: "muted" }, known.mode === "off" ? "Orders are off." : "Ordering needs the role operator for this site, and dispatch.enabled."));
}

function orderItem(order) {
  const bad = order.end === "ineffective" || order.end === "failed" || order.failure;
  const way = order.wanted_w < 0 ? "discharge" : order.action;
  const asked = order.wanted_w ? ` ${power(Math.abs(order.wanted_w))}` : "";
  const less = order.allowed_w !== null && Math.abs(order.allowed_w) < Math.abs(order.wanted_w) - 1 ? `, ${power(Math.abs(order.allowed_w))} allowed` : "";
  const measured = order.measured_w === null ? "" : `, battery at ${power(order.measured_w)}`;
  const limits = (order.evidence.limits || []).map((one) => one.sentence).join("; ");
  const why = order.end_reason || order.evidence.reason;
  const state = order.end && order.end !== order.state ? `${order.end}, ${order.state}` : order.state;
  return el("li", { class: bad ? "critical" : order.owes_release ? "warning" : "info" },
    el("strong", {}, `${way}${asked}: ${state}`), `${less}${measured}`,
    el("p", {}, isolated(order.reason), ` · ${order.issuer}, ${moment(order.start)} to ${moment(order.expires)}`),
    limits || why ? el("p", { class: "muted" }, isolated([why, limits].filter(Boolean).join("; "))) : null,
    order.failure ? el("p", {}, isolated(order.failure)) : null,
    order.unattended && isOpen(order) ? el("p", {}, `Warning: ${order.unattended}.`) : null,
    ordering.known.may_order && !order.end && order.action !== "release"
      ? el("button", { type: "button", id: `cancel-${order.id}`, onclick: () => sendOrder(`orders/${order.id}/cancel`, { reason: "cancelled on the page" }, "It ends now, and the site is released.") }, "End it")
      : null);
}

function orderForm() {
  const changed = () => {
    Object.assign(ordering, { preview: null, looked: false });
    showPreview();
  };
  const field = (label, input) => el("label", {}, label, input);
  return el("form", { class: "silence", "aria-label": "Order", oninput: changed, onsubmit: (event) => { event.preventDefault(); previewOrder(); } },
    field("Order", el("select", { id: "order-action" }, Object.entries(ACTIONS).map(([name, text]) => el("option", { value: name }, text)))),
    field("kW", el("input", { id: "order-kw", type: "number", min: "0.1", step: "0.1", value: "1" })),
    field("For", el("select", { id: "order-minutes" }, Object.entries(MINUTES).map(([minutes, text]) => el("option", { value: minutes, selected: minutes === "15" }, text)))),
    field("Why", el("input", { id: "order-reason", type: "text", maxlength: 400, required: true, autocomplete: "off" })),
    el("button", { type: "submit", id: "order-preview" }, "Preview"),
    el("button", { type: "button", id: "order-release", onclick: () => sendOrder("dispatch", { targets: [ordering.id], action: "release", reason: byId("order-reason").value.trim() || "released on the page" }, "The site is being released.") }, "Release the site"));
}

async function previewOrder() {
  const action = byId("order-action").value, reason = byId("order-reason").value.trim();
  const body = { targets: [ordering.id], action, seconds: 60 * Number(byId("order-minutes").value), reason };
  if (action !== "hold") body.kw = Number(byId("order-kw").value);
  const key = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const answer = await ask("api/v1/dispatch", { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    Object.assign(ordering, { preview: { body, key, found: answer.orders[0], mode: answer.mode }, looked: false, note: "" });
  } catch (error) {
    Object.assign(ordering, { preview: null, note: `Not possible: ${error.message}` });
  }
  showOrders();
  showPreview();
  byId("order-go")?.focus();
}

// What is left of the order and why; above the power that takes a second look, the id must be typed.
function showPreview() {
  const box = byId("orders-preview"), { preview, known, looked } = ordering;
  if (!preview) return put(box);
  const { found, body, mode } = preview, refused = found.state === "refused";
  const large = known.second_look_w !== null && Math.abs(found.allowed_w) > known.second_look_w;
  const what = `${ACTIONS[body.action]}${body.action === "hold" ? "" : ` ${power(Math.abs(found.allowed_w))}`} for ${MINUTES[body.seconds / 60]}`;
  const go = () => {
    if (large && !looked) {
      ordering.looked = true;
      showPreview();
      byId("order-confirm").focus();
    } else if (!large || byId("order-confirm").value.trim() === ordering.id) {
      sendOrder("dispatch", { ...body, dry_run: false }, "The order was taken.", preview.key);
    } else byId("order-confirm").focus();
  };
  return put(box, el("div", { class: "note", role: "status" },
    el("p", {}, el("strong", {}, refused ? "Refused." : body.action === "hold" ? "Holding is allowed." : `${power(Math.abs(found.allowed_w))} of ${power(Math.abs(found.wanted_w))} are allowed.`),
      mode === "dry" ? " FLEETSCOPE_DISPATCH is dry: nothing will be written." : ""),
    found.limits.length ? el("ul", {}, found.limits.map((one) => el("li", {}, isolated(one.sentence)))) : null,
    found.unchecked.length ? el("p", { class: "muted" }, `Not checked, since it is not read: ${found.unchecked.join(", ")}.`) : null,
    found.unattended ? el("p", {}, el("strong", {}, "Warning: "), `${found.unattended}.`) : null,
    large && looked ? el("label", {}, `More than ${power(known.second_look_w)}. Type ${ordering.id} to send it: `, el("input", { id: "order-confirm", type: "text", autocomplete: "off", spellcheck: "false", onkeydown: (event) => event.key === "Enter" && go() })) : null,
    refused ? null : el("p", {}, el("button", { type: "button", id: "order-go", onclick: go }, large && !looked ? `${what}…` : what))));
}

async function sendOrder(path, body, done, key = "") {
  const headers = { "Content-Type": "application/json", ...(key ? { "Idempotency-Key": key } : {}) };
  document.activeElement?.blur();
  try {
    await ask(`api/v1/${path}`, { method: "POST", body: JSON.stringify(body), headers });
    Object.assign(ordering, { preview: null, looked: false, note: done });
  } catch (error) {
    ordering.note = `Not done: ${error.message}`;
  }
  showPreview();
  refreshOrders(ordering.id, true);
}
