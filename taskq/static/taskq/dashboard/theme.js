"use strict";
// Light or dark, as it was chosen last. It runs before the page is drawn, so that nothing flashes.
try {
  const chosen = localStorage.getItem("taskq-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the system's choice holds.
}
