// Which curves are shown, and in which charts: of a scalar, one chart with a line a run; of a measure by layer, a chart a
// layer with a line a run, or, where one run is shown, one chart with a line a layer.
import { Chart } from "./chart.js";

const STOPS = 30; // of a colour scale
const DASHES = [[], [7, 4], [2, 3]];
const FEW = 8; // lines that dashes tell apart
const MOST_CHARTS = 12; // layers of a measure
const USUAL = ["loss", "train_loss", "val_loss", "node_strength.mean", "layer_fluctuation", "dead", "update_ratio"];
const WORDS = { dead: "dead units, share of the layer" };

export class Curves {
  constructor(container, { runs, isChosen, live, choose }) {
    Object.assign(this, { container, runs, isChosen, live, choose });
    this.layers = {};
    this.shown = [];
    this.sections = new Map(); // by name: { section, charts: by id, list, legend }
    this.wanted = "";
  }

  /* ---- which series ---- */

  setSeries(layers, shown, score) {
    this.layers = layers;
    this.shown = shown;
    const names = Object.keys(layers);
    const scalars = names.filter((name) => layers[name].every((layer) => !layer) && !name.includes("."));
    const usual = [...new Set([score, ...scalars, ...USUAL, ...names.filter((name) => !name.includes("."))])].filter((name) => name in layers);
    this.offer("series", usual);
    const others = names.filter((name) => !usual.includes(name));
    this.offer("more-series", others);
    document.getElementById("more").hidden = others.length === 0;
    this.refresh();
  }

  offer(id, names) {
    const box = document.getElementById(id);
    const there = new Map([...box.children].map((label) => [label.dataset.name, label]));
    for (const [name, label] of there) if (!names.includes(name)) label.remove();
    names.forEach((name, place) => {
      let label = there.get(name);
      if (!label) {
        label = document.createElement("label");
        label.dataset.name = name;
        const input = Object.assign(document.createElement("input"), { type: "checkbox" });
        input.addEventListener("change", () => this.choose(input.checked ? [...this.shown, name] : this.shown.filter((other) => other !== name)));
        const text = document.createElement("span");
        text.textContent = name === "dead" ? "dead units" : words(name);
        label.append(input, text);
      }
      if (box.children[place] !== label) box.insertBefore(label, box.children[place] ?? null);
      label.firstChild.checked = this.shown.includes(name);
    });
  }

  find(text) {
    this.wanted = text.toLowerCase();
    this.refresh();
  }

  /* ---- which charts ---- */

  /** Lay the charts out again, soon: many runs may be read at the same moment. */
  refresh() {
    this.timer ??= setTimeout(() => { this.timer = null; this.layOut(); }, 100);
  }

  layOut() {
    const chosen = [...this.runs.values()].filter((run) => this.isChosen(run.number));
    chosen.sort((a, b) => a.row.run.localeCompare(b.row.run, undefined, { numeric: true }));
    chosen.forEach((run, place) => {
      run.colour = stop("accuracy", place, chosen.length);
      run.dash = chosen.length <= FEW ? DASHES[place % 3] : [];
      this.colourRow?.(run.number, `var(${run.colour})`);
    });
    let left = 0;
    for (const [name, part] of this.sections) if (!this.shown.includes(name)) { part.section.remove(); this.sections.delete(name); }
    let layered = false;
    for (const name of this.shown) {
      const part = this.sections.get(name) ?? this.section(name);
      const layers = this.layers[name] ?? [];
      const found = layers.filter((layer) => !layer || layer.toLowerCase().includes(this.wanted));
      layered ||= layers.some(Boolean);
      const single = chosen.length === 1 && layers.some(Boolean);
      const charts = single ? [{ id: "\n", title: "", lines: this.byLayer(chosen[0], name, found) }]
        : found.slice(0, MOST_CHARTS).map((layer) => ({ id: layer, title: layer || (found.length > 1 ? "whole network" : ""), lines: this.byRun(chosen, name, layer) }));
      if (!single) left = Math.max(left, found.length - MOST_CHARTS);
      this.fill(part, charts, single);
    }
    document.getElementById("layers-box").hidden = !layered;
    document.getElementById("layers-note").textContent = left > 0 ? `and ${left} more layers: find them by name` : "";
  }

