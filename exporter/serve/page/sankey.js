// A Sankey diagram: sources on the left, sinks on the right, ribbons as wide as their energy.

const FLOW_COLOURS = {
  pv: "--pv", generator: "--genset", grid_import: "--grid", grid_export: "--grid",
  charged: "--battery", discharged: "--battery", load: "--load",
  losses: "--muted", unmeasured: "--muted",
};
const FLOW_WORDS = { losses: "lost or not measured", unmeasured: "not measured" };
const NODE = 14, SLOT = 44, GAP = 10;
const colourOf = (flow) => `var(${FLOW_COLOURS[flow] || "--muted"})`;

// Nodes of one side, each as high as its energy and never nearer than its label needs.
function column(links, side, scale) {
  const sums = new Map();
  for (const link of links) sums.set(link[side], (sums.get(link[side]) || 0) + link.kwh);
  let at = GAP;
  return new Map([...sums].map(([name, kwh]) => {
    const height = Math.max(2, kwh * scale), slot = Math.max(height, SLOT);
    const node = { name, kwh, top: at + (slot - height) / 2, height, used: 0 };
    at += slot + GAP;
    return [name, node];
  }).concat([["", { end: at }]]));
}

function ribbon(width, from, to, wide) {
  const x0 = NODE, x1 = width - NODE, middle = (x0 + x1) / 2;
  const y0 = from.top + from.used, y1 = to.top + to.used;
  from.used += wide;
  to.used += wide;
  return `M${x0} ${y0}C${middle} ${y0} ${middle} ${y1} ${x1} ${y1}V${y1 + wide}` +
    `C${middle} ${y1 + wide} ${middle} ${y0 + wide} ${x0} ${y0 + wide}Z`;
}

function sankey(links, labels, width) {
  const text = (flow) => FLOW_WORDS[flow] || labels[flow] || flow;
  const total = links.reduce((sum, link) => sum + link.kwh, 0);
  const scale = (width < 600 ? 260 : 340) / total;
  const left = column(links, "source", scale), right = column(links, "target", scale);
  const height = Math.max(left.get("").end, right.get("").end);
  left.delete("");
  right.delete("");
  const drawing = svg("svg", {
    class: "drawn", viewBox: `0 0 ${width} ${height}`, height, role: "img",
    "aria-label": `Energy from ${[...left.keys()].map(text).join(", ")} to ${[...right.keys()].map(text).join(", ")}`,
  });
  for (const link of links) {
    const wide = Math.max(1, link.kwh * scale);
    const words = `${text(link.source)} → ${text(link.target)}: ${energy(link.kwh)}`;
    drawing.append(svg("path", {
      class: "ribbon", d: ribbon(width, left.get(link.source), right.get(link.target), wide),
      fill: colourOf(link.source === "unmeasured" ? link.target : link.source),
    }, svg("title", {}, words)));
  }
  for (const [nodes, x, label, anchor] of [[left, 0, NODE + 6, "start"], [right, width - NODE, width - NODE - 6, "end"]]) {
    for (const node of nodes.values()) {
      const middle = node.top + node.height / 2;
      drawing.append(
        svg("rect", { x, y: node.top, width: NODE, height: node.height, fill: colourOf(node.name) }),
        svg("text", { class: "halo", x: label, y: middle - 3, "text-anchor": anchor }, text(node.name)),
        svg("text", { class: "quiet halo", x: label, y: middle + 13, "text-anchor": anchor },
          `${energy(node.kwh)} · ${Math.round((100 * node.kwh) / total)} %`),
      );
    }
  }
  return drawing;
}
