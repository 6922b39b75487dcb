// Puts what stands after # in the link into the box, and takes it out of the address. Without this file it is pasted.
(() => {
  const box = document.querySelector("[name=invitation]");
  if (!box || location.hash.length < 2) return;
  box.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
})();
