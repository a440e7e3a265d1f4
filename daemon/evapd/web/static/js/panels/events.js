// What happened, newest first, and the guard's acknowledgement; who was told of an alarm, and has seen it, stands in alarms.js.

import { command } from "../api.js";
import { el, show, timeOf } from "../dom.js";

const SHOWN = 100;
const SHAPES = { alarm: "■ alarm", warning: "▲ warning", info: "○ info" };
const UNSHOWN = new Set(["trace"]); // bytes of a device, for the record

export function mount(root, store) {
  const list = el("ol", { class: "events" });
  const note = el("p", { class: "said", role: "status" });
  const button = el("button", { type: "button", onclick: () => acknowledge(note) }, "Acknowledge at the guard");
  button.title = "Releases what the guard holds latched, once everything is verified down";
  root.append(el("div", { class: "row" }, button, note), el("div", { class: "scroll", tabIndex: 0, role: "log", "aria-label": "events, newest first" }, list));
  store.on("event", (event) => {
    if (UNSHOWN.has(event.kind)) return;
    list.prepend(line(event));
    while (list.children.length > SHOWN) list.lastChild.remove();
  });
  const allow = () => { button.disabled = !store.mayOperate || store.stale; };
  store.on("hello", allow);
  store.on("tick", allow);
}

function line(event) {
  const severity = event.severity in SHAPES ? event.severity : "info";
  return el("li", {},
    el("time", { dateTime: new Date((event.t_utc ?? 0) / 1000).toISOString() }, timeOf(event.t_utc)),
    el("span", { class: severity }, SHAPES[severity]),
    el("span", { class: "what" }, `${event.kind ?? ""}: ${event.what ?? ""}`));
}

async function acknowledge(note) {
  try {
    await command("acknowledge", {});
    show(note, "The guard has taken note: a latch is released once everything is down.");
  } catch (error) {
    show(note, error.message);
  }
}
