// The surface: cells, time and value in three dimensions, turned with mouse, touch and keyboard.

const WIDE = 2.4, DEEP = 1.5, TALL = 0.75;
const TURN = Math.PI / 24;
const DOT_PIXELS = 3, MARK_PIXELS = 11;

// The canvas of a surface; null where the browser has no WebGL.
function surfaceCanvas() {
  const canvas = el("canvas", { id: "view", tabindex: "0", role: "application" });
  return canvas.getContext("webgl2", { antialias: true, alpha: true }) && canvas;
}

class Surface {
  constructor(host, pointed, canvas) {
    Object.assign(this, { host, pointed, canvas, shapes: [], marked: null });
    this.labels = el("div", { class: "labels", "aria-hidden": "true" });
    host.replaceChildren(canvas, this.labels);
    this.painter = new Painter(canvas.getContext("webgl2"));
    this.camera = new OrbitCamera({
      target: [0, TALL * 0.4, 0], opening: (38 / 180) * Math.PI, nearest: 0.8, furthest: 8, lowest: Math.PI * 0.55,
    });
    this.input = new OrbitInput(canvas, this.camera, () => this.draw());
    canvas.addEventListener("pointermove", (event) => this.pointAt(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(host);
  }

  close() {
    this.sizes.disconnect();
    this.painter.close();
  }

  // As near as the whole box with its labels fits in.
  reset() {
    const { camera } = this, [x, y, z] = unit([0.45, 0.62, 0.8]);
    Object.assign(camera, { around: Math.atan2(x, z), down: Math.acos(y) });
    const corners = [-1, 1].flatMap((sx) => [0, TALL].flatMap((sy) => [-1, 1].map((sz) => [sx * (WIDE / 2 + 0.25), sy, sz * (DEEP / 2 + 0.2)])));
    for (camera.distance = 1.2; camera.distance < camera.furthest; camera.distance *= 1.05) {
      const view = camera.matrix();
      if (corners.every((corner) => { const at = camera.project(corner, view); return at && Math.abs(at[0]) < 0.97 && Math.abs(at[1]) < 0.94; })) break;
    }
    this.draw();
  }

  turn(sideways, upwards) {
    this.camera.turn(sideways * TURN, -upwards * TURN);
    this.draw();
  }

  zoom(factor) { this.input.zoom(factor); }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0;
    const upwards = { ArrowUp: 1, ArrowDown: -1 }[event.key] || 0;
    if (sideways || upwards) {
      if (event.shiftKey) this.pointed.move(upwards, sideways);
      else this.turn(sideways, upwards);
    } else if (event.key === "+" || event.key === "=") this.zoom(0.9);
    else if (event.key === "-") this.zoom(1 / 0.9);
    else if (event.key === "Home" || event.key === "0") this.reset();
    else return;
    event.preventDefault();
  }

  show(grid) {
    const first = !this.grid, { gl } = this.painter;
    for (const { shape } of this.shapes) this.painter.remove(shape);
    Object.assign(this, { grid, scale: scaleOf(grid), marked: null });
    const { faces, dots } = this.meshes();
    this.shapes = [
      { shape: faces, kind: "mesh", mode: gl.TRIANGLES },
      { shape: dots, kind: "points", mode: gl.POINTS, with: { size: DOT_PIXELS * this.pixels } },
      { shape: this.frame(), kind: "plain", mode: gl.LINES, with: { tint: tintOf("--muted") } },
    ];
    this.canvas.setAttribute("aria-label", `Surface of ${QUANTITY_NAMES[grid.quantity]}: ${grid.cells.length} cells over ${grid.steps} steps. ` +
      "Arrow keys turn it, plus and minus zoom, Home resets; Shift with the arrow keys reads single values.");
    this.resize();
    if (first) this.reset();
  }

  get pixels() { return Math.min(2, devicePixelRatio); }

  x(step) { return WIDE * ((step + 0.5) / this.grid.steps - 0.5); }
  z(place) { return DEEP * (this.grid.places > 1 ? place / (this.grid.places - 1) - 0.5 : 0); }
  y(value) { return (TALL * (value - this.scale.low)) / (this.scale.high - this.scale.low); }

  meshes() {
    const { cells, steps, values } = this.grid, colour = colouring(this.scale), count = cells.length;
    // Four bytes for three, as WebGL reads them fastest.
    const positions = new Float32Array(3 * values.length), colours = new Uint8Array(4 * values.length);
    const normals = new Int8Array(4 * values.length), tall = TALL / (this.scale.high - this.scale.low);
    const wide = WIDE / steps, deep = this.grid.places > 1 ? DEEP / (this.grid.places - 1) : DEEP;
    // Rise from one neighbour to the other; none where one of them was not read.
    const rise = (before, after) => {
      const found = values[after] - values[before];
      return Number.isNaN(found) ? 0 : (found * tall) / 2;
    };
    for (let row = 0; row < count; row += 1) {
      const z = this.z(cells[row].place);
      const up = row && cells[row - 1].number === cells[row].number ? steps : 0;
      const down = row + 1 < count && cells[row + 1].number === cells[row].number ? steps : 0;
      for (let step = 0; step < steps; step += 1) {
        const n = row * steps + step, at = 3 * n, value = values[n];
        positions[at] = this.x(step);
        positions[at + 2] = z;
        if (Number.isNaN(value)) continue;
        positions[at + 1] = this.y(value);
        colour(value, colours, 4 * n);
        const x = -rise(step ? n - 1 : n, step + 1 < steps ? n + 1 : n) / wide, y = -rise(n - up, n + down) / deep;
        const length = Math.sqrt(x * x + 1 + y * y) / 127;
        normals[4 * n] = x / length;
        normals[4 * n + 1] = 1 / length;
        normals[4 * n + 2] = y / length;
      }
    }
    // Four neighbours that were all read make a face: a gap in time or a missing cell stays open.
    const faces = new Uint32Array(6 * values.length), used = new Uint8Array(values.length), alone = [];
    let made = 0;
    for (let row = 0; row + 1 < count; row += 1) {
      if (cells[row].number !== cells[row + 1].number) continue;
      for (let step = 0; step + 1 < steps; step += 1) {
        const a = row * steps + step, b = a + 1, c = a + steps, d = c + 1;
        if (Number.isNaN(values[a] + values[b] + values[c] + values[d])) continue;
        faces[made] = a; faces[made + 1] = faces[made + 3] = c; faces[made + 2] = faces[made + 5] = b; faces[made + 4] = d;
        made += 6;
        used[a] = used[b] = used[c] = used[d] = 1;
      }
    }
    for (let n = 0; n < values.length; n += 1) if (!used[n] && !Number.isNaN(values[n])) alone.push(n);
    const arrays = { position: positions, normal: normals, color: colours };
    return {
      faces: this.painter.shape(arrays, faces.subarray(0, made)),
      dots: this.painter.shape({ position: positions, color: colours }, Uint32Array.from(alone)),
    };
  }

  frame() {
    const [x, z] = [WIDE / 2, DEEP / 2 + 0.03], lines = [];
    for (const sx of [-x, x]) lines.push(sx, 0, -z, sx, 0, z);
    for (const sz of [-z, z]) lines.push(-x, 0, sz, x, 0, sz);
    for (const sx of [-x, x]) for (const sz of [-z, z]) lines.push(sx, 0, sz, sx, sx === -x || sz === -z ? TALL : 0, sz);
    const zero = this.y(0);
    if (zero > 0 && zero < TALL) for (const sz of [-z, z]) lines.push(-x, zero, sz, x, zero, sz);
    return this.painter.shape({ position: new Float32Array(lines) });
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    Object.assign(this.canvas, { width: Math.round(width * this.pixels), height: Math.round(height * this.pixels) });
    this.camera.aspect = width / height;
    this.draw();
  }

  draw() {
    if (!this.grid || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
      this.writeLabels();
    });
  }

