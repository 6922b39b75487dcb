// The quick way out. Everything works without this file: the link alone leads to /exit.
(() => {
  const link = document.querySelector(".leave");
  if (!link) return;

  const leave = (event) => {
    event?.preventDefault();
    document.title = " ";
    document.body.replaceChildren();
    location.replace(link.dataset.to);
  };

  link.addEventListener("click", leave);

  // Shift three times within five seconds, with no other key in between.
  let presses = [];
  addEventListener("keydown", (event) => {
    if (event.key !== "Shift") presses = [];
    else if (!event.repeat) {
      presses = [...presses.slice(-2), event.timeStamp];
      if (presses.length === 3 && presses[2] - presses[0] < 5000) leave();
    }
  });
  for (const hint of document.querySelectorAll(".keys")) hint.hidden = false;

  // Copy buttons show only where copying works.
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      button.textContent = button.dataset.done;
    });
  }
})();
