// Runs on this machine, newest first, with their reports.

import { runs } from "../api.js";
import { el, number, show } from "../dom.js";

const SHOWN = 50;

export function mount(root, store) {
  const body = el("tbody");
  const said = el("p", { class: "said" });
  root.append(el("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "list of runs" },
    el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Run"), el("th", { class: "num" }, "Hits"), el("th", {}, "State"), el("th", {}, "Report"))), body)), said);
  let state = "";
  const refresh = async () => {
    try {
      const listed = (await runs()).runs;
      body.replaceChildren(...listed.slice(-SHOWN).reverse().map(row));
      show(said, listed.length ? "" : "No run yet.");
    } catch (error) {
      show(said, error.message);
    }
  };
  store.on("hello", refresh);
  store.on("live", (live) => {
    if (live.run_state !== state) {
      state = live.run_state;
      refresh();
    }
  });
}

function row(run) {
  const id = encodeURIComponent(run.id);
  const report = run.report
    ? el("span", {}, el("a", { href: `/runs/${id}/report`, target: "_blank", rel: "noopener" }, "page"), " ",
        el("a", { href: `/runs/${id}/report?download`, download: `${run.id}.html` }, "HTML"), " ",
        el("a", { href: `/runs/${id}/report.png`, download: `${run.id}.png` }, "PNG"))
    : el("span", { class: "side" }, "–");
  const hits = Number(run.hits);
  return el("tr", {}, el("td", {}, run.id), el("td", { class: "num" }, Number.isFinite(hits) ? number(hits) : String(run.hits ?? "")),
    el("td", {}, [run.state, run.flags].filter(Boolean).join(" ")), el("td", {}, report));
}