  paint() {
    const { painter, canvas } = this, view = this.camera.matrix();
    painter.begin(canvas.width, canvas.height);
    for (const { shape, kind, mode, with: more } of this.shapes) painter.draw(shape, kind, mode, view, more);
    if (!this.marked) return;
    const mark = painter.shape({ position: new Float32Array(this.marked) });
    painter.draw(mark, "plain", painter.gl.POINTS, view, { tint: tintOf("--text"), size: MARK_PIXELS * this.pixels });
    painter.remove(mark);
  }

  writeLabels() {
    const { grid, scale, camera, host } = this, made = [], view = camera.matrix(), [atX, , atZ] = camera.position;
    const [ex, ez] = [Math.sign(atX) || 1, Math.sign(atZ) || 1];
    const few = host.clientWidth < 600;
    const put = (x, y, z, text, extra = "") => {
      const at = camera.project([x, y, z], view);
      if (!at) return;
      const label = el("span", { class: extra }, text);
      label.style.left = `${((at[0] + 1) / 2) * host.clientWidth}px`;
      label.style.top = `${((1 - at[1]) / 2) * host.clientHeight}px`;
      made.push(label);
    };
    const front = ez * (DEEP / 2 + 0.14), side = ex * (WIDE / 2 + 0.12);
    for (const { at, text } of timeTicks(grid.begin, grid.begin + grid.steps * grid.step_seconds, few ? 3 : 6)) {
      put(this.x((at - grid.begin) / grid.step_seconds - 0.5), 0, front, text);
    }
    grid.packs.forEach(({ pack, cells }, number) => {
      const own = grid.cells.filter((cell) => cell.number === number);
      const every = grid.packs.length > 1 ? cells.length - 1 : numberTicks(0, cells.length, few ? 4 : 8).step;
      own.forEach((cell, n) => { if (n % Math.max(1, every) === 0 && (grid.packs.length === 1 || n === 0)) put(side, 0, this.z(cell.place), grid.packs.length === 1 ? `cell ${cell.label}` : `${pack}: ${cells[0]} to ${cells.at(-1)}`); });
    });
    const { ticks, step } = numberTicks(scale.low * scale.factor, scale.high * scale.factor, few ? 3 : 5);
    for (const value of ticks) put(-ex * (WIDE / 2 + 0.06), this.y(value / scale.factor), front * 0.93, `${tickText(value, step)} ${scale.unit}`, "value");
    this.labels.replaceChildren(...made);
  }

