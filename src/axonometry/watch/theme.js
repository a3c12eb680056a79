"use strict";
// Not a module: it runs before the first paint, or a dark page would flash in white.
document.documentElement.classList.add("scripted");
try {
  const theme = localStorage.getItem("axonometry-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* storage may be forbidden */ }
