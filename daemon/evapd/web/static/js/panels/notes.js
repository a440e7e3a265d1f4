// A note goes into the run's record, with its time and pulse.

import { command } from "../api.js";
import { el, show } from "../dom.js";

export function mount(root, store) {
  const text = el("textarea", { rows: 3, id: "note-text", maxLength: 10000 });
  const said = el("p", { class: "said", role: "status" });
  const button = el("button", { type: "submit" }, "Write into the run");
  const form = el("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      if (!text.value.trim()) return;
      try {
        await command("note", { text: text.value.trim() });
        text.value = "";
        show(said, "written");
      } catch (error) {
        show(said, error.message);
      }
    },
  }, el("label", { htmlFor: text.id, class: "side" }, "What you see, or did"), el("br"), text, el("div", { class: "row" }, button), said);
  text.style.width = "100%";
  root.append(form);
  const allow = () => {
    // The field is not taken from under somebody's fingers because the newest document is late.
    text.disabled = !store.mayOperate || !store.live?.run;
    button.disabled = text.disabled || store.stale;
  };
  store.on("hello", allow);
  store.on("tick", allow);
}
