/**
 * A radiograph on a canvas: window, zoom, move, invert, and a heatmap over it.
 *
 * Two of Streamlit's components load this file: one brings the radiograph and holds the controls,
 * the other brings a heatmap when the server has one. What they are sent is written in viewer.py.
 * Nothing is fetched and nothing is stored. Mouse, fingers and keys are in viewer_gestures.js.
 *
 * Places on the image are in pixels of the file, those on the canvas in pixels of the screen.
 */

const STEP = 1.25; // of a button or key
const MOST = 16; // screen pixels for a pixel of the file
const SHARP = 8; // screen pixels for a pixel from which on each is shown as a square

/** Viewers by the element that they lie in, and the heatmap that is at hand, for this page. */
const shared = (globalThis[Symbol.for("xray_classifier.viewer")] ??= {
  viewers: new Map(),
  layer: null,
  view: null, // the last one of a walk from image to image
});

/** Streamlit calls this with whatever is new, and what it returns at the end; then, and not before,
 * the element is gone from the page. */
export default function ({ data, parentElement, setStateValue }) {
  const [header, body] = unpack(data);
  if (header.kind === "heatmap") {
    const { question, note } = header;
    const layer = { question, note, picture: body.length ? layerOf(header, body) : null };
    shared.layer = layer;
    shared.viewers.forEach((viewer) => viewer.take(layer));
    return () => {
      if (!parentElement.isConnected && shared.layer === layer) shared.layer = null;
    };
  }
  if (!shared.viewers.has(parentElement)) shared.viewers.set(parentElement, new Viewer(parentElement));
  const viewer = shared.viewers.get(parentElement);
  viewer.show(header, body, () => setStateValue("heatmap", header.question));
  return () => {
    if (parentElement.isConnected) return; // it was called once more meanwhile
    viewer.close();
    shared.viewers.delete(parentElement);
  };
}

/** Four bytes of length, so much JSON, then raw bytes; copied, so that values are aligned. */
function unpack(data) {
  const start = 4 + new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(data.subarray(4, start)));
  return [header, data.slice(start)];
}

const between = (low, value, high) => Math.min(Math.max(value, low), high);

const canvasOf = (width, height) =>
  Object.assign(document.createElement("canvas"), { width, height });

