// A question before energy rises. Escape and the focused button both mean no.

import { el } from "./dom.js";

export function confirmed(title, text, yes) {
  const dialog = document.getElementById("confirm");
  return new Promise((done) => {
    const end = (answer) => () => { dialog.close(); done(answer); };
    const no = el("button", { type: "button", onclick: end(false) }, "No, leave it");
    dialog.replaceChildren(
      el("h2", { id: "confirm-title" }, title),
      el("p", {}, text),
      el("p", {}, no, " ", el("button", { type: "button", class: "rise", onclick: end(true) }, yes)));
    dialog.oncancel = () => done(false);
    dialog.showModal();
    no.focus();
  });
}
