// How long a claim still lasts. The page says how many seconds are left by the server's clock; what this
// machine's clock shows does not matter, only how much time goes by on it. Works without this file too.
(() => {
  "use strict";
  const claim = document.querySelector(".claim[data-left]");
  if (!claim) return;
  const { left, words, minutes, soon, over } = claim.dataset;
  const says = claim.querySelector("[data-says]"), bar = claim.querySelector("rect"), status = claim.querySelector("[role=status]");
  const began = performance.now(), beganAt = Date.now(), WHOLE = 1200, SOON = 120;
  // A machine that slept may stop the one clock, and not the other.
  const remaining = () => Math.ceil(left - Math.max(performance.now() - began, Date.now() - beganAt) / 1000);
  const put = (place, text) => { if (place.textContent !== text) place.textContent = text; };
  const span = (seconds) => seconds > SOON ? minutes.replace("{}", Math.floor(seconds / 60))
    : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

  function end() {
    clearInterval(ticking);
    const focused = document.activeElement, mine = Boolean(soon);
    put(says, over);
    put(status, over);
    document.querySelectorAll("[data-while]").forEach((each) => { each.hidden = true; });
    document.querySelectorAll("[data-after]").forEach((each) => { each.hidden = false; });
    if (mine) document.querySelectorAll(".masked.open").forEach((each) => { each.replaceChildren("•••"); each.classList.remove("open"); });
    if (focused?.hidden) claim.querySelector("[data-after]")?.focus();
  }

  function tick() {
    const seconds = remaining();
    if (seconds <= 0) return end();
    put(says, words.replace("{}", span(seconds)));
    bar?.setAttribute("width", Math.round(100 * seconds / WHOLE));
    if (soon && seconds <= SOON) {
      claim.classList.add("soon");
      put(status, soon);
    }
  }

  const ticking = setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
  tick();
})();
