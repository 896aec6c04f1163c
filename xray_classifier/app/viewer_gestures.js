/**
 * What mouse, fingers and keys do to a viewer. viewer.py puts this file behind viewer.js.
 *
 * Places are in pixels of the canvas.
 */
class Gestures {
  constructor(viewer, keys) {
    this.viewer = viewer;
    this.keys = keys; // actions of the viewer by key, in lower case
    this.canvas = viewer.canvas;
    this.pointers = new Map(); // what is pressed: places by identifier
    this.aimed = false; // whether the mouse was moved here
    this.moving = false; // or else the window is changed
    const on = (target, reactions, options) => {
      for (const [event, react] of Object.entries(reactions)) {
        target.addEventListener(event, react, options);
      }
    };
    on(this.canvas, {
      pointerdown: (event) => this.press(event),
      pointermove: (event) => this.drag(event),
      pointerup: (event) => this.release(event),
      pointercancel: (event) => this.release(event),
      pointerleave: () => this.leave(),
      dblclick: () => viewer.reset(),
      mousedown: (event) => event.button === 1 && event.preventDefault(), // else the page scrolls
    });
    on(this.canvas, { wheel: (event) => this.wheel(event) }, { passive: false });
    on(viewer.box, { keydown: (event) => this.key(event) });
  }

  at(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const density = this.canvas.width / width;
    return [(event.clientX - left) * density, (event.clientY - top) * density];
  }

  /** The middle of what is pressed, and how far apart two fingers are. */
  grip() {
    const [one, other = one] = [...this.pointers.values()];
    const middle = [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
    return [middle, Math.hypot(one[0] - other[0], one[1] - other[1])];
  }

  press(event) {
    if (event.button > 1) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    if (this.pointers.size === 1) {
      this.start = [this.at(event), this.viewer.windowWidth, this.viewer.level];
      this.setMoving(event.shiftKey || event.button === 1);
    } else if (!this.moving) {
      this.viewer.setWindow(...this.start.slice(1)); // the first of two fingers meant no window
      this.setMoving(true);
    }
  }

  drag(event) {
    const { viewer } = this;
    const at = this.at(event);
    this.aimed ||= event.movementX !== 0 || event.movementY !== 0;
    viewer.point(at);
    if (!this.pointers.has(event.pointerId)) return;
    const [before, apart] = this.grip();
    this.pointers.set(event.pointerId, at);
    if (this.moving) {
      const [now, farther] = this.grip();
      viewer.moveBy(now[0] - before[0], now[1] - before[1]);
      if (apart > 0) viewer.zoomBy(farther / apart, now);
    } else {
      const [from, width, level] = this.start;
      const unit = viewer.span / this.canvas.width; // the whole range for the whole width
      viewer.setWindow(width + (at[0] - from[0]) * unit, level + (at[1] - from[1]) * unit);
    }
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (this.pointers.size === 0) this.setMoving(false);
  }

  leave() {
    this.aimed = false;
    this.viewer.point(null);
  }

  setMoving(moving) {
    this.moving = moving;
    this.viewer.box.classList.toggle("moving", moving);
  }

  /** Zoom, unless the page is being scrolled and the image came under the pointer by that. */
  wheel(event) {
    if (!this.aimed && !event.ctrlKey) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    const speed = event.ctrlKey ? 0.01 : 0.002; // with Ctrl it is two fingers on a touch pad
    this.viewer.zoomBy(Math.exp(-speed * pixels), this.at(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input")) event.stopPropagation(); // arrows would open the next image
    const arrow = event.shiftKey && event.target === this.canvas && /^Arrow(.+)$/.exec(event.key);
    const what = arrow ? arrow[1].toLowerCase() : this.keys[event.key.toLowerCase()];
    if (!what) return;
    event.preventDefault();
    event.stopPropagation(); // R would run the page again
    this.viewer[what]();
  }
}
