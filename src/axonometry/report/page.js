"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const screenIsDark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const dark = JSON.parse(document.getElementById("_dark").textContent);
  let printing = false;

  /* ---- figures: drawn when first seen, drawn again in the other colours when the theme changes ---- */

  const isDark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : screenIsDark.matches);
  // Colours are #rrggbb or #rrggbbaa; the opacity of the latter is kept.
  const darken = (key, value) =>
    typeof value === "string" && value[0] === "#" && dark[value.slice(0, 7)] ? dark[value.slice(0, 7)] + value.slice(7) : value;

  function draw(plot) {
    const source = plot.spec ??= plot.querySelector("script").textContent;
    const { data, layout, frames } = JSON.parse(source, isDark() ? darken : undefined);
    const figure = plot.closest("figure");
    const hidden = new Set(all('.key[aria-pressed="false"]', figure).map((key) => key.dataset.name));
    for (const trace of data) if (hidden.has(trace.legendgroup)) trace.visible = false;
    Object.assign(layout, { uirevision: "keep", autosize: true, height: undefined, width: undefined });
    // A finger scrolls the page; only a mouse drags a zoom.
    if (coarse) layout.dragmode = false;
    // Buttons are named one by one: plotly.js's own set grew one that uploads the data.
    const modeBarButtons = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];
    const config = { responsive: true, displaylogo: false, displayModeBar: coarse ? false : "hover", modeBarButtons, plotlyServerURL: "" };
    const first = !plot.classList.contains("drawn");
    plot.classList.add("drawn");
    if (first) {
      plot.replaceChildren();
      Plotly.newPlot(plot, { data, layout, config, frames });
      const map = plot.closest(".weightmap");
      if (map) plot.on("plotly_treemapclick", ({ points }) => map.showLayer(points[0].id));
    } else {
      Plotly.react(plot, data, layout, config);
    }
    if (frames?.length) preparePlayer(figure, frames.map((frame) => frame.name));
  }

  const redraw = () => {
    all(".plot.drawn").forEach(draw);
    all(".weightmap").forEach((map) => { if (map.layer) map.showLayer(map.layer); });
  };
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      if (!target.classList.contains("drawn")) draw(target);
    }
  }, { rootMargin: "300px" });
  all(".plot").forEach((plot) => seen.observe(plot));

  /* ---- light and dark ---- */

  document.getElementById("_theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("axonometry-theme", root.dataset.theme); } catch { /* storage may be forbidden for files */ }
    redraw();
  });
  screenIsDark.addEventListener("change", redraw);

  /* ---- tabs ---- */

  const tabs = all('[role="tab"]');
  const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

  function open(tab, focus = false) {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      panelOf(other).hidden = other !== tab;
    }
    if (focus) tab.focus();
    tab.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  }

  function choose(tab, focus) {
    open(tab, focus);
    const head = document.querySelector("header").offsetHeight;
    // A new part starts at its top, but a reader who has not scrolled yet keeps the title in view.
    if (scrollY > head) scrollTo({ top: head });
    history.replaceState(null, "", "#" + panelOf(tab).id);
  }

  function follow() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const tab = tabs.find((candidate) => target && panelOf(candidate).contains(target));
    open(tab ?? tabs[0]);
    if (tab && target !== panelOf(tab)) target.scrollIntoView();
  }

  for (const tab of tabs) {
    tab.addEventListener("click", (event) => { event.preventDefault(); choose(tab, true); });
    tab.addEventListener("keydown", (event) => {
      const at = tabs.indexOf(tab);
      const goal = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1, " ": at }[event.key];
      if (goal === undefined) return;
      event.preventDefault();
      choose(tabs[goal % tabs.length], true);
    });
  }
  if (tabs.length) {
    addEventListener("hashchange", follow);
    follow();
  }

  /* ---- a figure's own controls ---- */

  for (const key of all(".key")) {
    key.addEventListener("click", () => {
      const shown = key.getAttribute("aria-pressed") !== "true";
      key.setAttribute("aria-pressed", String(shown));
      for (const plot of all(".plot.drawn", key.closest("figure"))) {
        const traces = plot.data.flatMap((trace, index) => (trace.legendgroup === key.dataset.name ? [index] : []));
        if (traces.length) Plotly.restyle(plot, { visible: shown }, traces);
      }
    });
  }

  for (const figure of all("figure.switch")) {
    const panels = all(".panel", figure);
    const show = (chosen) => panels.forEach((panel, index) => { panel.hidden = index !== chosen; });
    const choices = all(".choices input", figure);
    choices.forEach((input, index) => input.addEventListener("change", () => {
      show(index);
      const plot = panels[index].querySelector(".plot");
      if (plot?.classList.contains("drawn")) Plotly.Plots.resize(plot);
      figure.showStep?.();
    }));
    show(Math.max(0, choices.findIndex((input) => input.checked)));
  }

  function preparePlayer(figure, names) {
    const player = figure.querySelector(".player");
    const [play, range, output] = player.children;
    if (player.hidden) {
      player.hidden = false;
      range.max = names.length - 1;
      range.value = range.max;
      let timer;
      const stop = () => { clearInterval(timer); timer = undefined; play.textContent = "▶"; play.setAttribute("aria-label", "Play"); };
      figure.showStep = () => {
        const name = names[range.value];
        output.textContent = name;
        range.setAttribute("aria-valuetext", name);
        for (const plot of all(".panel:not([hidden]) .plot.drawn", figure)) {
          Plotly.animate(plot, [name], { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: still ? 0 : 500 } });
        }
      };
      range.addEventListener("input", () => { stop(); figure.showStep(); });
      play.addEventListener("click", () => {
        if (timer) return stop();
        play.textContent = "❚❚";
        play.setAttribute("aria-label", "Pause");
        if (Number(range.value) === names.length - 1) range.value = 0;
        figure.showStep();
        timer = setInterval(() => {
          range.value = Number(range.value) + 1;
          figure.showStep();
          if (Number(range.value) === names.length - 1) stop();
        }, 900);
      });
    }
    output.textContent = names[range.value];
    if (Number(range.value) < names.length - 1) figure.showStep();
  }

  /* ---- maps of weights: a click on a tensor shows its distribution, a search enters what it finds ---- */

  for (const map of all(".weightmap")) {
    const colour = (key, value) => (isDark() ? darken(key, value) : value);
    const read = (name) => JSON.parse(map.querySelector("script." + name).textContent, colour);
    const { tensors } = read("distributions");
    const shown = map.querySelector(".layer");
    // Names come from files of anybody: as text, and never as a part of a template or of a selector.
    const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    const byId = new Map(Object.keys(tensors).map((name) => [plain(name), name]));
    map.showLayer = (id) => {
      const name = byId.get(id) ?? id;
      if (!Object.hasOwn(tensors, name)) return;
      map.layer = name;
      const { colours } = read("distributions");
      const { layout } = read("empty");
      const data = Object.entries(tensors[name]).map(([checkpoint, { low, high, counts }], index) => {
        const total = counts.reduce((sum, count) => sum + count, 0);
        const width = (high - low) / counts.length;
        return {
          type: "scatter", mode: "lines", line: { shape: "hvh", color: colours[index], width: 2 }, name: plain(checkpoint),
          x: counts.map((_, place) => low + (place + 0.5) * width), y: counts.map((count) => count / total),
        };
      });
      shown.hidden = false;
      shown.querySelector("h3").textContent = name;
      Object.assign(layout, { autosize: true, showlegend: data.length > 1 });
      Plotly.react(shown.querySelector(".distribution"), data, layout, { responsive: true, displaylogo: false, displayModeBar: false, plotlyServerURL: "" });
    };
    const find = map.querySelector(".find input");
    find.addEventListener("input", () => {
      const text = find.value.trim().toLowerCase();
      const names = text ? Object.keys(tensors).filter((name) => name.toLowerCase().includes(text)) : [];
      find.nextElementSibling.textContent = text ? `${names.length} found` : "";
      const parts = names.map((name) => plain(name).split(/(?<=[./])/));
      let common = parts[0]?.slice(0, -1) ?? [];
      for (const part of parts) while (common.some((piece, place) => part[place] !== piece)) common = common.slice(0, -1);
      const level = names.length ? common.join("").replace(/[./]$/, "") : "";
      for (const plot of all(".plot.drawn", map)) Plotly.restyle(plot, { level });
      if (names.length === 1) map.showLayer(plain(names[0]));
    });
  }

  for (const find of all('input[data-find="rows"]')) {
    const rows = [...find.closest(".block").querySelector("tbody").rows];
    find.addEventListener("input", () => {
      const text = find.value.trim().toLowerCase();
      let count = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(text);
        count += !row.hidden;
      }
      find.nextElementSibling.textContent = text ? `${count} of ${rows.length}` : "";
    });
  }

  /* ---- tables sort by a column ---- */

  for (const button of all(".sort")) {
    button.addEventListener("click", () => {
      const head = button.parentElement;
      const column = head.cellIndex;
      const up = head.getAttribute("aria-sort") !== "ascending";
      all("th", head.parentElement).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = head.closest("table").tBodies[0];
      const compare = (a, b) => {
        const [x, y] = [a.cells[column], b.cells[column]];
        if (("key" in x.dataset) !== ("key" in y.dataset)) return "key" in x.dataset ? -1 : 1;
        const order = "key" in x.dataset ? x.dataset.key - y.dataset.key : x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
        return up ? order : -order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  }

  const copy = document.getElementById("_copy");
  copy?.addEventListener("click", async () => {
    const code = copy.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
    }
  });

  /* ---- paper shows everything, in light colours ---- */

  addEventListener("beforeprint", () => {
    printing = true;
    all("[hidden]", document.getElementById("_content")).forEach((part) => { if (!part.matches(".player")) { part.hidden = false; part.wasHidden = true; } });
    all(".plot").forEach(draw);
  });
  addEventListener("afterprint", () => {
    printing = false;
    all("*", document.getElementById("_content")).forEach((part) => { if (part.wasHidden) { part.hidden = true; part.wasHidden = false; } });
    redraw();
  });
})();