  byRun(chosen, name, layer) {
    return chosen.flatMap((run) => {
      const line = run.lines.get(`${name}\n${layer}`);
      return line ? [{ run: run.number, label: run.row.run, steps: run.steps, values: line.values, colour: run.colour, dash: run.dash }] : [];
    });
  }

  byLayer(run, name, layers) {
    return layers.flatMap((layer, place) => {
      const line = run.lines.get(`${name}\n${layer}`);
      const dash = layers.length <= FEW ? DASHES[place % 3] : [];
      return line ? [{ run: run.number, label: layer || "whole network", steps: run.steps, values: line.values, colour: stop("depth", place, layers.length), dash }] : [];
    });
  }

  section(name) {
    const section = document.createElement("section");
    section.className = "block";
    section.dataset.name = name;
    const head = document.createElement("div");
    head.className = "line";
    const title = document.createElement("h3");
    title.textContent = WORDS[name] ?? words(name);
    const log = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: "log scale" });
    log.setAttribute("aria-pressed", "false");
    const buttons = document.createElement("span");
    buttons.className = "buttons";
    buttons.append(log);
    head.append(title, buttons);
    const list = document.createElement("div");
    const legend = document.createElement("div");
    legend.className = "legend";
    section.append(head, list, legend);
    this.container.append(section);
    const part = { section, charts: new Map(), list, legend, log: false };
    log.addEventListener("click", () => {
      part.log = !part.log;
      log.setAttribute("aria-pressed", part.log);
      for (const chart of part.charts.values()) chart.setLog(part.log);
    });
    this.sections.set(name, part);
    return part;
  }

  fill(part, charts, single) {
    const place = this.shown.indexOf(part.section.dataset.name);
    if (this.container.children[place] !== part.section) this.container.insertBefore(part.section, this.container.children[place] ?? null);
    part.list.className = `charts${charts.length === 1 ? " single" : ""}`;
    const wanted = new Set(charts.map((chart) => chart.id));
    for (const [id, chart] of part.charts) if (!wanted.has(id)) { chart.remove(); part.charts.delete(id); }
    charts.forEach(({ id, title, lines }, index) => {
      let chart = part.charts.get(id);
      if (!chart) {
        chart = new Chart(title, part.section.querySelector("h3").textContent, this.live);
        chart.setLog(part.log);
        part.charts.set(id, chart);
      }
      if (part.list.children[index] !== chart.figure) part.list.insertBefore(chart.figure, part.list.children[index] ?? null);
      chart.setLines(lines);
    });
    const keys = single ? charts[0].lines : [];
    part.legend.hidden = !single;
    part.legend.replaceChildren(...keys.map((line) => {
      const key = document.createElement("span");
      key.className = "key";
      const swatch = document.createElement("i");
      swatch.className = "swatch";
      swatch.style.background = `var(${line.colour})`;
      key.append(swatch, line.label);
      return key;
    }));
  }

  /* ---- what changes ---- */

  *charts() {
    for (const part of this.sections.values()) yield* part.charts.values();
  }

  grown(number) {
    if (this.isChosen(number)) for (const chart of this.charts()) chart.grown();
  }

  emphasise(number) {
    for (const chart of this.charts()) chart.emphasise(number);
  }

  recolour() {
    for (const chart of this.charts()) chart.recolour();
  }

  print() {
    for (const chart of this.charts()) chart.print();
  }

  printed() {
    for (const chart of this.charts()) chart.printed();
  }
}

/** The custom property of the colour of one of several lines. */
function stop(scale, place, count) {
  return `--${scale}-${count > 1 ? Math.round((place / (count - 1)) * STOPS) : STOPS}`;
}

/** "node strength, mean" for node_strength.mean. */
function words(name) {
  const place = name.lastIndexOf(".");
  const text = place > 0 ? `${name.slice(0, place)}, ${name.slice(place + 1)}` : name;
  return text.replaceAll("_", " ");
}
