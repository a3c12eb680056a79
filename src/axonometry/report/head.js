document.documentElement.classList.add("scripted");
try { const theme = localStorage.getItem("axonometry-theme"); if (theme) document.documentElement.dataset.theme = theme; } catch { /* storage may be forbidden for files */ }
