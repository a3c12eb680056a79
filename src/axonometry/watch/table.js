// The table of runs: one row a run, of which only the cells that changed are written.

const ENDED = new Set(["deleted"]);

export class RunTable {
  constructor(body, { isChosen, toggle, only, emphasise }) {
    Object.assign(this, { body, isChosen, toggle, only });
    this.rows = new Map(); // by number: { run, tr, cells, box, swatch, texts }
    this.order = { column: "run", descending: false };
    this.heads = [];
    body.addEventListener("pointerover", (event) => emphasise(this.numberAt(event.target)));
    body.addEventListener("pointerleave", () => emphasise(null));
    body.addEventListener("focusin", (event) => emphasise(this.numberAt(event.target)));
    body.addEventListener("focusout", () => emphasise(null));
  }

  numberAt(element) {
    const found = element.closest("tr")?.dataset.number;
    return found === undefined ? null : Number(found);
  }

  setHeads(score, predicts) {
    const columns = [["run", "run"], ["state", "state"], ["step", "step"], ["score", score], ...(predicts ? [["predicted", "predicted final accuracy (90 %)"]] : []), ["problem", ""]];
    if (JSON.stringify(columns) === JSON.stringify(this.columns)) return;
    this.columns = columns;
    document.getElementById("heads").replaceChildren(...columns.map(([column, text]) => {
      const head = document.createElement("th");
      head.scope = "col";
      head.dataset.column = column;
      if (column === "score" || column === "step") head.className = "num";
      if (text) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "sort";
        button.textContent = text;
        button.addEventListener("click", () => this.sortBy(column));
        head.append(button);
      }
      return head;
    }));
    for (const row of this.rows.values()) row.tr.remove();
    const known = [...this.rows.values()].map((row) => row.run);
    this.rows.clear();
    known.forEach((run) => this.set(run));
    this.sort();
  }

  set(run) {
    if (!this.columns) return;
    let row = this.rows.get(run.number);
    if (!row) {
      row = this.made(run);
      this.rows.set(run.number, row);
    }
    row.run = run;
    const { state, step, steps, planned_steps: planned, score, predicted, low, high, problem } = run.row;
    const texts = {
      state, step: step === null ? "–" : planned === null ? String(step) : `${step} (${steps} of ${planned})`,
      score: shown(score), predicted: predicted === null ? "–" : `${shown(predicted)} (${shown(low)} to ${shown(high)})`, problem: problem ?? "",
    };
    for (const [column, text] of Object.entries(texts)) {
      const cell = row.cells[column];
      if (!cell || row.texts[column] === text) continue;
      row.texts[column] = text;
      if (column === "state") cell.firstChild.className = `state ${text}`;
      (column === "state" ? cell.firstChild : cell).textContent = text;
    }
    row.tr.classList.toggle("ended", ENDED.has(state));
  }

  made(run) {
    const tr = document.createElement("tr");
    tr.dataset.number = run.number;
    const cells = {};
    for (const [column] of this.columns) {
      cells[column] = document.createElement("td");
      cells[column].className = { run: "name", score: "num", step: "num", problem: "problem" }[column] ?? "";
      tr.append(cells[column]);
    }
    cells.state.append(document.createElement("span"));
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: this.isChosen(run.number) });
    box.addEventListener("change", () => this.toggle(run.number));
    const swatch = document.createElement("i");
    swatch.className = "swatch";
    const name = document.createElement("span");
    name.textContent = run.row.run;
    label.append(box, swatch, name);
    const only = Object.assign(document.createElement("button"), { type: "button", className: "only", textContent: "only" });
    only.setAttribute("aria-label", `Show only ${run.row.run}`);
    only.addEventListener("click", () => this.only(run.number));
    cells.run.append(label, only);
    this.body.append(tr);
    return { run, tr, cells, box, swatch, texts: {} };
  }

  showChoice() {
    for (const [number, row] of this.rows) row.box.checked = this.isChosen(number);
  }

  /** The colours of the curves, by run. */
  colour(number, colour) {
    const row = this.rows.get(number);
    if (row) row.swatch.style.background = colour;
  }

  find(text) {
    this.wanted = text.toLowerCase();
    for (const row of this.rows.values()) row.tr.hidden = !this.isFound(row);
  }

  isFound(row) {
    return !this.wanted || `${row.run.row.run} ${row.run.row.state}`.toLowerCase().includes(this.wanted);
  }

  sortBy(column) {
    this.order = { column, descending: this.order.column === column && !this.order.descending };
    this.sort();
  }

  sort() {
    const { column, descending } = this.order;
    for (const head of document.getElementById("heads").children) {
      if (head.dataset.column === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const key = (row) => row.run.row[column];
    const names = new Intl.Collator(undefined, { numeric: true });
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null); // what is missing stands last
      const found = typeof x === "number" && typeof y === "number" ? x - y : names.compare(x, y);
      return (descending ? -found : found) || names.compare(a.run.row.run, b.run.row.run);
    };
    const sorted = [...this.rows.values()].sort(compare);
    sorted.forEach((row, place) => {
      row.tr.hidden = !this.isFound(row);
      if (this.body.children[place] !== row.tr) this.body.insertBefore(row.tr, this.body.children[place] ?? null);
    });
  }
}

/** A number with four digits; a dash where there is none, and text as it is. */
export function shown(value) {
  if (value === null) return "–";
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : value;
}
