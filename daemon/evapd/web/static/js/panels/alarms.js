// Alarms that the alarm process holds open: who has been told, who has seen them. That is about people, not about the guard.

import { command } from "../api.js";
import { el, show } from "../dom.js";

const SHAPES = { alarm: "■ alarm", warning: "▲ warning", info: "○ info" };
const SILENCES = [["", "no silence"], ["1800", "silent for 30 min"], ["7200", "silent for 2 h"], ["28800", "silent for 8 h"]];
const MEANING = "“I have seen it” is for people: nobody else is called. It changes nothing at the instrument. "
  + "What the guard holds latched is released with “Acknowledge” under Controls.";

export function mount(root, store) {
  const summary = el("p", { class: "side", role: "status" }, "Open alarms: not known yet");
  const fault = el("p", { class: "said bad" });
  const list = el("ul", { class: "alarms" });
  const silence = el("select", { id: "alarm-silence" }, ...SILENCES.map(([value, text]) => el("option", { value }, text)));
  const said = el("p", { class: "said", role: "status" });
  const seen = (args) => acknowledge(args, silence, said);
  const all = el("button", { type: "button", onclick: () => seen({ up_to: newest(store) }) }, "I have seen them all");
  const tools = el("div", { class: "row" }, all, el("label", { htmlFor: silence.id }, "and ", silence));
  root.append(summary, fault, el("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "open alarms" }, list), tools, said,
    el("p", { class: "side" }, MEANING));
  const rows = new Map();

  const allow = () => {
    const may = store.mayOperate && store.connected;
    for (const row of rows.values()) row.button.disabled = !may;
    all.disabled = silence.disabled = !may;
  };
  store.on("alarms", (told) => {
    show(summary, summed(told));
    fault.hidden = !told.fault;
    show(fault, told.fault ? `What was acknowledged may be forgotten after a restart: ${told.fault}` : "");
    const present = new Set(told.alarms.map((one) => one.id));
    for (const [id, row] of rows) if (!present.has(id)) { row.node.remove(); rows.delete(id); }
    told.alarms.forEach((alarm, i) => {
      if (!rows.has(alarm.id)) rows.set(alarm.id, makeRow(alarm, seen));
      const row = rows.get(alarm.id);
      row.draw(alarm);
      if (list.children[i] !== row.node) list.insertBefore(row.node, list.children[i] ?? null);
    });
    tools.hidden = !told.alarms.length;
    allow();
  });
  store.on("hello", allow);
  store.on("tick", () => {
    allow();
    if (!store.connected) show(summary, "Not connected: which alarms are open is not known. From a shell: evapd alarms list");
    else if (store.alarms) show(summary, summed(store.alarms));
  });
  tools.hidden = fault.hidden = true;
}

function newest(store) {
  return Math.max(...store.alarms.alarms.map((one) => one.id)); // what came since is not acknowledged unseen
}

function summed(told) {
  if (told.words) return told.words;
  const open = told.alarms.filter((one) => one.open).length;
  const others = told.alarms.length - open;
  const text = open ? `${open} open ${open === 1 ? "alarm waits" : "alarms wait"} for a person` : "No alarm waits for a person";
  const more = others ? `; ${others} more that somebody has seen, or that pass by themselves` : "";
  return `${text}${more}.${told.hooks ? "" : " No hook is set up: nobody is told who does not look here."}`;
}

// A row is changed in place: a button that somebody is about to press stays where it is, and keeps the focus.
function makeRow(alarm, seen) {
  const severity = el("span");
  const what = el("span", { class: "what" });
  const how = el("span", { class: "how side" });
  const button = el("button", { type: "button", "aria-label": `I have seen it: ${alarm.name}`, onclick: () => seen({ id: alarm.id }) }, "I have seen it");
  return {
    node: el("li", {}, severity, el("div", {}, what, how), button),
    button,
    draw(one) {
      const kind = Object.hasOwn(SHAPES, one.severity) ? one.severity : "alarm";
      severity.className = kind;
      show(severity, SHAPES[kind]);
      show(what, `${one.name}: ${one.what}`);
      show(how, standing(one));
      button.hidden = !one.open;
    },
  };
}

function standing(one) {
  const said = [`since ${moment(one.since_utc_s)}`, one.active ? "still so" : one.open ? "over, waits for a person" : "over"];
  if (one.times > 1) said.push(`${one.times} times`);
  if (one.by) said.push(`seen by ${one.by}${one.seen_utc_s === null ? "" : ` at ${moment(one.seen_utc_s)}`}`);
  if (one.silent_min) said.push(`silent for another ${one.silent_min} min`);
  said.push(one.told.length ? `told: ${one.told.join(", ")}` : "nobody was told");
  return said.join(" · ");
}

function moment(utc_s) {
  const at = new Date(1000 * utc_s);
  if (Number.isNaN(at.getTime())) return "an unknown time";
  const time = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString("en-GB")} ${time}`;
}

async function acknowledge(args, silence, said) {
  const for_s = silence.value ? { for_s: Number(silence.value) } : {};
  said.className = "said";
  try {
    const count = (await command("alarms_acknowledge", { ...args, ...for_s })).acknowledged.length;
    silence.value = "";
    show(said, count ? `Noted: you have seen ${count === 1 ? "it" : `${count} alarms`}; nobody else is called.` : "Somebody had seen it already.");
  } catch (error) {
    said.className = "said bad";
    show(said, `Not noted: ${error.message}`);
  }
}
