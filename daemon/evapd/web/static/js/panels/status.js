// The bar: how the run and the specimen's energy stand, and the strip below it with what somebody must know now.

import { clock, number, show } from "../dom.js";

const RUN_LOOKS = { running: "good", arming: "warn", stopping: "warn", finalising: "warn" };
const ENERGY_LOOKS = {
  evaporating: "good", ramping: "warn", holding: "warn", paused: "warn", aligning: "warn", inhibited: "warn",
  ramping_down: "warn", fault_latched: "alarm", unknown: "alarm",
};
const SHAPES = { good: "● ", warn: "▲ ", alarm: "■ ", "": "○ " };

export function mount(store) {
  store.on("hello", (viewer) => {
    show(document.getElementById("title"), viewer.title);
    document.title = viewer.title;
  });
  store.on("live", draw);
  store.on("tick", () => strip(store));
}

function draw(live, store) {
  chip("chip-run", live.run_state, RUN_LOOKS[live.run_state] ?? "");
  chip("chip-energy", live.energy_state, ENERGY_LOOKS[live.energy_state] ?? "");
  show(document.getElementById("run-id"), live.run ? live.run.id : "no run");
  show(document.getElementById("fig-voltage"), number(live.v_dc_v, 0, "V"));
  const rate = live.rate_per_pulse;
  const target = live.target_rate;
  const share = rate !== null && target ? ` (${number(100 * rate / target)} % of target)` : "";
  show(document.getElementById("fig-rate"), rate === null || rate === undefined ? "unknown" : `${number(100 * Math.max(rate, 0), 3)} %${share}`);
  show(document.getElementById("fig-hits"), number(live.hits));
  show(document.getElementById("fig-elapsed"), live.run ? clock(live.run.elapsed_s) : "–");
  strip(store);
}

function chip(id, word, look) {
  const node = document.getElementById(id);
  node.className = `chip ${look}`;
  show(node.querySelector("dd"), SHAPES[look] + String(word ?? "unknown").replaceAll("_", " "));
}

function strip(store) {
  const said = [];
  if (!store.connected) said.push("NO CONNECTION to the display's server. What is shown is old. ABORT from a shell: evapd abort");
  else if (!store.daemon.present) said.push(lost(store.daemon));
  else if (store.stale) said.push("STALE: nothing new for more than two seconds");
  if (!store.stale) for (const alarm of store.live?.alarms ?? []) said.push(`ALARM: ${alarm}`);
  document.body.classList.toggle("stale", store.stale);
  const node = document.getElementById("strip");
  const text = said.join("\n");
  if (node.dataset.said !== text) {
    node.dataset.said = text;
    node.replaceChildren(...said.map((one) => Object.assign(document.createElement("p"), { textContent: one })));
    node.hidden = said.length === 0;
  }
  const bar = document.querySelector(".bar");
  document.documentElement.style.setProperty("--bar-height", `${bar.offsetHeight}px`);
}

function lost(daemon) {
  const since = daemon.silent_s === null ? "" : ` for ${number(daemon.silent_s)} s`;
  return `THE DAEMON IS SILENT${since}. The guard stands apart from it and makes the specimen safe; nothing below is present.`;
}
