// How many hits came in one pulse, and how many belong to no pulse.

import { el, number, show } from "../dom.js";

export function mount(root, store) {
  const uncorrelated = el("p", { class: "side" });
  const bars = el("div");
  root.append(uncorrelated, bars);
  store.on("live", (live) => {
    const part = live.uncorrelated?.recent;
    const known = Number.isFinite(part?.fraction);
    show(uncorrelated, known ? `Uncorrelated ${number(100 * part.fraction, 1)} ± ${number(100 * (part.error ?? 0), 1)} % of the hits` : "Uncorrelated fraction: not known");
    const counts = live.multiplicity?.recent.pulses ?? [];
    const all = counts.reduce((sum, n) => sum + n, 0);
    while (bars.children.length > counts.length) bars.lastChild.remove();
    counts.forEach((n, i) => {
      if (!bars.children[i]) bars.append(meter(i + 1 === counts.length ? `${i + 1} or more` : `${i + 1}`));
      const share = all ? n / all : 0;
      // The root shows the rare ones too; the number beside it is the share itself.
      bars.children[i].querySelector(".fill").style.transform = `scaleX(${Math.sqrt(share)})`;
      show(bars.children[i].querySelector(".value"), `${number(100 * share, share < 0.1 ? 2 : 0)} %`);
    });
  });
}

function meter(name) {
  return el("div", { class: "meter" }, el("span", { class: "name" }, `${name} in a pulse`),
    el("div", { class: "track", "aria-hidden": "true" }, el("div", { class: "fill" })), el("span", { class: "value" }));
}
