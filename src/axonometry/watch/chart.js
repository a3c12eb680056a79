// One chart on a canvas. A point that fits between the axes is drawn behind its line; only one that does not, or another
// choice of lines, makes the chart be drawn anew.

const PAD = { left: 56, right: 12, top: 10, bottom: 26 };
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) target.chart.setSeen(isIntersecting);
}, { rootMargin: "600px" });
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) target.chart.renew();
});

export class Chart {
  constructor(title, name, live) {
    this.live = live;
    this.lines = [];
    this.log = this.isSeen = this.scheduled = false;
    this.emphasis = null;
    this.figure = document.createElement("figure");
    this.figure.className = "chart";
    const caption = document.createElement("figcaption");
    const head = document.createElement("b");
    head.textContent = title;
    this.readout = document.createElement("span");
    this.readout.className = "readout";
    this.readout.setAttribute("aria-live", "polite");
    caption.append(head, this.readout);
    this.plot = document.createElement("div");
    this.plot.className = "plot";
    this.canvas = document.createElement("canvas");
    this.over = document.createElement("canvas");
    this.over.className = "over";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.label = `${name}${title ? `, ${title}` : ""}`;
    this.plot.append(this.canvas, this.over);
    this.figure.append(caption, this.plot);
    this.plot.chart = this;
    seen.observe(this.plot);
    resized.observe(this.plot);
    this.canvas.addEventListener("pointermove", (event) => this.pointAt(event.offsetX, event.offsetY));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("blur", () => this.point(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  remove() {
    seen.unobserve(this.plot);
    resized.unobserve(this.plot);
    this.figure.remove();
  }

  /** Lines: { run, label, steps, values, colour, dash }; the two arrays grow. */
  setLines(lines) {
    this.lines = lines.map((line) => ({ ...line, drawn: 0, counted: 0, low: Infinity, high: -Infinity, positive: Infinity }));
    this.pointed = null;
    this.canvas.setAttribute("aria-label", `${this.label}: ${lines.length} line${lines.length === 1 ? "" : "s"}. Arrow keys read values.`);
    this.renew();
  }

  setLog(log) {
    this.log = log;
    this.renew();
  }

  setSeen(isSeen) {
    this.isSeen = isSeen;
    if (isSeen) return this.renew();
    for (const canvas of [this.canvas, this.over]) canvas.width = canvas.height = 0; // a canvas out of sight takes no memory
  }

  renew() {
    this.frame = null;
    this.grown();
  }

  recolour() {
    this.colours = null;
    this.renew();
  }

  /** All of it at once, also out of sight: paper shows everything. */
  print() {
    this.colours = this.frame = null;
    this.draw();
  }

  printed() {
    this.colours = null;
    this.setSeen(this.isSeen);
  }

  grown() {
    if (this.scheduled || !this.isSeen) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      if (this.isSeen) this.draw();
    });
  }

  /* ---- drawing ---- */

  draw() {
    this.count();
    if (!this.frame || !this.fits()) {
      this.frame = this.framed();
      this.clear();
      for (const line of this.lines) line.drawn = 0;
    }
    const context = this.canvas.getContext("2d");
    context.save();
    context.beginPath();
    context.rect(PAD.left, 0, this.frame.width - PAD.left, this.frame.height - PAD.bottom + 2);
    context.clip();
    for (const line of this.lines) this.stroke(context, line);
    context.restore();
    this.drawOver();
    // How far the screen is, for whoever asks.
    this.figure.dataset.points = this.lines.reduce((sum, line) => sum + line.drawn, 0);
    this.figure.dataset.last = Math.max(-Infinity, ...this.lines.map((line) => line.steps[line.drawn - 1] ?? -Infinity));
  }

  /** The limits of what is there, continued from where they were. */
  count() {
    for (const line of this.lines) {
      for (; line.counted < line.values.length; line.counted++) {
        const value = line.values[line.counted];
        if (value === null) continue;
        if (value < line.low) line.low = value;
        if (value > line.high) line.high = value;
        if (value > 0 && value < line.positive) line.positive = value;
      }
    }
  }

  limits() {
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const line of this.lines) {
      if (!line.steps.length) continue;
      left = Math.min(left, line.steps[0]);
      right = Math.max(right, line.steps.at(-1));
      low = Math.min(low, this.log ? line.positive : line.low);
      high = Math.max(high, line.high);
    }
    return { left, right, low, high };
  }

