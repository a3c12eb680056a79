// The page that follows runs. The server says what is new (server-sent events); what is shown is never drawn anew as a
// whole: a row changes its cells, a curve gets its next points.
import { Curves } from "./curves.js";
import { RunTable, shown } from "./table.js";

const root = document.documentElement;
const at = (id) => document.getElementById(id);
const runs = new Map(); // by number: { number, row, steps, lines: by key, stride, colour }
const choice = { runs: null, series: null }; // null: all, and the usual ones
const MOST_POINTS = 4000; // of a line; beyond, every second one is dropped
let about = { folder: "", score: "accuracy", rules: [], unmet: [], predicts: false, problem: null };
let source = null;
let alerts = [];

// The token has done its work: it is in a cookie, and need not stay in the history.
if (location.search) history.replaceState(null, "", location.pathname);

const isChosen = (number) => choice.runs === null || choice.runs.has(number);
const curves = new Curves(at("curves"), {
  runs, isChosen, live: () => [...runs.values()].some((run) => run.row.state === "running" && isChosen(run.number)),
  choose: (names) => { choice.series = names; connect(); },
});
const table = new RunTable(at("runs"), {
  isChosen,
  toggle: (number) => {
    const chosen = choice.runs ?? new Set(runs.keys());
    if (!chosen.delete(number)) chosen.add(number);
    choose(chosen.size === runs.size ? null : chosen);
  },
  only: (number) => choose(new Set([number])),
  emphasise: (number) => curves.emphasise(number),
});

curves.colourRow = (number, colour) => table.colour(number, colour);

function choose(chosen) {
  choice.runs = chosen;
  table.showChoice();
  connect();
}
at("all").addEventListener("click", () => choose(null));
at("none").addEventListener("click", () => choose(new Set()));
at("find").addEventListener("input", (event) => table.find(event.target.value));
at("layers").addEventListener("input", (event) => curves.find(event.target.value));

/* ---- the connection ---- */

/** "0-3,7" for 0, 1, 2, 3, 7. */
function ranges(numbers) {
  const found = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([low, high]) => (low === high ? low : `${low}-${high}`)).join(",");
}

function connect() {
  source?.close();
  const query = new URLSearchParams();
  // Of no run, a number that no run has.
  if (choice.runs) query.set("runs", choice.runs.size ? ranges(choice.runs) : "99999");
  for (const name of choice.series ?? []) query.append("show", name);
  if (choice.series?.length === 0) query.append("show", "");
  source = new EventSource(`/events?${query}`);
  for (const [name, take] of Object.entries({ about: takeAbout, runs: takeRuns, series: takeSeries, points: takePoints, alerts: takeAlerts })) {
    source.addEventListener(name, (event) => take(JSON.parse(event.data)));
  }
  source.addEventListener("open", () => {
    root.classList.remove("away");
    for (const run of runs.values()) forget(run);
    curves.refresh();
    showStatus();
  });
  source.addEventListener("error", () => { root.classList.add("away"); showStatus(); });
}

function forget(run) {
  run.steps = [];
  run.lines = new Map();
}

function takeAbout(found) {
  about = found;
  at("title").textContent = found.folder.split("/").filter(Boolean).at(-1) ?? found.folder;
  at("title").title = found.folder;
  table.setHeads(found.score, found.predicts);
  showStatus();
  showAlerts();
}

function takeRuns(rows) {
  for (const { number, ...row } of rows) {
    const run = runs.get(number) ?? { number, steps: [], lines: new Map() };
    run.row = row;
    if (!runs.has(number)) curves.refresh();
    runs.set(number, run);
    table.set(run);
  }
  table.sort();
  at("empty").hidden = runs.size > 0;
  at("runs-box").hidden = runs.size === 0;
  at("states").hidden = ![...runs.values()].some((run) => run.row.state === "interrupted");
  showStatus();
}

function takeSeries({ layers, shown }) {
  curves.setSeries(layers, shown, about.score);
}

