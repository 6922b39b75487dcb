// Says two minutes before a session ends that it does, and lets one key extend it; nothing typed is lost.
(() => {
  const line = document.getElementById("stay");
  if (!line) return;
  const words = line.querySelector("[data-words]");
  const link = line.querySelector("a");
  const AHEAD = 120;
  let end;
  let timer;

  async function seconds(address) {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (answer.status === 401 || answer.redirected) return 0;
    return answer.ok ? (await answer.json()).seconds : null;
  }

  function show(now, over) {
    line.hidden = !now;
    line.classList.toggle("now", now);
    link.hidden = over;
    words.textContent = over ? line.dataset.over : words.dataset.words;
  }

  function wait(left) {
    end = Date.now() + left * 1000;
    clearTimeout(timer);
    show(left <= AHEAD, left <= 0);
    if (left > 0) timer = setTimeout(look, Math.max(1, left > AHEAD ? left - AHEAD : left) * 1000);
  }

  // Another tab may have extended it meanwhile: asking extends nothing.
  async function look() {
    const left = await seconds(line.dataset.ask).catch(() => null);
    wait(left ?? Math.round((end - Date.now()) / 1000));
  }

  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const left = await seconds(link.href).catch(() => null);
    if (left === null) location.assign(link.href);
    else wait(left);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  wait(Number(line.dataset.left));
})();
