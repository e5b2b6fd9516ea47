"use strict";
// The switch of light and dark, and the live part of a page.

const theme = document.getElementById("theme");
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : systemIsDark.matches;
}

function showTheme() {
  theme.setAttribute("aria-pressed", String(isDark()));
  document.dispatchEvent(new Event("taskq:theme"));
}

theme.hidden = false;
theme.addEventListener("click", () => {
  const chosen = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem("taskq-theme", chosen);
  } catch {
    // Without storage the choice holds for this page.
  }
  showTheme();
});
systemIsDark.addEventListener("change", showTheme);
showTheme();

const live = document.getElementById("live");

if (live) {
  const freshness = document.getElementById("freshness");
  let etag = null;

  const say = (state) => {
    freshness.hidden = false;
    freshness.className = `freshness ${state}`;
    freshness.textContent = freshness.dataset[state];
  };
  say("live");

  live.addEventListener("htmx:beforeRequest", (event) => {
    // A hidden page costs nothing.
    if (event.target === live && document.hidden) event.preventDefault();
  });
  live.addEventListener("htmx:configRequest", (event) => {
    // Sent by hand, so that the answer 304 comes here and nothing is drawn anew.
    if (event.target === live && etag) event.detail.headers["If-None-Match"] = etag;
  });
  live.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== live) return;
    const answer = event.detail.xhr;
    if (answer.status === 200) etag = answer.getResponseHeader("ETag");
    // Logged out: the page itself knows the way to the login.
    if (answer.status === 403 || answer.responseURL.includes("/login/")) location.reload();
    say(answer.status === 200 || answer.status === 304 ? "live" : "stale");
  });
  document.addEventListener("visibilitychange", () => {
    say(document.hidden ? "paused" : "live");
    if (!document.hidden) htmx.trigger(live, "renew");
  });
}
