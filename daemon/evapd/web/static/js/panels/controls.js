// Commands for who may give them: what raises energy asks first, what lowers it does not. Who commands now stands above.

import { command } from "../api.js";
import { confirmed } from "../confirm.js";
import { el, number, show } from "../dom.js";
import { mountSettings } from "./settings.js";

const RUNNING = ["arming", "running"];
const STILL = "ABORT, stop, pause, hold and lower limits work for everybody who may operate.";

export function mount(root, store) {
  const said = el("p", { class: "said", role: "status" });
  const give = (cmd, args) => carryOut(store, said, cmd, args);
  const buttons = {
    start: button("Start run", () => start(give), "rise"),
    stop: button("Stop run", () => give("stop", {})),
    pause: button("Pause", () => give("pause", {})),
    hold: button("Hold", () => give("hold", { on: true })),
    resume: button("Resume", () => resume(give), "rise"),
    acknowledge: button("Acknowledge", () => give("acknowledge", {})),
  };
  const lease = el("p", { class: "lease", id: "lease" });
  const role = el("p", { class: "side" });
  const set = el("div");
  root.append(lease, el("div", { class: "row" }, ...Object.values(buttons)), said, set, role);
  const settings = mountSettings(set, store, give);

  const allow = () => {
    const live = store.live ?? {};
    const running = RUNNING.includes(live.run_state);
    const waits = ["paused", "holding", "inhibited", "aligning"].includes(live.energy_state);
    const possible = {
      start: live.run_state === "idle", stop: running, pause: running && !waits, hold: running && !waits,
      resume: running && waits, acknowledge: true,
    };
    const may = store.mayOperate && !store.stale;
    for (const [name, node] of Object.entries(buttons)) node.disabled = !(may && possible[name]);
    settings.allow(may);
    show(lease, commands(store));
    lease.classList.toggle("other", heldByOther(store));
    show(role, store.mayOperate ? `You are ${store.viewer.name} and may operate.` : `You are ${store.viewer.name || "a guest"} and may look and abort.`);
  };
  store.on("hello", allow);
  store.on("live", allow);
  store.on("tick", allow);
}

function button(text, action, look = "") {
  return el("button", { type: "button", class: look, onclick: action }, text);
}

function heldByOther(store) {
  const lease = store.live?.lease;
  return Boolean(lease) && !store.stale && lease.client !== `display ${store.viewer.name}`;
}

function commands(store) {
  const lease = store.live?.lease;
  if (store.stale || store.live?.lease === undefined) return "Who commands is not known.";
  if (!lease) return "Nobody commands alone: everybody who may operate can.";
  if (!heldByOther(store)) return `This page commands alone, for another ${number(lease.remaining_s)} s.`;
  return `▲ ${lease.client} (${lease.holder}) commands alone, for another ${number(lease.remaining_s)} s unless it goes on. ${STILL}`;
}

async function carryOut(store, said, cmd, args) {
  said.className = "said";
  show(said, `${cmd} ...`);
  try {
    await command(cmd, args);
    show(said, `${cmd}: accepted`);
    return true;
  } catch (error) {
    said.className = "said bad";
    show(said, refused(store, cmd, error));
    return false;
  }
}

function refused(store, cmd, error) {
  if (error.kind !== "LeaseHeld") return `${cmd}: ${error.message}`;
  const who = store.live?.lease ? store.live.lease.client : "another program";
  return `Not done: ${who} commands alone now. Ask for the command to be given back, or wait until it is. ${STILL}`;
}

async function start(give) {
  const text = "The detector is armed and the guard raises the voltage at the specimen until it evaporates.";
  if (await confirmed("Start a run?", text, "Start: raise the voltage")) await give("start", {});
}

async function resume(give) {
  const text = "Pulses begin again, from nine tenths of the voltage and a part of the target.";
  if (await confirmed("Resume?", text, "Resume")) await give("resume", {});
}
