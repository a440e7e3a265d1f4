// What may be set in a run, with names, units and limits as the daemon describes them: a row each; a rise asks first.

import { command } from "../api.js";
import { confirmed } from "../confirm.js";
import { el, show } from "../dom.js";

const LABELS = {
  target_rate: "Target", pulse_fraction: "Pulse fraction", pulse_rate_hz: "Pulse rate", energy_pj: "Pulse energy",
  v_ceiling_v: "Highest V_dc", energy_ceiling_pj: "Highest pulse energy",
};
// Shares are shown in percent; of any other unit the first word is shown.
const SHARES = { "hits per live pulse": "% of pulses", "V_p / V_dc": "% of V_dc" };
const CEILING = /_ceiling_/;
const AGAIN_MS = 5000;

// `give(cmd, args)` carries out a command and says how it went.
export function mountSettings(root, store, give) {
  const rows = new Map();
  const plain = el("div");
  const ceilings = el("div");
  const heading = el("h3", { hidden: true }, "Limits of this run, within those of the rig");
  const law = lawRow(give);
  root.append(plain, law.node, heading, ceilings);
  let instance = null;
  let asked = -AGAIN_MS;

  async function describe(live) {
    asked = performance.now();
    let described;
    try {
      described = await command("describe", {});
    } catch {
      return; // asked again soon; the daemon judges every value itself
    }
    instance = live.instance;
    const listed = described.parameters ?? [];
    const laser = listed.some((one) => one.name === "energy_pj");
    for (const parameter of listed) {
      if (parameter.name === "pulse_fraction" && laser) continue; // no pulse of voltage there
      if (parameter.command === "set" && parameter.type === "number") {
        rows.get(parameter.name)?.node.remove();
        const row = makeRow(parameter, store, give);
        rows.set(parameter.name, row);
        (CEILING.test(parameter.name) ? ceilings : plain).append(row.node);
      }
      if (parameter.name === "law") law.choices(parameter.choices ?? []);
    }
    heading.hidden = ceilings.children.length === 0;
    present(live);
  }

  function present(live) {
    for (const [name, row] of rows) row.present(live.settings?.[name]);
    law.present(live.law);
  }

  store.on("live", (live) => {
    present(live);
    if (live.instance !== instance && performance.now() - asked > AGAIN_MS) describe(live); // another start may know other limits
  });
  return {
    // Who may operate keeps the field while the newest document is late, and cannot send it then.
    allow(may) {
      for (const row of rows.values()) row.allow(store.mayOperate, may);
      law.allow(store.mayOperate, may);
    },
  };
}

function makeRow(parameter, store, give) {
  const scale = parameter.unit in SHARES ? 100 : 1;
  const unit = SHARES[parameter.unit] ?? parameter.unit.split(" ")[0];
  const label = LABELS[parameter.name] ?? parameter.name.replaceAll("_", " ");
  const most = Number.isFinite(parameter.max) ? parameter.max * scale : null;
  const input = el("input", { type: "number", step: "any", id: `set-${parameter.name}`, title: parameter.doc });
  if (Number.isFinite(parameter.min)) input.min = parameter.min * scale;
  if (most !== null) input.max = most;
  const now = el("span", { class: "side" });
  const limit = el("span", { class: "side" }, most === null ? "" : `at most ${text(most, 1)}`);
  const set = el("button", { type: "submit" }, "Set");
  const node = el("form", { class: "row setting", onsubmit: (event) => { event.preventDefault(); apply(); }, noValidate: true },
    el("div", {}, el("label", { htmlFor: input.id }, label), now), input, el("span", { class: "unit" }, unit, limit), set);
  let before = null;

  async function apply() {
    if (input.value === "") return;
    if (!input.checkValidity()) {
      input.reportValidity();
      return;
    }
    const value = Number((Number(input.value) / scale).toPrecision(9));
    const rises = !(Number.isFinite(before) && value <= before);
    if (rises && !(await confirmed(`Raise ${label[0].toLowerCase()}${label.slice(1)}?`, `${label}: from ${text(before, scale)} to ${text(value, scale)} ${unit}. ${risk(parameter)}`, "Raise"))) return;
    // What needs no question is said to be lower: should it be a rise by now, the guard refuses it.
    if (await give("set", { [parameter.name]: value, ...(rises ? {} : { lower: true }) })) input.value = "";
  }

  return {
    node,
    allow(write, send) { input.disabled = !write; set.disabled = !send; },
    present(value) {
      before = value ?? null;
      show(now, `now ${text(before, scale)}`);
    },
  };
}

function risk(parameter) {
  return CEILING.test(parameter.name) ? "What stands below may rise up to there, as the law asks." : "The energy at the specimen may rise by it.";
}

function text(value, scale) {
  if (!Number.isFinite(value)) return "not set";
  return (value * scale).toLocaleString("en-GB", { maximumSignificantDigits: 6 });
}

function lawRow(give) {
  const law = el("select", { id: "set-law" });
  const set = el("button", { type: "submit" }, "Set");
  const change = async (event) => {
    event.preventDefault();
    if (await confirmed("Change the control law?", `'${law.value}' takes over at the present voltage.`, "Change")) await give("set", { law: law.value });
  };
  const now = el("span", { class: "side" });
  return {
    node: el("form", { class: "row setting", onsubmit: change }, el("div", {}, el("label", { htmlFor: law.id }, "Law"), now), law, el("span"), set),
    allow(write, send) { law.disabled = !write; set.disabled = !send; },
    choices(names) {
      law.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
      law.value = law.dataset.now ?? names[0];
    },
    present(name) {
      show(now, name ? `now ${name}` : "");
      if (document.activeElement === law || !name || law.dataset.now === name) return;
      law.dataset.now = name;
      law.value = name;
    },
  };
}