function layerOf({ width, height }, body) {
  const canvas = canvasOf(width, height);
  const pixels = new ImageData(new Uint8ClampedArray(body.buffer), width, height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

class Viewer {
  constructor(root) {
    this.box = root.querySelector(".viewer");
    this.find = (what) => this.box.querySelector(what);
    this.canvas = this.find("canvas");
    this.pen = this.canvas.getContext("2d");
    this.pointer = null; // where on the canvas the mouse is
    this.id = null;
    const keys = { "=": "zoomIn" };
    for (const button of this.box.querySelectorAll("button")) {
      const { do: what, key } = button.dataset;
      button.addEventListener("click", () => this[what]());
      if (!key) continue;
      keys[key] = what;
      button.setAttribute("aria-keyshortcuts", key.toUpperCase());
      button.title = `${button.ariaLabel ?? "Heatmap"} (${key.toUpperCase()})`;
    }
    this.find("[data-do=fullScreen]").hidden = !document.fullscreenEnabled;
    this.gestures = new Gestures(this, keys);
    this.onInput("width", (value) => this.setWindow(value, this.level));
    this.onInput("level", (value) => this.setWindow(this.windowWidth, value));
    this.onInput("opacity", (value) => this.setOpacity(value / 100));
    this.box.addEventListener("fullscreenchange", () => this.draw());
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.find(".stage"));
  }

  onInput(name, react) {
    this.find(`input.${name}`).addEventListener("input", ({ target }) => react(+target.value));
  }

  close() {
    this.watch.disconnect();
    cancelAnimationFrame(this.frame);
    this.values = this.shaded = this.pixels = this.layer = null;
  }

  /** Show a radiograph; one that is shown already keeps its view. `ask` asks for its heatmap. */
  show(header, body, ask) {
    this.ask = ask;
    if (header.id !== this.id) this.open(header, body);
    if (header.question !== this.question) {
      this.question = header.question;
      this.layer = null;
      this.layerOn = this.waiting = this.failed = false;
    }
    if (shared.layer) this.take(shared.layer);
    this.find(".heat").hidden = !this.question;
    this.draw();
  }

  open({ id, walk, width, height, shape, bits, lowest, used, window, negative, opacity }, body) {
    [this.id, this.walk] = [id, walk];
    this.following = walk && shared.view?.walk === walk ? shared.view : null;
    [this.width, this.height] = [width, height];
    const pixels = shape[0] * shape[1];
    this.values = new (bits === 16 ? Uint16Array : Uint8Array)(body.buffer, 0, pixels);
    this.greys = body.subarray(pixels * this.values.BYTES_PER_ELEMENT); // of the file's own window
    [this.lowest, this.used, this.negative, this.deep] = [lowest, used, negative, bits > 8];
    this.shaded = canvasOf(...shape);
    this.pixels = new ImageData(...shape);
    this.scale = width / shape[0]; // pixels of the file for one that was sent
    this.initial = window;
    // What can be chosen reaches over all values, and the window to begin with.
    this.span = Math.ceil(Math.max(used[1] - used[0] + 1, window[0]));
    this.levels = [
      Math.floor(Math.min(used[0] + lowest, window[1])),
      Math.ceil(Math.max(used[1] + lowest + 1, window[1])),
    ];
    this.find("input.width").max = this.span;
    [this.find("input.level").min, this.find("input.level").max] = this.levels;
    this.opacity = opacity;
    this.find(".stage").style.aspectRatio = width / height;
    this.reset();
    this.resize();
  }

  /** What of the view is kept for the next image of a walk, in measures that fit any of them. */
  keep() {
    const [width, level] = this.initial;
    shared.view = {
      walk: this.walk,
      width: this.windowWidth / width,
      level: (this.level - level) / width,
      inverted: this.inverted,
      opacity: this.opacity,
      fitted: this.fitted,
      zoom: this.zoom / this.fitting(),
      x: this.x / this.width,
      y: this.y / this.height,
    };
  }

  follow({ width, level, inverted, opacity, fitted, zoom, x, y }) {
    const [ownWidth, ownLevel] = this.initial;
    this.inverted = inverted;
    this.opacity = opacity;
    if (width !== 1 || level !== 0) this.setWindow(width * ownWidth, ownLevel + level * ownWidth);
    if (fitted) return this.fit();
    this.fitted = false;
    this.zoom = zoom * this.fitting();
    [this.x, this.y] = [x * this.width, y * this.height];
  }

  /** Take a heatmap if it answers what was asked here; the first time it is shown at once. */
  take({ question, note, picture }) {
    if (!this.question || question !== this.question || this.layer) return;
    this.layer = picture;
    this.failed = !picture;
    this.layerOn = Boolean(picture) && this.waiting;
    this.waiting = false;
    this.find(".note").textContent = note;
    this.draw();
  }

  // What can be done, by button or key

  zoomIn() { this.zoomBy(STEP); }
  zoomOut() { this.zoomBy(1 / STEP); }
  fit() {
    this.fitted = true;
    this.zoom = this.fitting();
    [this.x, this.y] = [this.width / 2, this.height / 2];
    this.draw();
  }
  oneToOne() { this.zoomBy(1 / this.zoom); }
  invert() {
    this.inverted = !this.inverted;
    this.shade();
  }
  reset() {
    [this.windowWidth, this.level] = this.initial;
    this.inverted = false;
    this.shade();
    this.fit();
  }
  fullScreen() {
    if (this.box.matches(":fullscreen")) document.exitFullscreen();
    else this.box.requestFullscreen?.();
  }
  heat() {
    if (this.failed || !this.question) return;
    this.layerOn = Boolean(this.layer) && !this.layerOn;
    this.waiting = !this.layer;
    if (this.waiting) this.ask();
    this.draw();
  }
  left() { this.moveBy(this.canvas.width / 8, 0); }
  right() { this.moveBy(-this.canvas.width / 8, 0); }
  up() { this.moveBy(0, this.canvas.height / 8); }
  down() { this.moveBy(0, -this.canvas.height / 8); }

  // The view

  fitting() {
    return Math.min(this.canvas.width / this.width, this.canvas.height / this.height);
  }

  /** Zoom, and keep what lies under a place of the canvas there; without one, the middle. */
  zoomBy(factor, at = [this.canvas.width / 2, this.canvas.height / 2]) {
    const fit = this.fitting();
    const zoom = between(Math.min(fit, 1), this.zoom * factor, Math.max(MOST, 4 * fit));
    const [x, y] = this.placeOf(at);
    this.x = x - (at[0] - this.canvas.width / 2) / zoom;
    this.y = y - (at[1] - this.canvas.height / 2) / zoom;
    this.zoom = zoom;
    this.moveBy(0, 0);
  }

  /** Move the image by so many screen pixels; its edge stops in the middle of the canvas. */
  moveBy(across, down) {
    this.fitted = false;
    this.x = between(0, this.x - across / this.zoom, this.width);
    this.y = between(0, this.y - down / this.zoom, this.height);
    this.draw();
  }

  setWindow(width, level) {
    this.windowWidth = between(1, Math.round(width), this.span);
    this.level = between(this.levels[0], Math.round(level), this.levels[1]);
    this.shade();
  }

  setOpacity(part) {
    this.opacity = part;
    this.draw();
  }

  point(at) {
    this.pointer = at;
    this.tellGrey();
  }

  /** The place on the image that a place of the canvas shows. */
  placeOf([across, down]) {
    return [
      this.x + (across - this.canvas.width / 2) / this.zoom,
      this.y + (down - this.canvas.height / 2) / this.zoom,
    ];
  }

  resize() {
    const { clientWidth, clientHeight } = this.find(".stage");
    if (!this.id || !clientWidth) return;
    this.canvas.width = Math.round(clientWidth * devicePixelRatio);
    this.canvas.height = Math.round(clientHeight * devicePixelRatio);
    if (this.following) this.follow(this.following);
    else if (this.fitted) this.fit();
    this.following = null;
    this.paint(); // at once, for a canvas that is resized is empty
  }

  // Drawing

  /** Have the greys worked out anew, and drawn. */
  shade() {
    this.stale = true;
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    if (!this.values || !this.zoom) return;
    if (this.stale) this.renderGreys();
    const { pen, canvas, zoom } = this;
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    // On whole pixels, so that one to one shows each as it is.
    const left = Math.round(canvas.width / 2 - this.x * zoom);
    const top = Math.round(canvas.height / 2 - this.y * zoom);
    const box = [left, top, this.width * zoom, this.height * zoom];
    pen.imageSmoothingEnabled = zoom * this.scale < SHARP;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.shaded, ...box);
    if (this.layerOn) {
      pen.globalAlpha = this.opacity;
      pen.imageSmoothingEnabled = true;
      pen.drawImage(this.layer, ...box);
      pen.globalAlpha = 1;
    }
    this.tell();
    if (this.walk && !this.following) this.keep();
  }

  /** What is drawn for each value: by the file's own window, which need not be linear, as the
   * server has it; by another one by DICOM's linear function (PS3.3 C.11.2.1.2.1). What only fills
   * up the rectangle around the image stays as it is. */
  greysNow() {
    const { windowWidth, level, lowest } = this;
    const greys = this.greys.slice();
    if (windowWidth !== this.initial[0] || level !== this.initial[1]) {
      for (let value = this.used[0]; value <= this.used[1]; value++) {
        const past = value + lowest - level;
        const part = windowWidth > 1 ? (past + 0.5) / (windowWidth - 1) + 0.5 : past >= 0;
        greys[value] = Math.round(255 * between(0, this.negative ? 1 - part : part, 1));
      }
    }
    return this.inverted ? greys.map((grey) => 255 - grey) : greys;
  }

  renderGreys() {
    const { values, shaded } = this;
    const greys = Uint32Array.from(this.greysNow(), (grey) => 0xff000000 | (grey * 0x010101));
    const words = new Uint32Array(this.pixels.data.buffer);
    for (let place = 0; place < words.length; place++) words[place] = greys[values[place]];
    shaded.getContext("2d").putImageData(this.pixels, 0, 0);
    this.stale = false;
  }

  /** Write beside the image how it is shown. */
  tell() {
    for (const [name, value, unit] of [
      ["width", Math.round(this.windowWidth), ""],
      ["level", Math.round(this.level), ""],
      ["opacity", Math.round(100 * this.opacity), " %"],
    ]) {
      this.find(`input.${name}`).value = value;
      this.find(`output.${name}`).value = `${value}${unit}`;
    }
    this.find("output.zoom").value = `Zoom ${Math.round(100 * this.zoom)} %`;
    this.tellGrey();
    this.find("input.opacity").disabled = !this.layerOn;
    this.canvas.ariaLabel = this.layerOn ? "The image under its heatmap" : "The image as decoded";
    const heat = this.find("[data-do=heat]");
    heat.ariaPressed = this.layerOn;
    heat.ariaBusy = this.waiting;
    heat.disabled = this.failed;
    this.find("[data-do=invert]").ariaPressed = this.inverted;
    const alone = this.box.matches(":fullscreen");
    this.find("[data-do=fullScreen]").ariaPressed = alone;
    this.find(".note").hidden = !(alone && this.layerOn); // else the page says it
    const pad = this.find(".pad");
    if (this.fitted && pad.matches(":focus-within")) this.canvas.focus();
    pad.hidden = this.fitted;
  }

  tellGrey() {
    const said = this.find("output.grey");
    const [x, y] = this.pointer ? this.placeOf(this.pointer).map(Math.floor) : [-1, -1];
    const what = this.deep ? "Stored value" : "Grey";
    said.value = `${what} –`;
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const across = Math.floor((x * this.shaded.width) / this.width);
    const down = Math.floor((y * this.shaded.height) / this.height);
    const value = this.values[down * this.shaded.width + across] + this.lowest;
    said.value = `${what} ${value} at ${x}, ${y}`;
  }
}
