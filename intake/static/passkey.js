// Makes or uses a passkey where the browser can; what it answers goes to us in the page's own form.
(() => {
  const able = window.PublicKeyCredential?.parseCreationOptionsFromJSON && PublicKeyCredential.parseRequestOptionsFromJSON;
  if (!able) return;

  async function answer(box) {
    const options = JSON.parse(box.dataset.options);
    if (box.dataset.passkey === "create") {
      return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
    }
    return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  }

  async function use(box) {
    const form = document.getElementById(box.dataset.form);
    const problem = box.querySelector("[role=alert]");
    problem.hidden = true;
    try {
      const made = await answer(box);
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: box.dataset.field });
      field.value = JSON.stringify(made.toJSON());
      form.append(field);
      form.submit();
    } catch {
      problem.hidden = false;
    }
  }

  for (const box of document.querySelectorAll("[data-passkey]")) {
    if (JSON.parse(box.dataset.options).rpId === "") continue;
    box.hidden = false;
    box.querySelector("button").addEventListener("click", () => use(box));
  }
})();
