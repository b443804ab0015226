// The surface: cells, time and value in three dimensions, turned with mouse, touch and keyboard.

const WIDE = 2.4, DEEP = 1.5, TALL = 0.75;
const TURN = Math.PI / 24;

// The canvas of a surface; null where the browser has no WebGL.
function surfaceCanvas() {
  const canvas = el("canvas", { id: "view", tabindex: "0", role: "application" });
  return canvas.getContext("webgl2", { antialias: true, alpha: true }) && canvas;
}

class Surface {
  constructor(host, pointed, canvas) {
    this.host = host;
    this.pointed = pointed;
    this.canvas = canvas;
    this.labels = el("div", { class: "labels", "aria-hidden": "true" });
    host.replaceChildren(this.canvas, this.labels);
    this.renderer = new THREE.WebGLRenderer({ canvas, context: canvas.getContext("webgl2"), antialias: true, alpha: true });
    this.renderer.setPixelRatio(Math.min(2, devicePixelRatio));
    this.camera = new THREE.PerspectiveCamera(38, 1, 0.05, 50);
    this.controls = new THREE.OrbitControls(this.camera, this.canvas);
    this.controls.target.set(0, TALL * 0.4, 0);
    this.controls.enablePan = false;
    this.controls.minDistance = 0.8;
    this.controls.maxDistance = 8;
    this.controls.maxPolarAngle = Math.PI * 0.55;
    // The wheel scrolls the page until the view has the focus.
    this.controls.enableZoom = false;
    this.controls.addEventListener("change", () => this.draw());
    this.canvas.addEventListener("focus", () => { this.controls.enableZoom = true; });
    this.canvas.addEventListener("blur", () => { this.controls.enableZoom = false; });
    this.canvas.addEventListener("pointerdown", (event) => { if (event.pointerType === "touch") this.controls.enableZoom = true; this.canvas.focus({ preventScroll: true }); });
    this.canvas.addEventListener("pointermove", (event) => this.pointAt(event));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(host);
    this.materials = {
      mesh: new THREE.MeshLambertMaterial({ vertexColors: true, side: THREE.DoubleSide }),
      points: new THREE.PointsMaterial({ vertexColors: true, size: 0.012 }),
      lines: new THREE.LineBasicMaterial(),
      marker: new THREE.MeshBasicMaterial(),
    };
    this.warm();
  }

  // A few points of each kind, so that shaders are ready when the values arrive.
  warm() {
    const geometry = new THREE.BufferGeometry();
    for (const name of ["position", "normal", "color"]) geometry.setAttribute(name, new THREE.BufferAttribute(new Float32Array(9), 3));
    const { mesh, points, lines, marker } = this.materials, scene = this.lit();
    scene.add(new THREE.Mesh(geometry, mesh), new THREE.Points(geometry, points), new THREE.LineSegments(geometry, lines), new THREE.Mesh(geometry, marker));
    for (const part of scene.children) part.frustumCulled = false;
    this.renderer.setSize(1, 1, false);
    this.renderer.render(scene, this.camera);
    geometry.dispose();
  }

  lit() {
    const sun = new THREE.DirectionalLight(0xffffff, 0.55), scene = new THREE.Scene();
    sun.position.set(1, 3, 2);
    scene.add(new THREE.AmbientLight(0xffffff, 0.62), sun);
    return scene;
  }

  close() {
    this.sizes.disconnect();
    this.controls.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }

  // As near as the whole box with its labels fits in.
  reset() {
    const direction = new THREE.Vector3(0.45, 0.62, 0.8).normalize(), { target } = this.controls;
    const corners = [-1, 1].flatMap((x) => [0, TALL].flatMap((y) => [-1, 1].map((z) => new THREE.Vector3(x * (WIDE / 2 + 0.25), y, z * (DEEP / 2 + 0.2)))));
    for (let distance = 1.2; distance < this.controls.maxDistance; distance *= 1.05) {
      this.camera.position.copy(target).addScaledVector(direction, distance);
      this.camera.lookAt(target);
      this.camera.updateMatrixWorld();
      if (corners.every((corner) => { const at = corner.clone().project(this.camera); return Math.abs(at.x) < 0.97 && Math.abs(at.y) < 0.94; })) break;
    }
    this.controls.update();
    this.draw();
  }

  turn(sideways, upwards) {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const at = new THREE.Spherical().setFromVector3(offset);
    at.theta += sideways * TURN;
    at.phi = Math.min(this.controls.maxPolarAngle, Math.max(0.02, at.phi - upwards * TURN));
    this.camera.position.copy(this.controls.target).add(offset.setFromSpherical(at));
    this.controls.update();
    this.draw();
  }