  // Steps along the line of sight until it meets the surface.
  pointAt(event) {
    if (!this.grid || event.buttons) return;
    const box = this.canvas.getBoundingClientRect(), [ox, oy, oz] = this.camera.position;
    const [dx, dy, dz] = this.camera.ray((2 * (event.clientX - box.left)) / box.width - 1, 1 - (2 * (event.clientY - box.top)) / box.height);
    const rows = this.grid.rowAt || (this.grid.rowAt = rowsByPlace(this.grid));
    let above = null;
    for (let far = 0.3; far < 9; far += 0.008) {
      const step = Math.floor(((ox + far * dx) / WIDE + 0.5) * this.grid.steps);
      const place = Math.round(((oz + far * dz) / DEEP + 0.5) * (this.grid.places - 1));
      const row = rows[place];
      if (step < 0 || step >= this.grid.steps || row === undefined) continue;
      const value = valueOf(this.grid, row, step);
      if (Number.isNaN(value)) continue;
      const over = oy + far * dy > this.y(value);
      if (above !== null && over !== above) {
        this.pointed.at(row, step);
        return;
      }
      above = over;
    }
  }

  mark(row, step) {
    const value = valueOf(this.grid, row, step);
    this.marked = Number.isNaN(value) ? null : [this.x(step), this.y(value), this.z(this.grid.cells[row].place)];
    this.draw();
  }
}

// Red, green and blue from 0 to 1 of a colour of the page's style.
function tintOf(name) {
  const context = el("canvas", { width: 1, height: 1 }).getContext("2d");
  context.fillStyle = style(name);
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255);
}
