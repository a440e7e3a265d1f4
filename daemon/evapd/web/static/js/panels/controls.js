// Commands for who may give them: what raises energy asks first, what lowers it does not.

import { command } from "../api.js";
import { confirmed } from "../confirm.js";
import { el, number, show } from "../dom.js";

const RUNNING = ["arming", "running"];

export function mount(root, store) {
  const said = el("p", { class: "said", role: "status" });
  const fields = settings(store, said);
  const buttons = {
    start: button("Start run", () => start(store, said), "rise"),
    stop: button("Stop run", () => give(said, "stop", {})),
    pause: button("Pause", () => give(said, "pause", {})),
    hold: button("Hold", () => give(said, "hold", { on: true })),
    resume: button("Resume", () => resume(store, said), "rise"),
    acknowledge: button("Acknowledge", () => give(said, "acknowledge", {})),
  };
  const role = el("p", { class: "side" });
  root.append(el("div", { class: "row" }, ...Object.values(buttons)), ...fields.rows, said, role);

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
    fields.allow(may);
    show(role, store.mayOperate ? `You are ${store.viewer.name} and may operate.` : `You are ${store.viewer.name || "a guest"} and may look and abort.`);
  };
  store.on("hello", () => { allow(); fields.limits(); });
  store.on("live", (live) => { allow(); fields.present(live); });
  store.on("tick", allow);
}

function button(text, action, look = "") {
  return el("button", { type: "button", class: look, onclick: action }, text);
}

async function give(said, cmd, args) {
  said.className = "said";
  show(said, `${cmd} ...`);
  try {
    await command(cmd, args);
    show(said, `${cmd}: accepted`);
    return true;
  } catch (error) {
    said.className = "said bad";
    show(said, `${cmd}: ${error.message}`);
    return false;
  }
}

async function start(store, said) {
  const text = "The detector is armed and the guard raises the voltage at the specimen until it evaporates.";
  if (await confirmed("Start a run?", text, "Start: raise the voltage")) await give(said, "start", {});
}

async function resume(store, said) {
  const text = "Pulses begin again, from nine tenths of the voltage and a part of the target.";
  if (await confirmed("Resume?", text, "Resume")) await give(said, "resume", {});
}

// Settings whose rise raises energy; `of` finds the present value, `scale` what the person sees per unit of the command's.
const SETTINGS = [
  { name: "target_rate", label: "Target", unit: "% of pulses", scale: 100, step: "any", of: (live) => live.target_rate },
  { name: "pulse_fraction", label: "Pulse fraction", unit: "%", scale: 100, step: "any", of: (live) => live.pulse_fraction },
  { name: "energy_pj", label: "Pulse energy", unit: "pJ", scale: 1, step: "any", of: (live) => live.energy_pj },
];

function settings(store, said) {
  const made = SETTINGS.map((one) => {
    const input = el("input", { type: "number", step: one.step, id: `set-${one.name}` });
    const set = button("Set", () => apply(one, input));
    const present = el("span", { class: "side" });
    const row = el("form", { class: "row", onsubmit: (event) => { event.preventDefault(); set.click(); } },
      el("label", { htmlFor: input.id }, one.label, input, one.unit), set, present);
    set.type = "button";
    return { ...one, input, set, present, row };
  });
  const law = el("select", { id: "set-law" });
  const setLaw = button("Set", async () => {
    if (await confirmed("Change the control law?", `'${law.value}' takes over at the present voltage.`, "Change")) await give(said, "set", { law: law.value });
  });
  const lawRow = el("div", { class: "row" }, el("label", { htmlFor: law.id }, "Law ", law), setLaw);

  async function apply(one, input) {
    const value = Number((Number(input.value) / one.scale).toPrecision(9));
    const before = one.of(store.live ?? {});
    if (input.value === "" || !Number.isFinite(value)) return;
    if (input.validity.rangeUnderflow || input.validity.rangeOverflow) {
      input.reportValidity();
      return;
    }
    const rises = !(value <= before);
    const text = `${one.label}: from ${number(before * one.scale, 2)} to ${number(value * one.scale, 2)} ${one.unit}.`;
    if (rises && !(await confirmed(`Raise ${one.label.toLowerCase()}?`, text, "Raise"))) return;
    if (await give(said, "set", { [one.name]: value })) input.value = "";
  }

  return {
    rows: [...made.map((one) => one.row), lawRow],
    allow(may) {
      for (const one of made) one.input.disabled = one.set.disabled = !may;
      law.disabled = setLaw.disabled = !may;
    },
    present(live) {
      for (const one of made) {
        const value = one.of(live);
        one.row.hidden = value === null || value === undefined;
        show(one.present, `now ${number(value * one.scale, 2)}`);
      }
      if (document.activeElement !== law && live.law && law.dataset.now !== live.law) {
        law.dataset.now = live.law;
        law.value = live.law;
      }
    },
    async limits() {
      let described;
      try {
        described = await command("describe", {});
      } catch {
        return; // the daemon judges every value itself; the limits here are a help
      }
      for (const parameter of described.parameters ?? []) {
        const one = made.find((row) => row.name === parameter.name);
        if (one) {
          if (Number.isFinite(parameter.min)) one.input.min = parameter.min * one.scale;
          if (Number.isFinite(parameter.max)) one.input.max = parameter.max * one.scale;
          one.input.title = `${parameter.doc}; allowed here: ${one.input.min || "any"} to ${one.input.max || "any"} ${one.unit}`;
        }
        if (parameter.name === "law" && Array.isArray(parameter.choices)) {
          law.replaceChildren(...parameter.choices.map((name) => el("option", { value: name }, name)));
        }
      }
    },
  };
}