  zoom(factor) {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const distance = Math.min(this.controls.maxDistance, Math.max(this.controls.minDistance, offset.length() * factor));
    this.camera.position.copy(this.controls.target).add(offset.setLength(distance));
    this.controls.update();
    this.draw();
  }

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
    const first = !this.grid;
    this.scene?.traverse((part) => part.geometry?.dispose());
    this.grid = grid;
    this.scale = scaleOf(grid);
    this.scene = this.lit();
    this.materials.lines.color.set(style("--muted"));
    this.materials.marker.color.set(style("--text"));
    const [mesh, points] = this.meshes();
    this.scene.add(mesh, points, this.frame());
    this.marker = new THREE.Mesh(new THREE.SphereGeometry(0.014), this.materials.marker);
    this.marker.visible = false;
    this.scene.add(this.marker);
    this.canvas.setAttribute("aria-label", `Surface of ${QUANTITY_NAMES[grid.quantity]}: ${grid.cells.length} cells over ${grid.steps} steps. ` +
      "Arrow keys turn it, plus and minus zoom, Home resets; Shift with the arrow keys reads single values.");
    this.resize();
    if (first) this.reset();
  }

  x(step) { return WIDE * ((step + 0.5) / this.grid.steps - 0.5); }
  z(place) { return DEEP * (this.grid.places > 1 ? place / (this.grid.places - 1) - 0.5 : 0); }
  y(value) { return (TALL * (value - this.scale.low)) / (this.scale.high - this.scale.low); }

  meshes() {
    const { cells, steps, values } = this.grid, colour = colouring(this.scale), count = cells.length;
    const positions = new Float32Array(3 * values.length), colours = new Uint8Array(3 * values.length);
    const normals = new Float32Array(3 * values.length), tall = TALL / (this.scale.high - this.scale.low);
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
        colour(value, colours, at);
        const x = -rise(step ? n - 1 : n, step + 1 < steps ? n + 1 : n) / wide, y = -rise(n - up, n + down) / deep;
        const length = Math.hypot(x, 1, y);
        normals[at] = x / length;
        normals[at + 1] = 1 / length;
        normals[at + 2] = y / length;
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
    const geometry = (index) => {
      const whole = new THREE.BufferGeometry();
      whole.setAttribute("position", new THREE.BufferAttribute(positions, 3));
      whole.setAttribute("normal", new THREE.BufferAttribute(normals, 3));
      whole.setAttribute("color", new THREE.BufferAttribute(colours, 3, true));
      whole.setIndex(new THREE.BufferAttribute(index, 1));
      return whole;
    };
    // Inside of the frame, which is always in view: nothing to work out for what is left out.
    const seen = (part) => Object.assign(part, { frustumCulled: false });
    return [
      seen(new THREE.Mesh(geometry(faces.subarray(0, made)), this.materials.mesh)),
      seen(new THREE.Points(geometry(Uint32Array.from(alone)), this.materials.points)),
    ];
  }

  frame() {
    const [x, z] = [WIDE / 2, DEEP / 2 + 0.03], lines = [];
    for (const sx of [-x, x]) lines.push(sx, 0, -z, sx, 0, z);
    for (const sz of [-z, z]) lines.push(-x, 0, sz, x, 0, sz);
    for (const sx of [-x, x]) for (const sz of [-z, z]) lines.push(sx, 0, sz, sx, sx === -x || sz === -z ? TALL : 0, sz);
    const zero = this.y(0);
    if (zero > 0 && zero < TALL) for (const sz of [-z, z]) lines.push(-x, zero, sz, x, zero, sz);
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.Float32BufferAttribute(lines, 3));
    return new THREE.LineSegments(geometry, this.materials.lines);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  draw() {
    if (!this.scene || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.renderer.render(this.scene, this.camera);
      this.writeLabels();
    });
  }

  writeLabels() {
    const { grid, scale, camera, host } = this, made = [];
    const [ex, ez] = [Math.sign(camera.position.x) || 1, Math.sign(camera.position.z) || 1];
    const few = host.clientWidth < 600;
    const put = (x, y, z, text, extra = "") => {
      const at = new THREE.Vector3(x, y, z).project(camera);
      if (at.z > 1) return;
      const label = el("span", { class: extra }, text);
      label.style.left = `${((at.x + 1) / 2) * host.clientWidth}px`;
      label.style.top = `${((1 - at.y) / 2) * host.clientHeight}px`;
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
    if (!this.scene || event.buttons) return;
    const box = this.canvas.getBoundingClientRect();
    const ray = new THREE.Raycaster();
    ray.setFromCamera({ x: (2 * (event.clientX - box.left)) / box.width - 1, y: 1 - (2 * (event.clientY - box.top)) / box.height }, this.camera);
    const { origin, direction } = ray.ray, at = new THREE.Vector3();
    const rows = this.grid.rowAt || (this.grid.rowAt = rowsByPlace(this.grid));
    let above = null;
    for (let far = 0.3; far < 9; far += 0.008) {
      at.copy(origin).addScaledVector(direction, far);
      const step = Math.floor((at.x / WIDE + 0.5) * this.grid.steps);
      const place = Math.round((at.z / DEEP + 0.5) * (this.grid.places - 1));
      const row = rows[place];
      if (step < 0 || step >= this.grid.steps || row === undefined) continue;
      const value = valueOf(this.grid, row, step);
      if (Number.isNaN(value)) continue;
      const over = at.y > this.y(value);
      if (above !== null && over !== above) {
        this.pointed.at(row, step);
        return;
      }
      above = over;
    }
  }

  mark(row, step) {
    const value = valueOf(this.grid, row, step);
    this.marker.visible = !Number.isNaN(value);
    if (this.marker.visible) this.marker.position.set(this.x(step), this.y(value), this.z(this.grid.cells[row].place));
    this.draw();
  }
}
