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
  let source = null;
  let streams = false;

  const say = (state) => {
    freshness.hidden = false;
    freshness.className = `freshness ${state}`;
    freshness.textContent = freshness.dataset[state];
  };

  // Where the site runs under ASGI it sends what is new. Until that works the page asks.
  const listen = () => {
    if (!live.dataset.stream || source) return;
    source = new EventSource(live.dataset.stream);
    source.addEventListener("open", () => (streams = true));
    source.addEventListener("error", () => (streams = false));
    source.addEventListener("message", (event) => {
      htmx.swap(live, event.data, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 });
      say("live");
    });
  };
  const hang_up = () => {
    source?.close();
    source = null;
    streams = false;
  };

  // What is drawn anew stays where a person has moved it to.
  const moved = new Map();
  live.addEventListener(
    "scroll",
    ({ target }) => target.id && moved.set(target.id, target.scrollLeft),
    true,
  );
  new MutationObserver(() => {
    for (const [id, left] of moved) {
      const part = document.getElementById(id);
      if (part) part.scrollLeft = left;
    }
  }).observe(live, { childList: true });

  live.addEventListener("htmx:beforeRequest", (event) => {
    // A hidden page costs nothing.
    if (event.target === live && (document.hidden || streams)) event.preventDefault();
  });
  live.addEventListener("htmx:configRequest", (event) => {
    // Sent by hand, so that the answer 304 comes here and nothing is drawn anew.
    if (event.target === live && etag) event.detail.headers["If-None-Match"] = etag;
  });
  live.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== live) return;
    const answer = event.detail.xhr;
    if (answer.status === 200) etag = answer.getResponseHeader("ETag");
    // Without a login any more: the page itself knows the way there.
    if (answer.status === 403 || answer.responseURL.includes("/login/")) location.reload();
    say([200, 204, 304].includes(answer.status) ? "live" : "stale");
  });
  document.addEventListener("visibilitychange", () => {
    say(document.hidden ? "paused" : "live");
    if (document.hidden) return hang_up();
    htmx.trigger(live, "renew");
    listen();
  });
  say("live");
  listen();
}
