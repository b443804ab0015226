// What the surface needs of WebGL: three small programs, a camera around a target, and no library.

const MESH_VERTEX = `#version 300 es
uniform mat4 view;
in vec3 position, normal, color;
out vec3 lit;
void main() {
  vec3 sun = normalize(vec3(1.0, 3.0, 2.0));
  lit = color * (0.62 + 0.5 * abs(dot(normal, sun)));
  gl_Position = view * vec4(position, 1.0);
}`;
const PLAIN_VERTEX = `#version 300 es
uniform mat4 view;
uniform vec3 tint;
uniform float size;
in vec3 position;
out vec3 lit;
void main() {
  lit = tint;
  gl_PointSize = size;
  gl_Position = view * vec4(position, 1.0);
}`;
const POINT_VERTEX = `#version 300 es
uniform mat4 view;
uniform float size;
in vec3 position, color;
out vec3 lit;
void main() {
  lit = color;
  gl_PointSize = size;
  gl_Position = view * vec4(position, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 lit;
out vec4 colour;
void main() { colour = vec4(min(lit, vec3(1.0)), 1.0); }`;

// Places of the attributes, the same in each program.
const PLACES = { position: 0, normal: 1, color: 2 };

class Painter {
  constructor(gl) {
    this.gl = gl;
    this.programs = { mesh: this.program(MESH_VERTEX), points: this.program(POINT_VERTEX), plain: this.program(PLAIN_VERTEX) };
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0, 0, 0, 0);
  }

  program(vertex) {
    const { gl } = this, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    for (const [name, place] of Object.entries(PLACES)) gl.bindAttribLocation(program, place, name);
    gl.linkProgram(program);
    return { program, at: (name) => gl.getUniformLocation(program, name) };
  }

  // Arrays by attribute, and the indices of what is drawn of them.
  shape({ position, normal = null, color = null }, indices = null) {
    const { gl } = this, made = { array: gl.createVertexArray(), buffers: [], count: indices ? indices.length : position.length / 3, indexed: Boolean(indices) };
    gl.bindVertexArray(made.array);
    const fill = (target, values) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(target, buffer);
      gl.bufferData(target, values, gl.STATIC_DRAW);
      made.buffers.push(buffer);
    };
    for (const [name, values] of Object.entries({ position, normal, color })) {
      if (!values) continue;
      fill(gl.ARRAY_BUFFER, values);
      const bytes = values instanceof Uint8Array;
      const kind = bytes ? gl.UNSIGNED_BYTE : values instanceof Int8Array ? gl.BYTE : gl.FLOAT;
      gl.enableVertexAttribArray(PLACES[name]);
      gl.vertexAttribPointer(PLACES[name], 3, kind, kind !== gl.FLOAT, kind === gl.FLOAT ? 0 : 4, 0);
    }
    if (indices) fill(gl.ELEMENT_ARRAY_BUFFER, indices);
    gl.bindVertexArray(null);
    return made;
  }

  remove(shape) {
    this.gl.deleteVertexArray(shape.array);
    for (const buffer of shape.buffers) this.gl.deleteBuffer(buffer);
  }

  begin(width, height) {
    const { gl } = this;
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  }

  draw(shape, kind, mode, view, { tint = [0, 0, 0], size = 1 } = {}) {
    const { gl } = this, { program, at } = this.programs[kind];
    if (!shape.count) return;
    gl.useProgram(program);
    gl.uniformMatrix4fv(at("view"), false, view);
    if (kind !== "mesh") gl.uniform1f(at("size"), size);
    if (kind === "plain") gl.uniform3fv(at("tint"), tint);
    gl.bindVertexArray(shape.array);
    if (shape.indexed) gl.drawElements(mode, shape.count, gl.UNSIGNED_INT, 0);
    else gl.drawArrays(mode, 0, shape.count);
    gl.bindVertexArray(null);
  }

  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const unit = (a) => { const length = Math.hypot(...a) || 1; return a.map((v) => v / length); };

// Looks at a target from an angle around the vertical, one from it, and a distance.
class OrbitCamera {
  constructor({ target, opening, nearest, furthest, lowest }) {
    Object.assign(this, { target, opening, nearest, furthest, lowest, around: 0, down: 1, distance: 3, aspect: 1 });
  }

  turn(around, down) {
    this.around += around;
    // Straight from above has no sideways.
    this.down = Math.min(this.lowest, Math.max(0.02, this.down + down));
  }

  zoom(factor) { this.distance = Math.min(this.furthest, Math.max(this.nearest, this.distance * factor)); }

  get position() {
    const { around, down, distance, target } = this, flat = Math.sin(down) * distance;
    return [target[0] + flat * Math.sin(around), target[1] + Math.cos(down) * distance, target[2] + flat * Math.cos(around)];
  }

  // Directions to the right, upwards and backwards.
  axes() {
    const back = unit(minus(this.position, this.target)), right = unit(cross([0, 1, 0], back));
    return [right, cross(back, right), back];
  }

  // Column by column, from the world to what is seen.
  matrix() {
    const [right, up, back] = this.axes(), at = this.position, far = this.furthest * 4, near = 0.05;
    const height = 1 / Math.tan(this.opening / 2), width = height / this.aspect;
    const depth = (far + near) / (near - far), shift = (2 * far * near) / (near - far);
    const column = (n) => [width * right[n], height * up[n], depth * back[n], -back[n]];
    const moved = [-dot(right, at), -dot(up, at), -dot(back, at)];
    return new Float32Array([...column(0), ...column(1), ...column(2),
      width * moved[0], height * moved[1], depth * moved[2] + shift, -moved[2]]);
  }

  // Where a point is seen: from -1 to 1 to the right and upwards; null behind the camera.
  project(point, view = this.matrix()) {
    const [x, y, , w] = [0, 1, 2, 3].map((row) => view[row] * point[0] + view[row + 4] * point[1] + view[row + 8] * point[2] + view[row + 12]);
    return w > 0 ? [x / w, y / w] : null;
  }

  // The direction of what is seen at a place.
  ray(x, y) {
    const [right, up, back] = this.axes(), tall = Math.tan(this.opening / 2), wide = tall * this.aspect;
    return unit([0, 1, 2].map((n) => right[n] * x * wide + up[n] * y * tall - back[n]));
  }
}

// Turns a camera by mouse, finger and wheel; two fingers zoom. The wheel scrolls the page until the
// view has the focus.
class OrbitInput {
  constructor(canvas, camera, changed) {
    Object.assign(this, { canvas, camera, changed, fingers: new Map(), apart: 0 });
    canvas.style.touchAction = "none";
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.1 : 1 / 1.1);
    }, { passive: false });
  }

  down(event) {
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    this.apart = this.spread();
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
  }

  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const at = [event.clientX, event.clientY];
    this.fingers.set(event.pointerId, at);
    if (this.fingers.size === 1) {
      const each = (2 * Math.PI) / this.canvas.clientHeight;
      this.camera.turn((before[0] - at[0]) * each, (before[1] - at[1]) * each);
      this.changed();
    } else if (this.apart) {
      const apart = this.spread();
      this.zoom(this.apart / apart);
      this.apart = apart;
    }
  }

  spread() {
    const [a, b] = [...this.fingers.values()];
    return b ? Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1])) : 0;
  }

  zoom(factor) {
    this.camera.zoom(factor);
    this.changed();
  }
}