  fits() {
    const { left, right, low, high } = this.limits();
    const frame = this.frame;
    return left >= frame.left && right <= frame.right && (low > high || (low >= frame.low && high <= frame.high));
  }

  /** Axes with some room for what comes, where something comes. */
  framed() {
    let { left, right, low, high } = this.limits();
    if (!(left <= right)) [left, right] = [0, 1];
    if (left === right) right = left + 1;
    else if (this.live()) right += (right - left) * 0.12;
    if (!(low <= high) || (this.log && high <= 0)) [low, high] = this.log ? [0.1, 1] : [0, 1];
    if (this.log) [low, high] = low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.05, high * (high / low) ** 0.05];
    else {
      const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 0.5;
      [low, high] = [low - room, high + room];
    }
    const box = this.plot.getBoundingClientRect();
    return { left, right, low, high, width: box.width, height: box.height, log: this.log };
  }

  x(step) {
    const { left, right, width } = this.frame;
    return PAD.left + ((step - left) / (right - left)) * (width - PAD.left - PAD.right);
  }

  y(value) {
    const { low, high, height, log } = this.frame;
    const share = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return height - PAD.bottom - share * (height - PAD.top - PAD.bottom);
  }

  colour(name) {
    this.colours ??= getComputedStyle(document.documentElement);
    return this.colours.getPropertyValue(name).trim();
  }

  clear() {
    const { width, height } = this.frame;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    const context = this.canvas.getContext("2d");
    context.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
    context.lineWidth = 1;
    context.strokeStyle = this.colour("--line");
    context.fillStyle = this.colour("--muted");
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of this.frame.log ? powers(this.frame.low, this.frame.high) : rounds(this.frame.low, this.frame.high, height / 45)) {
      const at = Math.round(this.y(value)) + 0.5;
      context.beginPath();
      context.moveTo(PAD.left, at);
      context.lineTo(width - PAD.right, at);
      context.stroke();
      context.fillText(text(value), PAD.left - 8, at);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (const step of rounds(this.frame.left, this.frame.right, width / 75)) {
      if (!Number.isInteger(step)) continue;
      const label = step.toLocaleString("en");
      context.fillText(label, Math.min(this.x(step), width - context.measureText(label).width / 2 - 1), height - 7);
    }
  }

  stroke(context, line, wide = false) {
    const { steps, values } = line;
    const begin = wide ? 0 : Math.max(line.drawn - 1, 0); // from the last point that is there already
    if (!wide && line.drawn >= values.length) return;
    context.beginPath();
    context.strokeStyle = context.fillStyle = this.colour(line.colour);
    context.lineWidth = wide ? 3 : this.lines.length > 20 ? 1 : 1.75;
    context.lineJoin = "round";
    context.setLineDash(wide ? [] : line.dash);
    // Dashes go on where they ended.
    context.lineDashOffset = wide ? 0 : line.drawn ? line.way ?? 0 : (line.way = 0);
    let before = null;
    for (let place = begin; place < values.length; place++) {
      const value = values[place];
      if (value === null || (this.frame.log && value <= 0)) { before = null; continue; }
      const at = [this.x(steps[place]), this.y(value)];
      if (before) {
        context.lineTo(...at);
        if (!wide && line.dash.length) line.way += Math.hypot(at[0] - before[0], at[1] - before[1]);
      } else context.moveTo(...at);
      const next = values[place + 1];
      if (!before && (next === null || next === undefined)) context.fillRect(at[0] - 1.5, at[1] - 1.5, 3, 3); // a single point
      before = at;
    }
    context.stroke();
    if (!wide) line.drawn = values.length;
  }

  /* ---- one line, or one point ---- */

  emphasise(run) {
    if (this.emphasis === run) return;
    this.emphasis = run;
    if (this.isSeen && this.frame) this.drawOver();
  }

  drawOver() {
    const context = this.over.getContext("2d");
    context.clearRect(0, 0, this.frame.width, this.frame.height);
    for (const line of this.lines) if (line.run === this.emphasis && this.lines.some((other) => other.run !== line.run)) this.stroke(context, line, true);
    if (!this.pointed) return;
    const { line, place } = this.pointed;
    if (this.lines.length > 1) this.stroke(context, line, true);
    context.beginPath();
    context.arc(this.x(line.steps[place]), this.y(line.values[place]), 4.5, 0, 7);
    context.fillStyle = this.colour(line.colour);
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = this.colour("--surface");
    context.stroke();
  }

  pointAt(x, y) {
    if (!this.frame) return;
    const { left, right, width } = this.frame;
    const step = left + ((x - PAD.left) / (width - PAD.left - PAD.right)) * (right - left);
    let best = null;
    for (const line of this.lines) {
      const place = nearest(line, step);
      if (place === null) continue;
      const distance = Math.hypot((this.x(line.steps[place]) - x) / 4, this.y(line.values[place]) - y);
      // On a log scale, what is not positive is nowhere, at a distance that is no number.
      if (distance < (best?.distance ?? Infinity)) best = { line, place, distance };
    }
    this.point(best);
  }

  point(found) {
    this.pointed = found;
    this.readout.textContent = found ? `${found.line.label}, step ${found.line.steps[found.place]}: ${text(found.line.values[found.place])}` : "";
    if (this.isSeen && this.frame) this.drawOver();
  }

  key(event) {
    const drawn = this.lines.filter((line) => nearest(line, Infinity) !== null);
    if (!drawn.length || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    let { line, place } = this.pointed ?? { line: drawn[0], place: nearest(drawn[0], Infinity) };
    const known = (by, until) => { for (let next = place + by; next >= 0 && next < line.values.length; next += by) if (line.values[next] !== null) { place = next; if (!until) break; } };
    const turn = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (turn && this.pointed) {
      const step = line.steps[place];
      line = drawn[(drawn.indexOf(line) + turn + drawn.length) % drawn.length];
      place = nearest(line, step);
    } else if (this.pointed) known(event.key === "ArrowLeft" || event.key === "Home" ? -1 : 1, event.key === "Home" || event.key === "End");
    this.point({ line, place });
  }
}

