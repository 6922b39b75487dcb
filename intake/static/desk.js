// Keys for the desk. Everything works without this file. A key presses what the page already offers;
// an outcome is chosen by its figure and noted by the same figure again, so that a slip notes nothing.
(() => {
  "use strict";
  const OFF = "desk-keys-off";
  const remembered = (() => { try { return localStorage; } catch { return null; } })();
  const off = () => remembered?.getItem(OFF) === "yes";
  const typing = (at) => at?.closest("input:not([type=radio], [type=checkbox]), select, textarea, [contenteditable]");
  const rows = () => [...document.querySelectorAll(".lead .who a")].filter((each) => each.offsetParent);

  function step(by) {
    const all = rows();
    const open = document.querySelector(".lead[aria-current] .who a");
    const at = all.indexOf(all.includes(document.activeElement) ? document.activeElement : open);
    all[Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  }

  function choose(figure) {
    const button = document.querySelector(`[data-choice="${figure}"]`);
    if (button && document.activeElement === button) button.click();
    else button?.focus();
  }

  function press(key) {
    const found = [...document.querySelectorAll(`[data-key="${key}"]`)].find((each) => !each.closest("[hidden]"));
    if (key === "/") found?.focus();
    else found?.click();
    return Boolean(found);
  }

  const acts = { j: () => step(1), k: () => step(-1), o: () => document.activeElement?.closest(".lead .who a")?.click(),
    "?": () => document.querySelector("#keys-panel")?.focus() };

  document.addEventListener("keydown", (event) => {
    if (off() || event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
    if (/^[0-9s]$/.test(event.key)) choose(event.key);
    else if (acts[event.key]) acts[event.key]();
    else if (!press(event.key)) return;
    event.preventDefault();
  });

  const line = document.querySelector("[data-keys-off]");
  const box = line?.querySelector("input");
  if (box && remembered) {
    line.hidden = false;
    box.checked = off();
    box.addEventListener("change", () => remembered.setItem(OFF, box.checked ? "yes" : "no"));
  }

  // A form that was sent is not sent again by an impatient second click; the page sent twice is harmless anyway.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => document.querySelectorAll("[data-sent]").forEach((form) => delete form.dataset.sent));
})();
