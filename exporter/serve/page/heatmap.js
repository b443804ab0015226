// The heatmap: a row for each cell, a column for each step; blank is what was not read.

const LEFT = 92, BOTTOM = 30, TOP = 12, RIGHT = 8;

class Heatmap {
  constructor(host, pointed) {
    this.host = host;
    this.pointed = pointed;
    this.canvas = el("canvas", { id: "view", tabindex: "0", role: "application" });
    this.labels = el("div", { class: "labels", "aria-hidden": "true" });
    host.replaceChildren(this.canvas, this.labels);
    this.canvas.addEventListener("pointermove", (event) => this.pointAt(event));
    this.canvas.addEventListener("pointerdown", (event) => this.pointAt(event));
    this.canvas.addEventListener("keydown", (event) => {
      const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0;
      const upwards = { ArrowUp: -1, ArrowDown: 1 }[event.key] || 0;
      if (!sideways && !upwards) return;
      event.preventDefault();
      this.pointed.move(upwards, sideways);
    });
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(host);
  }

  close() { this.sizes.disconnect(); }

  show(grid) {
    this.grid = grid;
    this.scale = scaleOf(grid);
    const image = new ImageData(Math.max(1, grid.steps), Math.max(1, grid.places));
    const colour = colouring(this.scale);
    grid.cells.forEach((cell, row) => {
      for (let step = 0; step < grid.steps; step += 1) {
        const value = valueOf(grid, row, step), at = 4 * (cell.place * grid.steps + step);
        if (Number.isNaN(value)) continue;
        colour(value, image.data, at);
        image.data[at + 3] = 255;
      }
    });
    this.picture = el("canvas", { width: image.width, height: image.height });
    this.picture.getContext("2d").putImageData(image, 0, 0);
    this.canvas.setAttribute("aria-label", `Heatmap of ${QUANTITY_NAMES[grid.quantity]}: a row for each of ${grid.cells.length} cells, ` +
      `a column for each of ${grid.steps} steps. Arrow keys read single values.`);
    this.draw();
  }

  area() {
    const { clientWidth: width, clientHeight: height } = this.host;
    return { width: width - LEFT - RIGHT, height: height - TOP - BOTTOM };
  }

  draw() {
    if (!this.picture) return;
    const { grid, host } = this, { width, height } = this.area(), ratio = Math.min(2, devicePixelRatio);
    this.canvas.width = host.clientWidth * ratio;
    this.canvas.height = host.clientHeight * ratio;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.picture, LEFT, TOP, width, height);
    const made = [];
    const put = (x, y, text, extra) => {
      const label = el("span", { class: extra }, text);
      label.style.left = `${x}px`;
      label.style.top = `${y}px`;
      made.push(label);
    };
    const span = grid.steps * grid.step_seconds;
    for (const { at, text } of timeTicks(grid.begin, grid.begin + span, Math.max(2, width / 130))) {
      put(LEFT + (width * (at - grid.begin)) / span, TOP + height + 12, text, "");
    }
    const most = Math.max(1, Math.floor(height / 22 / Math.max(1, grid.packs.length)));
    grid.packs.forEach(({ pack, cells }, number) => {
      const every = Math.max(1, Math.ceil(cells.length / most));
      grid.cells.filter((cell) => cell.number === number).forEach((cell, n) => {
        if (n % every) return;
        const text = grid.packs.length > 1 ? `${pack} · ${cell.label}` : `cell ${cell.label}`;
        put(LEFT - 6, TOP + (height * (cell.place + 0.5)) / grid.places, text, "row-label");
      });
    });
    if (this.at) {
      const [row, step] = this.at;
      context.strokeStyle = style("--text");
      context.lineWidth = 1.5;
      context.strokeRect(LEFT + (width * step) / grid.steps - 2, TOP + (height * grid.cells[row].place) / grid.places - 1,
        width / grid.steps + 4, height / grid.places + 2);
    }
    this.labels.replaceChildren(...made);
  }

  pointAt(event) {
    if (!this.grid) return;
    const box = this.canvas.getBoundingClientRect(), { width, height } = this.area();
    const step = Math.floor(((event.clientX - box.left - LEFT) / width) * this.grid.steps);
    const row = rowsByPlace(this.grid)[Math.floor(((event.clientY - box.top - TOP) / height) * this.grid.places)];
    if (row !== undefined && step >= 0 && step < this.grid.steps) this.pointed.at(row, step);
  }

  mark(row, step) {
    this.at = [row, step];
    this.draw();
  }
}
