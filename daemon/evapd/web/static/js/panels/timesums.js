// Whether the two ends of each delay line still belong together.

import { el, number, show } from "../dom.js";

const WORDS = { ok: "● ok", drifting: "▲ drifting", lost: "■ lost", unknown: "○ unknown" };

export function mount(root, store) {
  const head = el("p", { class: "side" });
  const body = el("tbody");
  root.append(head, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Layer"), el("th", { class: "num" }, "shift ps"), el("th", { class: "num" }, "width ps"))), body));
  store.on("live", (live) => {
    const sums = live.time_sums;
    show(head, sums ? `Time sums ${WORDS[sums.state] ?? sums.state}, ${number(100 * sums.fitting)} % fit, limit ${number(sums.limit_ps)} ps` : "Time sums: no run");
    const layers = Object.entries(sums?.layers ?? {});
    while (body.children.length > layers.length) body.lastChild.remove();
    layers.forEach(([name, layer], i) => {
      if (!body.children[i]) body.append(el("tr", {}, el("td"), el("td", { class: "num" }), el("td", { class: "num" })));
      const cells = body.children[i].children;
      show(cells[0], name);
      show(cells[1], number(layer.position_ps));
      show(cells[2], number(layer.width_ps));
    });
  });
}
