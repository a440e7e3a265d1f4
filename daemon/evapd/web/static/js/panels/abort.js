// ABORT: no question asked, never disabled, tried again until somebody confirms.

import { command } from "../api.js";
import { show } from "../dom.js";

const TRIES = 5;

export function mount() {
  const button = document.getElementById("abort");
  button.addEventListener("click", async () => {
    button.setAttribute("aria-busy", "true");
    show(button, "ABORTING");
    for (let i = 0; i < TRIES; i += 1) {
      try {
        await command("abort", {});
        show(button, "ABORTED");
        setTimeout(() => show(button, "ABORT"), 4000);
        button.removeAttribute("aria-busy");
        return;
      } catch (error) {
        console.warn("abort was not confirmed", error.message);
        show(button, "NOT CONFIRMED: switch off by hand");
      }
    }
    button.removeAttribute("aria-busy");
    setTimeout(() => show(button, "ABORT"), 10000);
  });
}
