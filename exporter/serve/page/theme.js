// The look: as the system, light or dark, kept by the browser.

function storedTheme() {
  try {
    return localStorage.getItem("fleetscope-theme") || "auto";
  } catch {
    return "auto";
  }
}

function setTheme(theme) {
  byId("theme").value = theme;
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("fleetscope-theme", theme);
  } catch {
    // Without storage the choice holds until the page is closed.
  }
}

function setUpTheme(changed = () => {}) {
  setTheme(storedTheme());
  byId("theme").addEventListener("input", (event) => {
    setTheme(event.target.value);
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
