// Asks for a token where one is needed.

import { el } from "./dom.js";

export function askForToken(why) {
  const dialog = document.getElementById("entry");
  const field = el("input", { type: "password", id: "entry-token", required: true, autocomplete: "off" });
  return new Promise((done) => {
    const form = el("form", { method: "dialog", onsubmit: () => { dialog.close(); done(field.value.trim()); } },
      el("h2", { id: "entry-title" }, "Who is looking?"),
      el("p", {}, why),
      el("p", {}, el("label", { htmlFor: "entry-token" }, "Token "), field),
      el("button", { type: "submit" }, "Enter"));
    dialog.replaceChildren(form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    if (!dialog.open) dialog.showModal();
  });
}
