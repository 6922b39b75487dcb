// The queue keeps itself up to date. Everything works without this file; then one refreshes by hand.
// While the keyboard or the pointer is in the list, words change in place and nothing else: no row
// comes, goes or moves before the person leaves it, or asks for it.
(() => {
  "use strict";
  const live = document.querySelector(".live");
  if (!live) return;
  const { from, every, one, many, gone, late, ended } = live.dataset;
  const [status, show, signIn] = live.querySelectorAll(".news > *");
  const part = (page, name) => page.querySelector(`[data-part="${name}"]`);
  const list = part(document, "list");
  const rows = (within) => new Map([...within.querySelectorAll("[data-lead]")].map((row) => [row.dataset.lead, row]));
  const inUse = (place) => place.contains(document.activeElement) || place.matches(":hover");
  const top = (row) => row.getBoundingClientRect().top;
  let tag = `"${live.dataset.who}"`, latest = null, fails = 0, timer = 0, over = false, shownStatus = "";

  function say(words, more = {}) {
    if (words !== shownStatus) status.textContent = shownStatus = words;
    show.hidden = !more.show;
    signIn.hidden = !more.signIn;
    status.parentElement.classList.toggle("on", Boolean(words));
  }

  const renew = (old, fresh) => { if (old.innerHTML !== fresh.innerHTML) old.innerHTML = fresh.innerHTML; };

  // Words in place. Should that push the row in use aside, it is taken back: what moves can wait.
  function mend(fresh) {
    const used = document.activeElement.closest("[data-lead]") ?? list.querySelector("[data-lead]:hover");
    const before = used && top(used), undo = [];
    const put = (old, words) => { const was = old.innerHTML; undo.push(() => { old.innerHTML = was; }); old.innerHTML = words; };
    for (const [lead, row] of rows(list)) {
      const now = fresh.get(lead);
      if (now) row.className = now.className;
      [...row.children].forEach((cell, place) => {
        const words = now ? now.children[place].innerHTML : cell.className === "gate" ? gone : cell.innerHTML;
        if (words !== cell.innerHTML && !cell.contains(document.activeElement)) put(cell, words);
      });
    }
    if (used && Math.abs(top(used) - before) > 0.5) undo.reverse().forEach((back) => back());
  }

  // The list as it is now, with the rows that stay as they are kept, and the page where it was.
  function rebuild() {
    const fresh = document.importNode(part(latest, "list"), true), shown = rows(list);
    const stays = [...shown.values()].find((row) => top(row) >= 0);
    const before = stays && top(stays);
    for (const [lead, row] of rows(fresh)) {
      const old = shown.get(lead);
      if (old?.outerHTML === row.outerHTML) row.replaceWith(old);
    }
    list.replaceChildren(...fresh.childNodes);
    for (const name of ["total", "health"]) renew(part(document, name), part(latest, name));
    const stayed = stays && rows(list).get(stays.dataset.lead);
    if (stayed && scrollY) scrollBy(0, top(stayed) - before);
  }

  const differs = () => part(latest, "list").innerHTML !== list.innerHTML;

  function settle() {
    if (!latest) return;
    for (const name of ["foot", "mine"]) if (!inUse(part(document, name))) renew(part(document, name), part(latest, name));
    const fresh = rows(part(latest, "list")), shown = rows(list);
    const news = [...fresh.keys()].filter((lead) => !shown.has(lead)).length;
    const words = news ? (news === 1 ? one : many.replace("0", news)) : "";
    if (inUse(live)) mend(fresh);
    else if (differs()) rebuild();
    if (!fails) say(words, { show: news && inUse(live) });
  }

  async function ask() {
    const answer = await fetch(from, { headers: { "If-None-Match": tag }, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(10000) });
    if (answer.status === 401) over = true;
    else if (answer.status === 200) {
      latest = new DOMParser().parseFromString(await answer.text(), "text/html");
      tag = answer.headers.get("ETag") ?? tag;
    } else if (answer.status !== 304) throw new Error("not now");
  }

  async function poll() {
    clearTimeout(timer);
    if (over || document.hidden) return;
    try { await ask(); fails = 0; } catch { fails += 1; }
    if (over) return say(ended, { signIn: true });
    if (fails) say(late);
    settle();
    timer = setTimeout(poll, every * 1000 * 2 ** Math.min(fails, 3));
  }

  const left = () => setTimeout(() => { if (!over && latest && !inUse(live)) { if (differs()) rebuild(); if (!fails) say(""); } });
  live.addEventListener("pointerleave", left);
  live.addEventListener("focusout", left);
  show.addEventListener("click", () => {
    const shown = rows(list);
    rebuild();
    [...rows(list)].find(([lead]) => !shown.has(lead))?.[1].querySelector("a").focus();
    say("");
  });
  document.addEventListener("visibilitychange", poll);
  document.querySelector("[data-by-itself]").hidden = false;
  timer = setTimeout(poll, every * 1000);
})();
