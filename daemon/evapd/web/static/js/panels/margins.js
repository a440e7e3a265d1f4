// How close each rule of the guard is: a full bar is far away, an empty one triggers now.

import { el, number, show } from "../dom.js";

const NEAR = 0.3;

export function mount(root, store) {
  const list = el("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "margins of the guard's rules" });
  const chi = el("p", { class: "side" });
  const rows = new Map();
  root.append(chi, list);
  store.on("slow", (slow) => {
    const margins = Object.entries(slow.margins ?? {});
    margins.sort(([a, x], [b, y]) => (x ?? 2) - (y ?? 2) || a.localeCompare(b));
    for (const [name, margin] of margins) draw(row(rows, name), name, margin);
    for (const [name, node] of rows) if (!(name in (slow.margins ?? {}))) { node.remove(); rows.delete(name); }
    const order = margins.map(([name]) => rows.get(name));
    if (order.some((node, i) => list.children[i] !== node)) list.replaceChildren(...order);
    const explosive = slow.explosive;
    show(chi, explosive && Number.isFinite(explosive.chi) ? `Explosiveness chi ${number(explosive.chi, 2)} (below 1 the loop keeps up)` : "Explosiveness chi: not known yet");
  });
}

function row(rows, name) {
  if (!rows.has(name)) {
    rows.set(name, el("div", { class: "meter" },
      el("span", { class: "name", title: name }, name.replaceAll("-", " ")),
      el("div", { class: "track", "aria-hidden": "true" }, el("div", { class: "fill" })), el("span", { class: "value" })));
  }
  return rows.get(name);
}

function draw(node, name, margin) {
  const known = Number.isFinite(margin);
  node.className = `meter ${known && margin <= 0 ? "over" : known && margin < NEAR ? "near" : ""}`;
  node.querySelector(".fill").style.transform = `scaleX(${known ? Math.min(1, Math.max(0, margin)) : 0})`;
  show(node.querySelector(".value"), known ? number(margin, 2) : "–");
}
