// Voltage, rate against its target with the band that counting allows, and the slow readings, since the run's start.

import { command } from "../api.js";
import { el } from "../dom.js";
import { Pace } from "../pace.js";
import { CONFIG, colours, layout, plotly } from "../plotly.js";
import { array } from "../socket.js";

const EVERY_MS = 1000;
const REST = 4;
const KEPT_S = 3 * 3600;
const MOST = 4000;
const ROW_PX = 66;
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
// Rows of the figure from top to bottom: which columns stand in each, how they are named, and how little of a change may fill
// the row: the noise of a thermometer shall not look like a storm.
const ROWS = [
  { title: "V_dc, kV", columns: [{ name: "v_dc_v", scale: 1e-3 }] },
  { title: "rate, %", columns: [{ name: "rate_per_pulse", scale: 100 }, { name: "target_rate", scale: 100, dash: "dot" }], band: true, least: 0.1 },
  { title: "uncorr., %", columns: [{ name: "uncorrelated", scale: 100 }] },
  { title: "p, Pa", columns: [{ name: "pressure_pa", scale: 1 }], log: true, least: 1 },
  { title: "T, K", columns: [{ name: "temperature_k", scale: 1 }], least: 2 },
];

export function mount(root, store) {
  const place = el("div", { class: "plot", role: "figure", "aria-label": "histories of voltage, rate, uncorrelated hits, pressure and temperature" });
  root.append(place);
  const kept = new Kept();
  const pace = new Pace(EVERY_MS, REST);
  store.on("hello", () => kept.fill(""));
  store.on("live", (live) => {
    kept.know(Object.keys(live.stage ?? {}));
    kept.add(live);
    if (live.run && live.run.id !== kept.filled) kept.fill(live.run.id);
    pace.draw(() => plot(place, kept));
  });
}

// What the figure shows: columns of numbers over one time axis. Old points are thinned, so that the page never grows.
class Kept {
  constructor() {
    this.rows = ROWS;
    this.axes = "";
    this.filled = null;
    this.clear();
  }

  clear() {
    this.t = [];
    this.columns = { target_error: [] };
    for (const row of this.rows) for (const column of row.columns) this.columns[column.name] = [];
  }

  // The stage's axes are known when it first tells of them.
  know(axes) {
    if (axes.join() === this.axes) return;
    this.axes = axes.join();
    this.rows = axes.length ? [...ROWS, { title: "Δ stage, µm", columns: axes.map((axis, k) => ({ name: `stage_mm.${axis}`, scale: 1000, label: axis, moved: true, dash: DASHES[k % DASHES.length] })), least: 4 }] : ROWS;
    this.clear();
    this.filled = null;
  }

  async fill(run) {
    this.filled = run;
    let told;
    try {
      told = await command("history", {});
    } catch {
      return; // the figure begins now
    }
    if (run && told.run !== run) return;
    this.clear();
    const bins = told.bins ?? 0;
    for (let i = 0; i < bins; i += 1) this.t.push(new Date(told.begun_utc / 1000 + 1000 * (told.first_s + (i + 0.5) * told.bin_s)));
    for (const name of Object.keys(this.columns)) {
      const means = told.columns?.[name] ? array(told.columns[name].mean) : [];
      this.columns[name] = Array.from({ length: bins }, (_, i) => (Number.isFinite(means[i]) ? means[i] : null));
    }
  }

  add(live) {
    this.t.push(new Date());
    for (const [name, values] of Object.entries(this.columns)) values.push(present(live, name));
    while (this.t.length > MOST || (this.t.length && Date.now() - this.t[0] > 1000 * KEPT_S)) this.#thin();
  }

  // Every second point of the older half goes.
  #thin() {
    const half = this.t.length >> 1;
    const stays = (_, i) => i >= half || i % 2 === 0;
    this.t = this.t.filter(stays);
    for (const name of Object.keys(this.columns)) this.columns[name] = this.columns[name].filter(stays);
    if (Date.now() - this.t[0] > 1000 * KEPT_S) {
      this.t.shift();
      for (const values of Object.values(this.columns)) values.shift();
    }
  }
}

function present(live, name) {
  const found = {
    target_error: live.rate?.target_error, uncorrelated: live.uncorrelated?.recent?.fraction,
  };
  const axis = name.startsWith("stage_mm.") ? name.slice("stage_mm.".length) : null;
  const value = axis !== null ? live.stage?.[axis]?.position_mm : name in found ? found[name] : live[name];
  return Number.isFinite(value) ? value : null;
}

async function plot(place, kept) {
  const Plotly = await plotly();
  const c = colours();
  const high = `${ROW_PX * kept.rows.length}px`;
  if (place.style.height !== high) place.style.height = high;
  const data = [];
  const axes = {};
  const height = 1 / kept.rows.length;
  kept.rows.forEach((row, i) => {
    const axis = i === 0 ? "y" : `y${i + 1}`;
    axes[`yaxis${i === 0 ? "" : i + 1}`] = {
      domain: [1 - (i + 1) * height + 0.02, 1 - i * height - 0.02], title: { text: row.title, font: { size: 10 } }, gridcolor: c.grid, nticks: 4,
      tickfont: { size: 10 }, type: row.log ? "log" : "linear", zeroline: false, ...(row.log ? { exponentformat: "power", dtick: 1 } : {}), ...span(row, kept),
    };
    if (row.band) data.push(...band(kept, axis, c));
    row.columns.forEach((column, k) => data.push({
      x: kept.t, y: scaled(kept, column), yaxis: axis, type: "scatter", mode: "lines", name: column.name,
      line: { width: 1.3, color: k ? c.second : c.line, dash: column.dash ?? "solid" }, hovertemplate: `%{y:.4g}${column.label ? ` ${column.label}` : ""}<extra></extra>`,
    }));
  });
  await Plotly.react(place, data, layout({ ...axes, xaxis: { anchor: `y${kept.rows.length}` }, hovermode: "x" }), CONFIG);
}

// Numbers as they are drawn. Axes stand millimetres apart and drift by micrometres: shown is how far each has moved.
function scaled(kept, column) {
  const values = kept.columns[column.name] ?? [];
  const from = column.moved ? values.find((v) => v !== null) ?? 0 : 0;
  return values.map((v) => (v === null ? null : (v - from) * column.scale));
}

// The range of a row that may not show less than `least` (decades on a logarithmic axis); others find their own.
function span(row, kept) {
  if (!row.least) return {};
  let [low, high] = [Infinity, -Infinity];
  for (const column of row.columns) {
    for (const value of scaled(kept, column)) {
      if (value === null || (row.log && !(value > 0))) continue;
      const at = row.log ? Math.log10(value) : value;
      if (at < low) low = at;
      if (at > high) high = at;
    }
  }
  if (!(high >= low)) return {};
  const room = Math.max(0.1 * (high - low), 0.5 * (row.least - (high - low)));
  return { range: [low - room, high + room] };
}

// One standard deviation of counting around the target: where a rate that is held should lie two times out of three.
function band(kept, axis, c) {
  const low = [];
  const high = [];
  kept.columns.target_rate.forEach((target, i) => {
    const error = kept.columns.target_error[i];
    const known = target !== null && error !== null;
    low.push(known ? 100 * (target - error) : null);
    high.push(known ? 100 * (target + error) : null);
  });
  const common = { x: kept.t, yaxis: axis, type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
  return [{ ...common, y: low }, { ...common, y: high, fill: "tonexty", fillcolor: `color-mix(in srgb, ${c.second} 25%, transparent)` }];
}