/** The place of the value nearest to a step; null where there is none. */
function nearest({ steps, values }, step) {
  let [low, high] = [0, steps.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && step - steps[low - 1] < steps[low] - step) low--;
  for (let away = 0; away < steps.length; away++) {
    for (const place of [low - away, low + away]) if (values[place] !== null && values[place] !== undefined) return place;
  }
  return null;
}

/** Round numbers between two, at most about so many. */
function rounds(low, high, most) {
  const least = (high - low) / Math.max(most, 2);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * ([1, 2, 5, 10].find((factor) => power * factor >= least) ?? 10);
  const found = [];
  for (let number = Math.ceil(low / step - 1e-9); number * step <= high * (1 + 1e-12) || found.length === 0; number++) {
    found.push(Number((number * step).toPrecision(12)));
    if (found.length > 50) break;
  }
  return found;
}

/** Powers of ten between two, or round numbers where there is not one. */
function powers(low, high) {
  const found = [];
  const few = Math.max(1, Math.ceil(Math.log10(high / low) / 5));
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power += few) found.push(Number((10 ** power).toPrecision(12)));
  return found.length > 1 ? found : rounds(low, high, 4).filter((value) => value > 0);
}

function text(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const found = size >= 1e5 || size < 1e-3 ? value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e") : String(Number(value.toPrecision(4)));
  return found.replaceAll("-", "−");
}