function takePoints({ run: number, reset, stride, steps, lines }) {
  const run = runs.get(number);
  if (reset) forget(run);
  if (reset) run.stride = stride;
  const before = run.steps.length;
  run.steps.push(...steps);
  for (const [name, layer, values] of lines) {
    const key = `${name}\n${layer}`;
    let line = run.lines.get(key);
    if (!line) {
      line = { name, layer, values: new Array(before).fill(null) };
      run.lines.set(key, line);
      curves.refresh();
    }
    line.values.push(...values);
  }
  if (run.steps.length > MOST_POINTS) thin(run);
  if (reset) curves.refresh();
  curves.grown(number);
}

function thin(run) {
  const kept = (_, place, all) => place % 2 === 0 || place === all.length - 1;
  for (const line of run.lines.values()) line.values = line.values.filter(kept);
  run.steps = run.steps.filter(kept);
  run.stride *= 2;
  curves.refresh();
}

function takeAlerts(found) {
  alerts = found;
  showAlerts();
  showStatus();
}

/* ---- what is said ---- */

function showAlerts() {
  at("alerts").classList.toggle("active", alerts.some((alert) => !alert.over));
  at("alerts").hidden = about.rules.length === 0;
  const unmet = about.unmet.length ? ` No run has recorded what these are about: ${about.unmet.join("; ")}.` : "";
  at("alerts-note").textContent = `${alerts.length ? "" : "None fired so far. "}Rules: ${about.rules.join("; ")}.${unmet}`;
  const list = at("alerts-list");
  const there = new Map([...list.children].map((item) => [Number(item.dataset.number), item]));
  const known = new Set(alerts.map((alert) => alert.number));
  for (const [key, item] of there) if (!known.has(key)) item.remove();
  for (const alert of alerts) {
    let item = there.get(alert.number);
    if (!item) {
      item = document.createElement("li");
      item.dataset.number = alert.number;
      const rule = document.createElement("b");
      rule.textContent = alert.rule;
      const where = `${alert.run}${alert.layer ? `, layer ${alert.layer}` : ""}: ${shown(alert.value)} at step ${alert.step}`;
      item.append(rule, ` ${where}, ${new Date(alert.at * 1000).toLocaleTimeString()}`);
      list.prepend(item);
    }
    if (alert.over !== item.classList.contains("over")) {
      item.classList.toggle("over", alert.over);
      if (alert.over) item.append(" (over)");
    }
  }
}

function showStatus() {
  const count = new Map();
  for (const { row } of runs.values()) count.set(row.state, (count.get(row.state) ?? 0) + 1);
  const states = [...count].map(([state, many]) => `${many} ${state}`).join(", ") || "no runs so far";
  const active = alerts.filter((alert) => !alert.over).length;
  const problem = about.problem ? `. ${about.problem}` : "";
  at("status").textContent = root.classList.contains("away")
    ? "Not connected: the watcher has ended, or is busy. Trying again."
    : `${states}${active ? `, ${active} alert${active > 1 ? "s" : ""}` : ""}${problem}`;
  document.title = `${active ? `(${active}) ` : ""}${at("title").textContent}`;
}

/* ---- light and dark ---- */

const screenIsDark = matchMedia("(prefers-color-scheme: dark)");
at("_theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : screenIsDark.matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("axonometry-theme", root.dataset.theme); } catch { /* storage may be forbidden */ }
  curves.recolour();
});
screenIsDark.addEventListener("change", () => curves.recolour());

/* ---- paper shows all curves, in light colours ---- */

let onScreen; // the theme, while the page is printed
addEventListener("beforeprint", () => {
  onScreen = root.dataset.theme;
  root.dataset.theme = "light";
  curves.print();
});
addEventListener("afterprint", () => {
  if (onScreen) root.dataset.theme = onScreen;
  else delete root.dataset.theme;
  curves.printed();
});

connect();
