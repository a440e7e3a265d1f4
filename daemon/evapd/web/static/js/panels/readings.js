// What every gauge, thermometer and axis of the stage reads now, with its unit.

import { el, number, show } from "../dom.js";

export function mount(root, store) {
  const list = el("dl", { class: "readings" });
  const rows = new Map();
  root.append(list);
  store.on("live", (live) => {
    const told = [
      ...Object.entries(live.pressures_pa ?? {}).map(([place, p]) => [place, Number.isFinite(p) ? `${p.toExponential(1)} Pa` : "unknown"]),
      ...Object.entries(live.temperatures_k ?? {}).map(([place, t]) => [place, number(t, 2, "K")]),
      ...Object.entries(live.stage ?? {}).map(([axis, one]) => [axis, standing(one)]),
    ];
    for (const [name, node] of rows) if (!told.some(([other]) => other === name)) { node.remove(); rows.delete(name); }
    for (const [name, text] of told) {
      if (!rows.has(name)) {
        rows.set(name, el("div", {}, el("dt", {}, name.replace(".", " ")), el("dd")));
        list.append(rows.get(name));
      }
      show(rows.get(name).lastChild, text);
    }
  });
}

function standing(axis) {
  const where = number(axis.position_mm, 4, "mm");
  if (axis.moving) return `${where} ▲ moves`;
  if (axis.referenced === false) return `${where} ▲ not referenced`;
  return where;
}
